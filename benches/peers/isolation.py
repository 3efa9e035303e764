"""P8: does what happens beside the traffic show in the tail of the traffic?

A proxied route is asked at a fixed rate (pace.c: latencies count from when a request was due), in turn while nothing else
happens and while something does. All of the gateway, its hashing thread too, shares CPU 0, which is harder than a machine
that has a core to spare. On CPU 1 the paced generator and the upstream go before everything else, and the flood comes last:
otherwise the tail is that of whoever measures. For the same reason no CPU may sleep, and of what goes on without
pause the p99 of each quarter of a second is taken and then the median of these, of all gateways together: the host's own
pauses, some of them ten milliseconds long, are in few quarters but would be all of the slowest hundredth. What comes and
goes may be in few quarters itself, so there the p99 is that of all requests.
"""
import contextlib, http.client, os, signal, statistics, subprocess, threading, time

import accounts
from load import WRK, address, pace, warm_up
from machine import HERE, LOAD_CPU, Meter, awake, compile_c, quiet, start, stop
from sampling import take
from stores import Redis
from systems import PORTS, program, running, settings

RATE = 1000
SPAN, SPANS = 1, 6  # seconds, and how many of each kind in turn: short ones, so that both kinds see the same minute of a machine that others use too
STARTS = 3  # gateways that meet the flood for each round of what has a target: one's ratio was 1.0 and another's 2.6
CLIENTS = 200
PEOPLE = 1000
OPEN_LIMITS = {"PER_IP": "4000000000/1m", "PER_ACCOUNT_IP": "4000000000/1m", "PER_ACCOUNT": "4000000000/1m"}

# name: what happens meanwhile
MEANWHILE = {
    "flood": f"{CLIENTS} clients log in without pause; no limit stops them before the hashing queue",
    "limited": f"{CLIENTS} clients of one address log in without pause; limits as shipped",
    "scrape": "metrics are read ten times a second",
    "reload": "the configuration is reloaded twice a second",
    "rotate": "signing keys are rotated once a second",
    "store": "the sessions store (Redis) does not answer",
}
STEADY = {"flood", "limited", "store"}


@contextlib.contextmanager
def flood(*_):
    env = {"BENCH_ACCOUNTS": str(PEOPLE), "BENCH_PASSWORD": accounts.PASSWORD}
    cmd = [WRK, "-t1", f"-c{CLIENTS}", "-d600", "-s", f"{HERE}/wrk/login.lua", address("jwt")]
    p = start(cmd, LOAD_CPU, env, last=True)
    try:
        time.sleep(0.5)
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
    cmd = ["nice", "-n", "19", program(s), "--config", settings(s), "keys", "rotate"]
    return again_and_again(lambda: subprocess.run(cmd, stdout=subprocess.DEVNULL, check=False), 1)


@contextlib.contextmanager
def dead_store(redis):
    os.kill(redis.p.pid, signal.SIGSTOP)
    try:
        time.sleep(1.5)
        yield
    finally:
        os.kill(redis.p.pid, signal.SIGCONT)


def tail(took):
    """Of latencies in µs."""
    took = sorted(took)
    at = lambda q: took[int((len(took) - 1) * q)]
    return {"n": len(took), "p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "max": took[-1]}


def quarters(took):
    """The p99 of each quarter of a second; of latencies in the order of their requests."""
    some = RATE // 4
    return [tail(took[i:i + some])["p99"] for i in range(0, len(took) - some + 1, some)]


def sample(s, name, o):
    """Quiet and disturbed spans in turn, against one gateway; each kind's latencies together, since a tail needs many."""
    more = OPEN_LIMITS if name == "flood" else {}
    with contextlib.ExitStack() as stack:
        redis = None
        if name == "store":
            redis = stack.enter_context(Redis())
            more = {"SESSIONS": redis.url}
        fill = {"flood": PEOPLE, "limited": PEOPLE}.get(name)
        between = (lambda: accounts.add(program(s), settings(s), fill)) if fill else None
        quiet(o.patience)
        p = stack.enter_context(running(s, "jwt", more, between))
        warm_up("wrk-tokens", "jwt")
        doing = {"flood": flood, "limited": flood, "scrape": scrape, "reload": reload, "rotate": rotate,
                 "store": lambda *_: dead_store(redis)}[name]
        stack.enter_context(awake())
        took, failed, meter = {"quiet": [], name: []}, {"quiet": 0, name: 0}, Meter(p.pid)
        for now in SPANS * list(took):
            with doing(p, s) if now == name else contextlib.nullcontext():
                r = pace("jwt", RATE, SPAN)
            took[now] += r["took"]
            failed[now] += r["failed"]
            if now == name:
                time.sleep(0.5)  # what waits to be hashed is dropped, and a store that was stopped is found again
        used = meter.read()
    quiet_one, other = ({**tail(took[k]), "quarters": quarters(took[k]), "failed": failed[k]} for k in took)
    return other | {"quiet": quiet_one} | {k: used[k] for k in ("disturbed", "busy0")}


def measure(o, systems, keep, rounds):
    compile_c("pace")
    for name in MEANWHILE:
        # The flood has a target; of the others a glimpse will do.
        numbers = [STARTS * rnd + n for rnd in rounds for n in range(STARTS)] if name == "flood" else [0] * (rounds[0] == 0)
        for number in numbers:
            row = {"part": "isolation", "meanwhile": name, "round": number}
            take(o, keep, row, lambda: sample(systems["gateward"], name, o))


def told(r):
    now, before = (statistics.median(some["quarters"]) for some in (r, r["quiet"]))
    return (f"p50 {r['p50']} p99 {r['p99']} ({now:.0f} in a quarter second) p99.9 {r['p999']} max {r['max']} µs of {r['n']}, "
            f"failed {r['failed']}; quiet p50 {r['quiet']['p50']} p99 {r['quiet']['p99']} ({before:.0f}) "
            f"p99.9 {r['quiet']['p999']}; cpu0 {r['busy0']:.0%}")
