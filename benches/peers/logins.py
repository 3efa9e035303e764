"""P9: what does a sign-in cost beside its password hash?

Sign-ins a second of the whole gateway over bare Argon2id hashes a second (same crate, parameters, number of threads and
priority), both with CPU 0 alone: whatever else a sign-in does is taken from the hashing thread's only core. They take turns
by tenths of a second; since what waits to be hashed outlives its generator, the gateway itself is stopped for that.
"""
import accounts
import yardstick
from isolation import OPEN_LIMITS
from load import address, wrk
from machine import HERE, Meter, Unfit, quiet
from sampling import take
from systems import program, running, settings
from turns import joined, take_turns

PEOPLE = 1000
SPAN = 2  # times --secs, of each in turn: a sign-in takes a hundredth of a second


def sign_in(seconds):
    env = {"BENCH_ACCOUNTS": str(PEOPLE), "BENCH_PASSWORD": accounts.PASSWORD}
    r = wrk(["-c", "16", "-s", f"{HERE}/wrk/login.lua"], address("jwt"), seconds, env)
    if set(r["status"]) != {"200"}:
        raise Unfit(f"not every sign-in succeeded: {r['status']}")
    return r


def sample(s, p, benches, o):
    def sign_ins():
        joined(p)
        return sign_in(seconds)
    seconds, meter = 2 * SPAN * o.secs, Meter(p.pid)
    (r, ran), (raw, hashed) = take_turns([sign_ins, lambda: yardstick.hashes(benches, settings(s), seconds)])
    used = meter.read()
    logins, hashes = r["n"] / ran, raw["count"] / hashed
    return {"logins": logins, "hashes": hashes, "ratio": logins / hashes, "cpu_us": used["cpu_us"] / r["n"], "hash_cpu_us": raw["cpu_us"],
            # The yardstick's work is no disturbance.
            "disturbed": max(0.0, used["others"] - 0.5)}


def measure(o, systems, keep, rounds):
    benches, s = yardstick.program(), systems["gateward"]
    quiet(o.patience)
    with running(s, "jwt", OPEN_LIMITS, lambda: accounts.add(program(s), settings(s), PEOPLE)) as p:
        sign_in(1)
        for rnd in rounds:
            take(o, keep, {"part": "logins", "round": rnd}, lambda: sample(s, p, benches, o))


def told(r):
    return (f"{r['logins']:.1f} sign-ins/s, {r['hashes']:.1f} hashes/s: {r['ratio']:.3f}; "
            f"{r['cpu_us']:.0f} µs CPU a sign-in, {r['hash_cpu_us']:.0f} of it the hash")
