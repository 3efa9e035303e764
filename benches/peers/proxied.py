"""P1 to P7: what does a proxied request cost, beside other proxies that do the same?

All systems of a workload stand side by side, each behind listeners of its own, and are loaded in turn, a tenth of a second
each (turns.py): one that is not loaded does nothing, and all see the same second. Ratios are taken within a round, which
is so many seconds of each. From time to time all are started anew.
"""
import contextlib, time

from load import Idle, generate, warm_up
from machine import Unfit, pss_kb, quiet
from sampling import side_by_side, take, take_all
from systems import place, running

# Where each start has its own luck with memory, or the host its say, more starts: twice as many rounds in all.
STARTS = {"W3": 2, "W6": 2}

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
    "W1k": ("plain", "wrk-chunk", "W1, the 1 KB in a chunk"),
    "W2k": ("jwt", "wrk-chunk", "W2, the 1 KB in a chunk"),
}


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


def measure(o, systems, keep, rounds):
    """Some rounds of the chosen workloads; `keep` takes each sample."""
    for w in o.workloads:
        listener, how, _ = WORKLOADS[w]
        chosen = [systems[n] for n in o.peers if listener in systems[n]["has"]]
        if how != "idle":
            for n in range(STARTS.get(w, 1)):
                together(w, chosen, [STARTS.get(w, 1) * rnd + n for rnd in rounds], o, keep)
        elif rounds[0] == 0 or rounds[-1] == o.rounds - 1:
            one_by_one(w, chosen, rounds, o, keep)


def one_by_one(w, chosen, rounds, o, keep):
    """What an idle connection needs depends on no host: it is looked at first and last."""
    listener = WORKLOADS[w][0]
    for s in chosen:
        def sample():
            quiet(o.patience)
            with running(s, listener) as p:
                return idle(p, listener, o.idle)
        take(o, keep, row(w, s, rounds[0]), sample)


def together(w, chosen, rounds, o, keep):
    listener, how, _ = WORKLOADS[w]
    quiet(o.patience)
    with contextlib.ExitStack() as stack:
        ready = []
        for n, s in enumerate(chosen):
            try:
                with place(n):
                    p = stack.enter_context(running(s, listener))
                    warm_up(how, listener, not s.get("public"))
                ready.append((n, s, p))
            except (Unfit, OSError) as e:
                keep(row(w, s, rounds[0]) | {"fail": str(e)})

        def load(number, seconds):
            n, s, _ = ready[number]
            with place(n):
                return generate(how, listener, seconds, not s.get("public"))

        def sample():
            found = side_by_side([p for *_, p in ready], load, o.secs)
            return [r | {"pss_kb": pss_kb(p.pid)} for r, (*_, p) in zip(found, ready)]
        for rnd in rounds:
            take_all(o, keep, [row(w, s, rnd) for _, s, _ in ready], sample)


def row(w, s, rnd):
    return {"part": "proxied", "workload": w, "system": s["name"], "round": rnd}


def told(r):
    if "per_conn" in r:
        return f"{r['per_conn']:.0f} bytes a connection"
    return (f"{r['cpu_us']:.2f} µs  {r['rps']:.0f}/s cpu0 {r['busy0']:.0%} cpu1 {r['busy1']:.0%} for others {r['disturbed']:.1%} "
            f"errors {r['errors']} {r.get('sock', '')}")
