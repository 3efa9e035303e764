"""P11: does an authenticated request cost more, and how much memory is needed, as things grow?

Routes, revocations, live tokens and accounts grow one at a time. A gateway of each size stands beside the others, W3 is
asked of them in turn (turns.py), and each is held against the smallest in the same round. Memory is what the process has after the
warm-up, once it stands still.
"""
import contextlib

import accounts
from load import generate, warm_up
from machine import DIR, Unfit, quiet, settled_pss_kb
from sampling import side_by_side, take_all
from systems import place, program, running, settings

SIZES = {
    "routes": [10, 100, 1_000, 10_000],
    "revocations": [0, 10_000, 100_000, 1_000_000],
    "tokens": [1, 1_000, 10_000, 100_000],
    "accounts": [0, 10_000, 100_000, 1_000_000],
}
ROUTE = '[[routes]]\nname = "app{0}"\npath = "/app{0}"\nupstream = "up"\nidentity = {{ preset = "none", headers = ' \
        '{{ X-Auth-Sub = "sub", X-Auth-Email = "email", X-Auth-Sid = "sid" }} }}\n'


def prepared(s, what, size):
    """What is asked of a gateway that has grown so far, and what is done before it starts."""
    more, between, path, tokens = {}, None, "/", f"{DIR}/tokens"
    if what == "routes":
        more, path = {"ROUTES": "\n".join(ROUTE.format(i) for i in range(size))}, f"/app{size // 2}/x"
    elif what == "revocations" and size:
        between = lambda: accounts.revoke(settings(s), size)
    elif what == "accounts" and size:
        between = lambda: accounts.add(program(s), settings(s), size)
    elif what == "tokens":
        tokens = accounts.tokens(size)
    return more, between, path, tokens


def together(gateward, what, sizes, rounds, o, keep):
    quiet(o.patience)
    with contextlib.ExitStack() as stack:
        ready = []
        for n, size in enumerate(sizes):
            s = gateward | {"name": f"gateward-{size}"}
            more, between, path, tokens = prepared(s, what, size)
            with place(n):
                p = stack.enter_context(running(s, "jwt", more, between))
                warm_up("wrk-tokens", "jwt", True, tokens, path, size if what == "tokens" else 5_000)
            ready.append((size, p, path, tokens))
        for size, p, *_ in ready:
            keep({"part": "growth", "what": what, "size": size, "round": rounds[0], "pss_kb": settled_pss_kb(p.pid)})

        def load(n, seconds):
            _, _, path, tokens = ready[n]
            with place(n):
                r = generate("wrk-tokens", "jwt", seconds, tokens=tokens, path=path)
            if r["errors"]:
                raise Unfit(f"{r['errors']} requests were refused")
            return r
        for rnd in rounds:
            rows = [{"part": "growth", "what": what, "size": size, "round": rnd} for size, *_ in ready]
            take_all(o, keep, rows, lambda: side_by_side([p for _, p, *_ in ready], load, o.secs))


def measure(o, systems, keep, rounds):
    half = (len(rounds) + 1) // 2
    for begun in (rounds[:half], rounds[half:]):
        for what, sizes in SIZES.items():
            if begun:
                together(systems["gateward"], what, [n for n in sizes if n <= o.grow_to], begun, o, keep)


def told(r):
    if "pss_kb" in r:
        return f"{r['pss_kb'] / 1024:.1f} MiB"
    return f"{r['cpu_us']:.2f} µs a request, for others {r['disturbed']:.1%}"
