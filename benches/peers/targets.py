"""P1 to P12: what must be reached, what was, and whether it is enough. Each line reads its own place in the figures."""

RUN = "python3 benches/peers/run.py"


def over(workload, peer):
    return lambda f: f["proxied"][workload]["ratios"][peer]


def bytes_each(workload):
    return lambda f: f["proxied"][workload]["systems"]["gateward"]["per_conn"]


def tail(f):
    return f["isolation"]["flood"]["ratio"]


def grown(f):
    """The steepest curve's last point."""
    last = {what: curve["points"][-1]["ratio"] for what, curve in f["growth"].items()}
    return max(last.values(), key=lambda r: r["median"])


# id, what, figure, target, stretch, whether more is better, how it is written, command
TARGETS = [
    ("P1", "an authenticated request (W3), over HAProxy with `jwt_verify`", over("W3", "haproxy"), 0.40, 0.33, False, "×", "proxied --workloads W3"),
    ("P1", "the same, over Envoy with its JWT cache", over("W3", "envoy-cache"), 0.48, 0.40, False, "×", "proxied --workloads W3"),
    ("P2", "W3 over nginx's `auth_request` that verifies nothing", over("W3", "nginx-noauth"), 1.10, 1.0, False, "×", "proxied --workloads W3"),
    ("P3", "W3 over a public route of our own", over("W3", "gateward-public"), 1.08, 1.04, False, "×", "proxied --workloads W3"),
    ("P4", "TLS h1 with JWT (W4), over HAProxy", over("W4", "haproxy"), 0.40, 0.30, False, "×", "proxied --workloads W4"),
    ("P4", "TLS h2 with JWT (W5), over HAProxy", over("W5", "haproxy"), 0.40, 0.30, False, "×", "proxied --workloads W5"),
    ("P4", "TLS h1 (W4p), over HAProxy", over("W4p", "haproxy"), 1.0, 0.9, False, "×", "proxied --workloads W4p"),
    ("P4", "TLS h2 (W5p), over HAProxy", over("W5p", "haproxy"), 1.15, 1.0, False, "×", "proxied --workloads W5p"),
    ("P5", "100 KB bodies (W6), over HAProxy", over("W6", "haproxy"), 0.95, 0.80, False, "×", "proxied --workloads W6"),
    ("P6", "full TLS handshakes (W7), over nginx", over("W7", "nginx"), 0.65, 0.57, False, "×", "proxied --workloads W7"),
    ("P7", "memory of an idle connection (W8)", bytes_each("W8"), 4500, 3000, False, "bytes", "proxied --workloads W8"),
    ("P7", "memory of an idle TLS connection (W8t)", bytes_each("W8t"), 21000, 14500, False, "bytes", "proxied --workloads W8t"),
    ("P8", "p99 of a proxied route during a login flood, over its quiet p99", tail, 1.5, 1.2, False, "×", "isolation"),
    ("P9", "sign-ins a second over bare hashes a second", lambda f: f["logins"]["ratio"], 0.90, 0.97, True, "×", "logins"),
    ("P10", "CPU of a refresh (SQLite) over one RS256 signature", lambda f: f["refresh"]["sqlite"]["ratio"], 1.6, 1.3, False, "×", "refresh"),
    ("P10", "CPU of a refresh (Redis) over one RS256 signature", lambda f: f["refresh"]["redis"]["ratio"], 1.6, 1.3, False, "×", "refresh"),
    ("P11", "W3 at the largest size over the smallest, steepest of the curves", grown, 1.10, 1.03, False, "×", "growth"),
    ("P12", "start to first answer over TLS", lambda f: f["startup"]["tls"], 100, 30, False, "ms", "startup"),
]


def judge(figures):
    """One line for each target."""
    lines = []
    for number, what, figure, target, stretch, more, unit, command in TARGETS:
        try:
            reached = figure(figures)
        except (KeyError, ValueError, IndexError):
            reached = None
        line = {"id": number, "what": what, "target": target, "stretch": stretch, "more_is_better": more, "unit": unit,
                "reached": reached, "command": f"{RUN} {command}", "meets": "not measured"}
        if reached:
            enough = lambda bound: reached["median"] >= bound if more else reached["median"] <= bound
            line["meets"] = "stretch" if enough(stretch) else "target" if enough(target) else "no"
            if number == "P8" and figures["isolation"]["flood"]["failed"]:
                line["meets"] = "no"
            if not figures["quiet"]:
                line["meets"] = "trial only"
        lines.append(line)
    return lines


def written(value, unit):
    if unit == "×":
        return f"{value:.2f}"
    return f"{value:,.0f}" if unit == "bytes" else f"{value:.1f}"


def table(lines):
    """Markdown."""
    out = ["| | what | target | stretch | reached (range) | meets | `benches/peers/run.py …` |", "|---|---|---|---|---|---|---|"]
    for line in lines:
        sign, w = "≥" if line["more_is_better"] else "≤", lambda v: written(v, line["unit"])
        r = line["reached"]
        reached = f"**{w(r['median'])}** ({w(r['low'])}–{w(r['high'])})" if r else "–"
        unit = "" if line["unit"] == "×" else " " + line["unit"]
        out.append(f"| {line['id']} | {line['what']} | {sign} {w(line['target'])}{unit} | {sign} {w(line['stretch'])} | {reached} "
                   f"| {line['meets']} | `{line['command'].removeprefix(RUN + ' ')}` |")
    return "\n".join(out)


def compare(earlier, later):
    """Two runs beside each other, as Markdown: how far apart are they?"""
    out = ["| | what | earlier | later | apart |", "|---|---|---:|---:|---:|"]
    for a, b in zip(earlier["targets"], later["targets"]):
        if a["reached"] and b["reached"]:
            x, y = a["reached"]["median"], b["reached"]["median"]
            out.append(f"| {a['id']} | {a['what']} | {written(x, a['unit'])} | {written(y, b['unit'])} | {abs(y - x) / x:.1%} |")
    for workload in sorted(set(earlier["proxied"]) & set(later["proxied"])):
        x, y = (f["proxied"][workload]["systems"].get("haproxy", {}).get("cpu_us") for f in (earlier, later))
        if x and y:
            x, y = x["median"], y["median"]
            out.append(f"| | what the host was like: HAProxy's µs at {workload} | {x:.1f} | {y:.1f} | {abs(y - x) / x:.1%} |")
    return "\n".join(out)
