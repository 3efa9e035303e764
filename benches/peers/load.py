"""Load generators, pinned to CPU 1 and bounded in time: wrk, h2load, and our own paced one (pace.c)."""
import json, os, re, shutil, subprocess, sys, threading

from machine import DIR, HERE, LOAD_CPU, Unfit, compile_c, output, start, stop, wait_port
from systems import PORTS

WRK, H2LOAD = os.environ.get("WRK", "wrk"), os.environ.get("H2LOAD", "h2load")


class Upstream:
    """The cheapest upstream there is, on CPU 1."""

    def __init__(self, first=False):
        self.first = first

    def __enter__(self):
        self.p = start([compile_c("upstream"), str(PORTS["UP"])], LOAD_CPU, first=self.first)
        try:
            wait_port(PORTS["UP"], self.p)
        except Unfit:
            raise Unfit(f"the upstream does not start: is port {PORTS['UP']} taken? BENCH_PORT moves all ports")
        return self

    def __exit__(self, *_):
        stop(self.p)


def missing():
    """What is needed and not installed."""
    return [name for name in (WRK, H2LOAD, "openssl", os.environ.get("CC", "cc")) if not shutil.which(name)]


def address(listener):
    return f"{'https' if listener.startswith('tls') else 'http'}://127.0.0.1:{PORTS[listener.upper()]}"


def token():
    return ["-H", "Authorization: Bearer " + open(f"{DIR}/token").read().strip()]


def generate(how, listener, seconds, authenticated=True, tokens=None, path="/", begin=0):
    """Loads a listener the way a workload says; returns requests done, rates, latencies, failures."""
    url = address(listener) + {"wrk-100k": "/100k", "wrk-chunk": "/chunk"}.get(how, path)
    authenticated &= listener.endswith("jwt")
    if how == "handshakes":
        return handshakes(listener, seconds)
    if how == "h2load":
        return h2load(["-c", "8", "-m", "16"] + (token() if authenticated else []), url, seconds)
    cmd = ["-c", "8" if how == "wrk8" else "64"]
    if how == "wrk-tokens" and authenticated:
        return wrk(cmd + ["-s", f"{HERE}/wrk/tokens.lua"], url, seconds, {"BENCH_TOKENS": tokens or f"{DIR}/tokens",
                                                                                   "BENCH_BEGIN": str(begin)})
    return wrk(cmd + (token() if authenticated else []), url, seconds)


def warm_up(how, listener, authenticated=True, tokens=None, path="/", count=5_000):
    """A second of load; where tokens are used in turn, as many as it takes until each was seen (also those of answers that wrk did not count)."""
    done = generate(how, listener, 1, authenticated, tokens, path)["n"]
    for _ in range(60):
        if how != "wrk-tokens" or not authenticated or done >= 1.5 * count:
            return
        done += generate(how, listener, 1, authenticated, tokens, path, done)["n"]
    raise Unfit(f"{count} tokens could not be seen once within a minute")


def handshakes(listener, seconds):
    """A connection for each request, and no session resumed: wrk takes its sessions up again wherever it is given tickets."""
    # s_time speaks HTTP/1.0 without a host; what it takes for a path ends its line and goes on to the rest of the head.
    path = "/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Rest:"
    cmd = ["openssl", "s_time", "-connect", f"127.0.0.1:{PORTS[listener.upper()]}", "-new", "-www", path, "-time", str(seconds)]
    clients = [start(cmd, LOAD_CPU, stdout=subprocess.PIPE) for _ in range(16)]
    done, errors = 0, 0
    for p in clients:
        out = p.communicate(timeout=seconds + 30)[0].decode()
        said = re.search(r"(\d+) connections in \d+ real seconds, (\d+) bytes read per connection", out)
        # The upstream's answer is longer than any refusal of ours.
        done, errors = done + int(said[1]) if said else done, errors + (not said or int(said[2]) < 1024)
    return {"n": done, "rps": done / seconds, "errors": errors}


def wrk(args, url, seconds, env=None):
    _, out = output([WRK, "-t1", f"-d{seconds}", "--latency", *args, url], LOAD_CPU, seconds + 60, env=env)
    return wrk_said(out)


def wrk_said(out):
    def us(s):
        m = re.fullmatch(r"([\d.]+)(us|ms|s)", s)
        return float(m[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[m[2]]

    def find(pattern):
        m = re.search(pattern, out)
        if not m:
            raise Unfit("wrk said: " + out)
        return m[1]
    bad, sock = re.search(r"Non-2xx or 3xx responses: (\d+)", out), re.search(r"Socket errors: (.*)", out)
    r = {"n": int(find(r"(\d+) requests in")), "rps": float(find(r"Requests/sec:\s+([\d.]+)")),
         "p50": us(find(r"\n\s+50%\s+(\S+)")), "p99": us(find(r"\n\s+99%\s+(\S+)")),
         "errors": int(bad[1]) if bad else 0, "sock": sock[1] if sock else ""}
    said = re.search(r"^said (\{.*\})$", out, re.M)
    return r | (json.loads(said[1]) if said else {})


def h2load(args, url, seconds):
    log = f"/dev/shm/gwbench-h2.{os.getpid()}.{threading.get_ident()}"
    if os.path.exists(log):
        os.unlink(log)
    _, out = output([H2LOAD, *args, "-D", str(seconds), "--log-file", log, url], LOAD_CPU, seconds + 60)
    m = re.search(r"requests: (\d+) total, (\d+) started, (\d+) done", out)
    ok, rps = re.search(r"status codes: (\d+) 2xx", out), re.search(r"finished in [\d.]+m?s, ([\d.]+) req/s", out)
    if not (m and ok and rps):
        raise Unfit("h2load said: " + out)
    lat = sorted(int(line.rsplit(None, 1)[1]) for line in open(log)) or [0]
    os.unlink(log)
    n = int(m[3])
    return {"n": n, "rps": float(rps[1]), "p50": lat[len(lat) // 2], "p99": lat[len(lat) * 99 // 100],
            "errors": max(0, n - int(ok[1])), "sock": ""}


def pace(listener, rate, seconds, connections=16):
    """Requests at a fixed rate, whatever the answers take: how many failed, and the others' latencies in µs, which count from when they were due."""
    program = os.path.join(DIR, "pace")
    cmd = [program, str(PORTS[listener.upper()]), str(rate), str(seconds), str(connections), f"{DIR}/tokens"]
    code, out = output(cmd, LOAD_CPU, seconds + 30, first=True)
    if code != 0:
        raise Unfit("pace said: " + out)
    return json.loads(out)


class Idle:
    """Open connections that say nothing after one request each (idle.py)."""

    def __init__(self, listener, count):
        cmd = [sys.executable, f"{HERE}/idle.py", str(PORTS[listener.upper()]), str(count)]
        self.cmd = cmd + (["tls"] if listener == "tls" else [])

    def __enter__(self):
        self.p = start(self.cmd, LOAD_CPU, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.p.stdout.readline().strip() != b"ready":
            stop(self.p)
            raise Unfit("the idle connections could not be opened")
        return self

    def close(self):
        """Closes them; how many the server had closed before."""
        self.p.stdin.close()
        return int(self.p.stdout.read().split()[1])

    def __exit__(self, *_):
        stop(self.p)
