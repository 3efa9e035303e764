"""P11: does an authenticated request cost more, and how much memory is needed, as things grow?

Routes, revocations, live tokens and accounts grow one at a time; W3 is measured at each size. Each curve begins with
its own smallest size in the same round. Memory is what the process has after the load, once it stands still.
"""
import time

import accounts
from load import generate, warm_up
from machine import DIR, Meter, Unfit, quiet, settled_pss_kb
from sampling import take
from systems import program, running

SIZES = {
    "routes": [10, 100, 1_000, 10_000],
    "revocations": [0, 10_000, 100_000, 1_000_000],
    "tokens": [1, 1_000, 10_000, 100_000],
    "accounts": [0, 10_000, 100_000, 1_000_000],
}
ROUTE = '[[routes]]\nname = "app{0}"\npath = "/app{0}"\nupstream = "up"\nidentity = {{ preset = "none", headers = ' \
        '{{ X-Auth-Sub = "sub", X-Auth-Email = "email", X-Auth-Sid = "sid" }} }}\n'


def sample(s, what, size, o):
    quiet(o.patience)
    config = f"{DIR}/{s['name']}.gateward.toml"
    more, between, path, tokens = {}, None, "/", f"{DIR}/tokens"
    if what == "routes":
        more, path = {"ROUTES": "\n".join(ROUTE.format(i) for i in range(size))}, f"/app{size // 2}/x"
    elif what == "revocations" and size:
        between = lambda: accounts.revoke(size)
    elif what == "accounts" and size:
        between = lambda: accounts.add(program(s), config, size)
    elif what == "tokens":
        tokens = accounts.tokens(size)
    with running(s, "jwt", more, between) as p:
        warm_up("wrk-tokens", "jwt", True, tokens, path, size if what == "tokens" else 5_000)
        time.sleep(0.2)
        meter = Meter(p.pid)
        r = generate("wrk-tokens", "jwt", o.secs, tokens=tokens, path=path)
        used = meter.read()
        if r["errors"]:
            raise Unfit(f"{r['errors']} requests were refused")
        return {"cpu_us": used["cpu_us"] / r["n"], "rps": r["rps"], "p99": r["p99"], "disturbed": used["disturbed"],
                "pss_kb": settled_pss_kb(p.pid)}


def measure(o, systems, keep):
    for rnd in range(min(o.rounds, 3)):
        for what, sizes in SIZES.items():
            for size in [n for n in sizes if n <= o.grow_to]:
                row = {"part": "growth", "what": what, "size": size, "round": rnd}
                take(o, keep, row, lambda: sample(systems["gateward"], what, size, o))


def told(r):
    return f"{r['cpu_us']:.2f} µs a request, {r['pss_kb'] / 1024:.1f} MiB, p99 {r['p99']:.0f} µs, for others {r['disturbed']:.1%}"
