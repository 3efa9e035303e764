"""P8: does what happens beside the traffic show in the tail of the traffic?

A proxied route is asked at a fixed rate (pace.c: latencies count from when a request was due) while nothing else happens,
and while something does. All of the gateway, its hashing thread too, shares CPU 0, which is harder than a machine that
has a core to spare; the flood comes last on CPU 1, so that it does not slow whoever measures.
"""
import contextlib, http.client, os, signal, subprocess, threading, time

import accounts
from load import WRK, address, pace
from machine import DIR, HERE, LOAD_CPU, Meter, compile_c, quiet, start, stop
from sampling import take
from stores import Redis
from systems import PORTS, program, running

RATE = 1000
CLIENTS = 200
PEOPLE = 1000
OPEN_LIMITS = {"PER_IP": "4000000000/1m", "PER_ACCOUNT_IP": "4000000000/1m", "PER_ACCOUNT": "4000000000/1m"}

# name: what happens meanwhile
MEANWHILE = {
    "quiet": "nothing",
    "flood": f"{CLIENTS} clients log in without pause; no limit stops them before the hashing queue",
    "limited": f"{CLIENTS} clients of one address log in without pause; limits as shipped",
    "scrape": "metrics are read ten times a second",
    "reload": "the configuration is reloaded twice a second",
    "rotate": "signing keys are rotated once a second",
    "store": "the sessions store (Redis) does not answer",
}


@contextlib.contextmanager
def flood(*_):
    env = {"BENCH_ACCOUNTS": str(PEOPLE), "BENCH_PASSWORD": accounts.PASSWORD}
    cmd = [WRK, "-t1", f"-c{CLIENTS}", "-d600", "-s", f"{HERE}/wrk/login.lua", address("jwt")]
    p = start(cmd, LOAD_CPU, env, last=True)
    try:
        time.sleep(1)
        yield
    finally:
        # SIGINT would have it print; nobody reads that.
        stop(p)


@contextlib.contextmanager
def again_and_again(action, pause):
    over = threading.Event()

    def run():
        while not over.wait(pause):
            action()
    t = threading.Thread(target=run)
    t.start()
    try:
        yield
    finally:
        over.set()
        t.join()


def scrape(*_):
    def read():
        c = http.client.HTTPConnection("127.0.0.1", PORTS["ADMIN"], timeout=5)
        c.request("GET", "/metrics")
        c.getresponse().read()
        c.close()
    return again_and_again(read, 0.1)


def reload(p, _):
    return again_and_again(lambda: os.kill(p.pid, signal.SIGHUP), 0.5)


def rotate(_, s):
    cmd = ["nice", "-n", "19", program(s), "--config", f"{DIR}/{s['name']}.gateward.toml", "keys", "rotate"]
    return again_and_again(lambda: subprocess.run(cmd, stdout=subprocess.DEVNULL, check=False), 1)


@contextlib.contextmanager
def dead_store(redis):
    os.kill(redis.p.pid, signal.SIGSTOP)
    try:
        time.sleep(1.5)
        yield
    finally:
        os.kill(redis.p.pid, signal.SIGCONT)


def sample(s, name, o):
    quiet(o.patience)
    more = OPEN_LIMITS if name == "flood" else {}
    with contextlib.ExitStack() as stack:
        redis = None
        if name == "store":
            redis = stack.enter_context(Redis())
            more = {"SESSIONS": redis.url}
        fill = {"flood": PEOPLE, "limited": PEOPLE}.get(name)
        config = f"{DIR}/{s['name']}.gateward.toml"
        between = (lambda: accounts.add(program(s), config, fill)) if fill else None
        p = stack.enter_context(running(s, "jwt", more, between))
        pace("jwt", RATE, 6)  # every token is known afterwards
        doing = {"quiet": contextlib.nullcontext, "flood": flood, "limited": flood, "scrape": scrape, "reload": reload,
                 "rotate": rotate, "store": lambda *_: dead_store(redis)}[name]
        with doing(p, s) if name != "quiet" else contextlib.nullcontext():
            meter = Meter(p.pid)
            r = pace("jwt", RATE, 2 * o.secs)  # a tail needs more samples than a mean
            used = meter.read()
    return r | {k: used[k] for k in ("disturbed", "busy0", "busy1")}


def measure(o, systems, keep):
    compile_c("pace")
    for rnd in range(o.rounds):
        for name in MEANWHILE:
            row = {"part": "isolation", "meanwhile": name, "round": rnd}
            take(o, keep, row, lambda: sample(systems["gateward"], name, o))


def told(r):
    return (f"p50 {r['p50']:.0f} p99 {r['p99']:.0f} p99.9 {r['p999']:.0f} max {r['max']:.0f} µs of {r['n']}, failed {r['failed']}, "
            f"cpu0 {r['busy0']:.0%} cpu1 {r['busy1']:.0%}")
