# Two stages: a full toolchain builds, and what runs is the binary, the C library and nothing to log in to.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo ./.cargo
COPY src ./src
RUN cargo build --release --locked --bin gateward

# The reference configuration, listening where a container is reached; probes and metrics stay on the container's own loopback.
# It lies beside `data`, which its relative paths name. Mount your own file over it.
COPY gateway.toml ./
RUN mkdir -p /out/var/lib/gateward/data \
 && sed -E '/^(https|http) *=/s/127\.0\.0\.1/0.0.0.0/' gateway.toml > /out/var/lib/gateward/gateway.toml \
 && grep -q '^https *= *"0\.0\.0\.0:8443"' /out/var/lib/gateward/gateway.toml \
 && grep -q '^http *= *"0\.0\.0\.0:8080"' /out/var/lib/gateward/gateway.toml \
 && target/release/gateward --config /out/var/lib/gateward/gateway.toml check

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/gateward /usr/local/bin/gateward
# A named volume takes over the owner of the folder it is first mounted on.
COPY --from=build --chown=nonroot:nonroot /out/var/lib/gateward /var/lib/gateward
WORKDIR /var/lib/gateward
ENV GATEWARD_CONFIG=/var/lib/gateward/gateway.toml
USER nonroot:nonroot
VOLUME ["/var/lib/gateward/data"]
EXPOSE 8443 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["/usr/local/bin/gateward", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/gateward"]
CMD ["serve"]
