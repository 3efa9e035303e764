"""P1 to P7: what does a proxied request cost, beside other proxies that do the same?

Every sample starts a fresh proxy, warms it up, loads it and takes its CPU time per request. Systems are interleaved
(A B C, then C B A), so that a drift of the machine falls on all of them; ratios are taken within a round.
"""
import time

from load import Idle, generate, warm_up
from machine import Meter, Unfit, pss_kb, quiet
from sampling import take
from systems import running

# name: (listener, how, what it is, systems)
WORKLOADS = {
    "W1": ("plain", "wrk", "cleartext h1, keep-alive, 64 connections, 1 KB"),
    "W2": ("jwt", "wrk", "W1 + RS256 JWT, one token"),
    "W3": ("jwt", "wrk-tokens", "W1 + RS256 JWT, 5,000 tokens in turn"),
    "W4": ("tlsjwt", "wrk", "TLS 1.3 h1 + RS256 JWT, one token"),
    "W4p": ("tls", "wrk", "TLS 1.3 h1, no JWT"),
    "W5": ("tlsjwt", "h2load", "TLS 1.3 h2 (-c 8 -m 16) + RS256 JWT, one token"),
    "W5p": ("tls", "h2load", "TLS 1.3 h2 (-c 8 -m 16), no JWT"),
    "W6": ("plain", "wrk-100k", "cleartext h1, 100 KB body"),
    "W7": ("tls", "handshakes", "a full TLS 1.3 handshake a request"),
    "W8": ("plain", "idle", "idle keep-alive connections"),
    "W8t": ("tls", "idle", "idle keep-alive TLS 1.3 connections"),
    "W1c8": ("plain", "wrk8", "W1 with 8 connections"),
}


def sample(s, workload, o):
    listener, how, _ = WORKLOADS[workload]
    quiet(o.patience)
    with running(s, listener) as p:
        if how == "idle":
            return idle(p, listener, o.idle)
        authenticated = not s.get("public")
        warm_up(how, listener, authenticated)
        time.sleep(0.2)
        meter = Meter(p.pid)
        r = generate(how, listener, o.secs, authenticated)
        used = meter.read()
        for k in ("cpu_us", "user_us", "sys_us"):
            used[k] /= max(r["n"], 1)
        return r | used | {"pss_kb": pss_kb(p.pid)}


def idle(p, listener, count):
    """Bytes of memory for each idle connection. The proxy has served requests before, so that only connections are new."""
    generate("wrk", listener, 1)
    time.sleep(2.5)
    before = pss_kb(p.pid)
    with Idle(listener, count) as open_connections:
        time.sleep(3.5)  # a proxy may give buffers back after a while
        after = pss_kb(p.pid)
        dead = open_connections.close()
    if dead:
        raise Unfit(f"{dead} idle connections were closed")
    return {"base_kb": before, "pss_kb": after, "per_conn": (after - before) * 1024 / count}


def measure(o, systems, keep):
    """All samples of the chosen workloads; `keep` takes each."""
    for w in o.workloads:
        chosen = [systems[n] for n in o.peers if WORKLOADS[w][0] in systems[n]["has"]]
        for rnd in range(o.rounds):
            for s in chosen if rnd % 2 == 0 else chosen[::-1]:
                row = {"part": "proxied", "workload": w, "system": s["name"], "round": rnd}
                take(o, keep, row, lambda: sample(s, w, o))


def told(r):
    if "per_conn" in r:
        return f"{r['per_conn']:.0f} bytes a connection"
    latency = f"p50 {r['p50']:.0f} p99 {r['p99']:.0f} " if "p50" in r else ""
    return (f"{r['cpu_us']:.2f} µs  {r['rps']:.0f}/s {latency}"
            f"cpu0 {r['busy0']:.0%} cpu1 {r['busy1']:.0%} waited {r['waited']:.1%} for others {r['disturbed']:.1%} errors {r['errors']} {r.get('sock', '')}")
