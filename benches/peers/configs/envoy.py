"""Envoy bootstrap, as JSON (YAML would repeat the same chain four times)."""
import json


def config(v, cache=0):
    T = "type.googleapis.com/"

    def router(jwt):
        fs = []
        if jwt:
            prov = {
                "issuer": v["ISS"], "audiences": [v["AUD"]],
                "local_jwks": {"filename": v["DIR"] + "/jwks.json"},
                "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
                "claim_to_headers": [
                    {"header_name": "x-auth-" + c, "claim_name": c} for c in ("sub", "email", "sid")],
            }
            if cache:
                prov["jwt_cache_config"] = {"jwt_cache_size": cache}
            fs.append({"name": "envoy.filters.http.jwt_authn", "typed_config": {
                "@type": T + "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
                "providers": {"p": prov},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}]}})
        fs.append({"name": "envoy.filters.http.router", "typed_config": {
            "@type": T + "envoy.extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": True}})
        return {"name": "hcm", "typed_config": {
            "@type": T + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "in", "codec_type": "AUTO", "generate_request_id": False,
            "http_filters": fs,
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                {"match": {"prefix": "/"}, "route": {"cluster": "up"}}]}]}}}

    def listener(port, tls, jwt):
        chain = {"filters": [router(jwt)]}
        if tls:
            chain["transport_socket"] = {"name": "tls", "typed_config": {
                "@type": T + "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "disable_stateless_session_resumption": True,
                "disable_stateful_session_resumption": True,
                "common_tls_context": {
                    "alpn_protocols": ["h2", "http/1.1"],
                    "tls_params": {"tls_minimum_protocol_version": "TLSv1_3",
                                   "tls_maximum_protocol_version": "TLSv1_3"},
                    "tls_certificates": [{
                        "certificate_chain": {"filename": v["DIR"] + "/tls.crt"},
                        "private_key": {"filename": v["DIR"] + "/tls.key"}}]}}}
        return {"name": "l%s" % port, "filter_chains": [chain], "tcp_backlog_size": 4096,
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": int(port)}}}

    return json.dumps({"static_resources": {
        "listeners": [listener(v["PLAIN"], 0, 0), listener(v["JWT"], 0, 1),
                      listener(v["TLS"], 1, 0), listener(v["TLSJWT"], 1, 1)],
        "clusters": [{"name": "up", "type": "STATIC", "connect_timeout": "5s",
                      "load_assignment": {"cluster_name": "up", "endpoints": [{"lb_endpoints": [
                          {"endpoint": {"address": {"socket_address": {
                              "address": "127.0.0.1", "port_value": int(v["UP"])}}}}]}]}}]},
        "overload_manager": {"resource_monitors": [{
            "name": "envoy.resource_monitors.global_downstream_max_connections",
            "typed_config": {"@type": T + "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                             "max_active_downstream_connections": 40000}}]}}, indent=1)
