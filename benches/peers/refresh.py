"""P10: what does a refresh cost beside the signature of its new access token?

CPU time of the gateway for each rotation, over that of one RS256 signature with a key that was parsed once, the two in turn (turns.py); with sessions in SQLite and in Redis (whose own CPU time is shown apart). 64 sessions are rotated in turn over 16
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
from systems import program, running, settings
from turns import take_turns

STORES = ["sqlite", "redis"]
SESSIONS = 64
SPAN = 2  # times --secs


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


def sample(p, redis, benches, o):
    fresh = begin("fresh")
    meter, other = Meter(p.pid), Meter(redis.p.pid) if redis else None
    seconds = 2 * SPAN * o.secs
    (r, ran), (raw, _) = take_turns([lambda: rotate(fresh, seconds), lambda: yardstick.signatures(benches, f"{DIR}/rsa.key", seconds)])
    used = meter.read()
    elsewhere = other.read()["cpu_us"] if other else 0
    each, raw = used["cpu_us"] / r["n"], raw["cpu_us"]
    return {"cpu_us": each, "signature_us": raw, "ratio": each / raw, "rps": r["n"] / ran, "store_us": elsewhere / r["n"],
            # The yardstick's work is no disturbance.
            "disturbed": max(0.0, used["others"] - 0.5)}


def measure(o, systems, keep, rounds):
    benches, s = yardstick.program(), systems["gateward"]
    for store in STORES:
        quiet(o.patience)
        with contextlib.ExitStack() as stack:
            redis = stack.enter_context(Redis()) if store == "redis" else None
            more = OPEN_LIMITS | ({"SESSIONS": redis.url} if redis else {})
            p = stack.enter_context(running(s, "jwt", more, lambda: accounts.add(program(s), settings(s), SESSIONS)))
            rotate(begin("warm"), 1)
            for rnd in rounds:
                take(o, keep, {"part": "refresh", "store": store, "round": rnd}, lambda: sample(p, redis, benches, o))


def told(r):
    return (f"{r['cpu_us']:.0f} µs a rotation, {r['signature_us']:.0f} a signature: {r['ratio']:.2f}; {r['rps']:.0f}/s, "
            f"the store's own {r['store_us']:.0f} µs")
