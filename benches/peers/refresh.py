"""P10: what does a refresh cost beside the signature of its new access token?

CPU time of the gateway for each rotation, over that of one RS256 signature with a key that was parsed once, in the same
round; with sessions in SQLite and in Redis (whose own CPU time is shown apart). 64 sessions are rotated in turn over 16
connections, each with the token that its last answer brought.
"""
import contextlib

import accounts
import yardstick
from isolation import OPEN_LIMITS
from load import address, wrk
from machine import DIR, HERE, Meter, Unfit, quiet
from sampling import take
from stores import Redis
from systems import program, running

STORES = ["sqlite", "redis"]
SESSIONS = 64


def begin(name):
    """A file of fresh refresh tokens."""
    path = f"{DIR}/refresh-tokens-{name}"
    with open(path, "w") as f:
        f.writelines(accounts.sign_in("jwt", i) + "\n" for i in range(SESSIONS))
    return path


def rotate(tokens, seconds):
    r = wrk(["-c", "16", "-s", f"{HERE}/wrk/refresh.lua"], address("jwt"), seconds, {"BENCH_TOKENS": tokens})
    if set(r["status"]) != {"200"}:
        raise Unfit(f"not every refresh succeeded: {r['status']}")
    return r


def sample(s, store, benches, o):
    quiet(o.patience)
    config = f"{DIR}/{s['name']}.gateward.toml"
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(Redis()) if store == "redis" else None
        more = OPEN_LIMITS | ({"SESSIONS": redis.url} if redis else {})
        p = stack.enter_context(running(s, "jwt", more, lambda: accounts.add(program(s), config, SESSIONS)))
        warm, cold = begin("warm"), begin("cold")
        rotate(warm, 1)
        meter, other = Meter(p.pid), Meter(redis.p.pid) if redis else None
        r = rotate(cold, o.secs)
        used = meter.read()
        elsewhere = other.read()["cpu_us"] if other else 0
    raw = yardstick.signatures(benches, f"{DIR}/rsa.key", min(o.secs, 3))["cpu_us"]
    return {"cpu_us": used["cpu_us"] / r["n"], "signature_us": raw, "ratio": used["cpu_us"] / r["n"] / raw, "rps": r["rps"],
            "p99": r["p99"], "store_us": elsewhere / r["n"], "disturbed": used["disturbed"]}


def measure(o, systems, keep):
    benches = yardstick.program()
    for rnd in range(o.rounds):
        for store in STORES:
            row = {"part": "refresh", "store": store, "round": rnd}
            take(o, keep, row, lambda: sample(systems["gateward"], store, benches, o))


def told(r):
    return (f"{r['cpu_us']:.0f} µs a rotation, {r['signature_us']:.0f} a signature: {r['ratio']:.2f}; {r['rps']:.0f}/s, "
            f"p99 {r['p99']:.0f} µs, the store's own {r['store_us']:.0f} µs")
