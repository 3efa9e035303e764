"""P9: what does a sign-in cost beside its password hash?

Sign-ins a second of the whole gateway over bare Argon2id hashes a second (same crate, parameters, number of threads and
priority), both with CPU 0 alone: whatever else a sign-in does is taken from the hashing thread's only core.
"""
import accounts
import yardstick
from isolation import OPEN_LIMITS
from load import address, wrk
from machine import DIR, HERE, Meter, Unfit, quiet
from sampling import take
from systems import program, running

PEOPLE = 1000


def sample(s, benches, o):
    quiet(o.patience)
    config = f"{DIR}/{s['name']}.gateward.toml"
    with running(s, "jwt", OPEN_LIMITS, lambda: accounts.add(program(s), config, PEOPLE)) as p:
        env = {"BENCH_ACCOUNTS": str(PEOPLE), "BENCH_PASSWORD": accounts.PASSWORD}
        load = ["-c", "16", "-s", f"{HERE}/wrk/login.lua"]
        wrk(load, address("jwt"), 1, env)
        meter = Meter(p.pid)
        r = wrk(load, address("jwt"), o.secs, env)
        used = meter.read()
    if set(r["status"]) != {"200"}:
        raise Unfit(f"not every sign-in succeeded: {r['status']}")
    raw = yardstick.hashes(benches, config, o.secs)
    return {"logins": r["rps"], "hashes": raw["per_second"], "ratio": r["rps"] / raw["per_second"],
            "cpu_us": used["cpu_us"] / r["n"], "hash_cpu_us": raw["cpu_us"], "disturbed": used["disturbed"]}


def measure(o, systems, keep):
    benches = yardstick.program()
    for rnd in range(o.rounds):
        take(o, keep, {"part": "logins", "round": rnd}, lambda: sample(systems["gateward"], benches, o))


def told(r):
    return (f"{r['logins']:.1f} sign-ins/s, {r['hashes']:.1f} hashes/s: {r['ratio']:.3f}; "
            f"{r['cpu_us']:.0f} µs CPU a sign-in, {r['hash_cpu_us']:.0f} of it the hash")
