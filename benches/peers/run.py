#!/usr/bin/env python3
"""Benchmark reverse proxies against each other on one machine.

    benches/peers/run.py --peers haproxy,envoy --workloads W1,W2 --rounds 3 --secs 8
    benches/peers/run.py --systems mine.toml --peers haproxy,mine --out r.jsonl
    benches/peers/run.py --report --out r.jsonl

The proxy under test is pinned to CPU 0; upstream and load generator to CPU 1.
Every sample starts a fresh proxy, warms it up, loads it for --secs, and records
CPU microseconds per request (utime+stime of the proxy's process tree), requests
per second, latency and memory.  Systems are interleaved: A B C A B C ...

Environment: BENCH_DIR (work folder), BENCH_LOCK (flock'ed during each round, so
that other jobs on the machine can keep out), WRK, H2LOAD, CC, and the names in
systems.toml's [defaults].  All traffic stays on 127.0.0.1.
"""
import argparse, base64, fcntl, http.client, importlib.util, json, os, re, resource, shlex
import shutil, signal, socket, statistics, subprocess, sys, tempfile, time, tomllib

HERE = os.path.dirname(os.path.abspath(__file__))
DIR = os.environ.get("BENCH_DIR", os.path.join(tempfile.gettempdir(), "gwbench"))
WRK, H2LOAD = os.environ.get("WRK", "wrk"), os.environ.get("H2LOAD", "h2load")
BASE = int(os.environ.get("BENCH_PORT", "19080"))
PORTS = {"PLAIN": BASE, "JWT": BASE + 1, "TLS": BASE + 2, "TLSJWT": BASE + 3, "UP": BASE + 10}
PROXY_CPU, LOAD_CPU = {0}, {1}
TICK = os.sysconf("SC_CLK_TCK")
sys.path.insert(0, HERE)

# name: (listener, how, what it is)
WORKLOADS = {
    "W1": ("plain", "wrk", "cleartext h1 -> h1, keep-alive, 64 conns, 1 KB"),
    "W2": ("jwt", "wrk", "W1 + RS256 JWT, one token"),
    "W3": ("jwt", "wrk-tokens", "W1 + RS256 JWT, 5,000 tokens in turn"),
    "W4": ("tlsjwt", "wrk", "TLS 1.3 h1 keep-alive + RS256 JWT, one token"),
    "W5": ("tlsjwt", "h2load", "TLS 1.3 h2 (-c 8 -m 16) + RS256 JWT, one token"),
    "W6": ("plain", "wrk-100k", "cleartext h1, 100 KB body"),
    "W7": ("tls", "wrk-close", "full TLS 1.3 handshake per request"),
    "W8": ("plain", "idle", "5,000 idle keep-alive connections"),
    "W8t": ("tls", "idle", "5,000 idle keep-alive TLS 1.3 connections"),
    # no JWT: separates the TLS and h2 cost from the token's
    "W4p": ("tls", "wrk", "TLS 1.3 h1 keep-alive, no JWT"),
    "W5p": ("tls", "h2load", "TLS 1.3 h2 (-c 8 -m 16), no JWT"),
    "W1c8": ("plain", "wrk8", "W1 with 8 connections"),
}


# ---------------------------------------------------------------- processes
def start(cmd, cpus, env=None, log=None, **kw):
    out = open(log, "ab") if log else subprocess.DEVNULL

    def pre():
        os.sched_setaffinity(0, cpus)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(65536, hard), hard))
    return subprocess.Popen(cmd, stdout=kw.pop("stdout", out), stderr=out, preexec_fn=pre,
                            env={**os.environ, **(env or {})}, **kw)


def stop(p):
    if p.poll() is None:
        p.send_signal(signal.SIGTERM)
        try:
            p.wait(3)
        except subprocess.TimeoutExpired:
            for pid in tree(p.pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            p.wait()


def tree(pid):
    pids = [pid]
    for q in pids:
        try:
            for t in os.listdir(f"/proc/{q}/task"):
                pids += [int(x) for x in open(f"/proc/{q}/task/{t}/children").read().split()]
        except FileNotFoundError:
            pass
    return pids


def cpu_us(pid):
    user = system = 0
    for p in tree(pid):
        f = open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()
        user += int(f[11])
        system += int(f[12])
    return user * 1e6 / TICK, system * 1e6 / TICK


def run_delay(pid):
    """Seconds the process tree was runnable but waiting for a CPU: if another
    job shares the proxy's CPU, this shows it."""
    ns = 0
    for p in tree(pid):
        for t in os.listdir(f"/proc/{p}/task"):
            try:
                ns += int(open(f"/proc/{p}/task/{t}/schedstat").read().split()[1])
            except FileNotFoundError:
                pass
    return ns / 1e9


def pss(pid):
    kb = rss = 0
    for p in tree(pid):
        for line in open(f"/proc/{p}/smaps_rollup"):
            if line.startswith("Pss:"):
                kb += int(line.split()[1])
            elif line.startswith("Rss:"):
                rss += int(line.split()[1])
    return kb, rss


def machine():
    r = {}
    for line in open("/proc/stat"):
        if line.startswith("cpu") and line[3] in "01":
            f = [int(x) for x in line.split()[1:]]
            r[line[3]] = (f[0] + f[1] + f[2] + f[5] + f[6], sum(f[:8]), f[7])
    return r


def quiet(most=0.15, patience=60):
    """Wait until the machine is otherwise idle (or patience runs out)."""
    t = time.time()
    while time.time() - t < patience:
        a = machine()
        time.sleep(0.3)
        b = machine()
        if all((b[c][0] - a[c][0]) / max(b[c][1] - a[c][1], 1) < most for c in "01"):
            return
        time.sleep(0.5)


def wait_port(port, p, secs=15):
    t = time.time()
    while time.time() - t < secs:
        if p.poll() is not None:
            raise RuntimeError(f"exited with {p.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.03)
    raise RuntimeError("did not open its port")


# ---------------------------------------------------------------- systems
def load_systems(files):
    systems, defaults = {}, {}
    for path in files:
        with open(path, "rb") as f:
            d = tomllib.load(f)
        defaults.update(d.pop("defaults", {}))
        for name, s in d.items():
            s["home"] = os.path.dirname(os.path.abspath(path))
            systems[name] = s
    for s in systems.values():
        s["defaults"] = defaults
    return systems


def render(name, s, listener):
    import fixtures
    v = {k: os.environ.get(k, d) for k, d in s["defaults"].items()}
    v |= {k: str(x) for k, x in PORTS.items()}
    v |= {"DIR": DIR, "HERE": HERE, "ISS": fixtures.ISS, "AUD": fixtures.AUD, "KID": open(f"{DIR}/kid").read(),
          # for a system that opens one listener at a time
          "PORT": str(PORTS[listener.upper()]), "SCHEME": "https" if listener.startswith("tls") else "http",
          "AUTH": "required" if listener.endswith("jwt") else "public",
          "SPKI_B64": base64.b64encode(open(f"{DIR}/rsa.pub.der", "rb").read()).decode()}
    v |= s.get("vars", {})

    def sub(t):
        for _ in range(2):  # a default may name another
            t = re.sub(r"@([A-Z0-9_]+)@", lambda m: v.get(m[1], m[0]), t)
        return t
    cfg = None
    for c in s.get("config", []):
        src = os.path.join(s["home"], c)
        if c.endswith(".py"):
            spec = importlib.util.spec_from_file_location("cfg", src)
            mod = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(mod)
            text, out = mod.config(v, **s.get("args", {})), f"{DIR}/{name}.json"
        else:
            base = os.path.basename(c).removesuffix(".in")
            out = f"{DIR}/{base}" if base.endswith(".js") else f"{DIR}/{name}.{base}"
            text = sub(open(src).read())
        with open(out, "w") as f:
            f.write(text)
        cfg = cfg or out
    v["CFG"] = cfg or ""
    for d in s.get("fresh", []):
        shutil.rmtree(sub(d), ignore_errors=True)
    for c in s.get("prepare", []):
        subprocess.run(shlex.split(sub(c)), check=True, stdout=subprocess.DEVNULL)
    return shlex.split(sub(s["cmd"])), {k: sub(x) for k, x in s.get("env", {}).items()}


def preflight(name, s, listener):
    """Is it really doing the work?  Returns a list of complaints."""
    port, bad = PORTS[listener.upper()], []

    def get(tok=None, extra=None, path="/echo"):
        import ssl
        if listener.startswith("tls"):
            c = http.client.HTTPSConnection("127.0.0.1", port, timeout=5,
                                            context=ssl._create_unverified_context())
        else:
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        h = dict(extra or {})
        if tok:
            h["Authorization"] = "Bearer " + open(f"{DIR}/{tok}").read().strip()
        c.request("GET", path, headers=h)
        r = c.getresponse()
        b = r.read()
        c.close()
        return r.status, b.decode("latin1").lower()
    if not listener.endswith("jwt"):
        st, b = get()
        return [] if st == 200 else [f"plain: {st}"]
    st, b = get("token", {"X-Auth-Sub": "spoofed"})
    if st != 200:
        bad.append(f"valid token: {st}")
    if not s.get("unverified"):
        for t in (None, "bad-sig", "bad-exp", "bad-aud", "bad-iss", "bad-none"):
            if get(t)[0] not in (401, 403):
                bad.append(f"{t}: {get(t)[0]}")
        claims = json.loads(base64.urlsafe_b64decode(open(f"{DIR}/token").read().split(".")[1] + "=="))
        for c in ("sub", "email", "sid"):
            if f"x-auth-{c}: {claims[c]}" not in b:
                bad.append(f"x-auth-{c} not forwarded")
        if "spoofed" in b:
            bad.append("spoofed identity header forwarded")
    return bad


# ---------------------------------------------------------------- load
def wrk_parse(out):
    g = lambda p: re.search(p, out)

    def us(s):
        m = re.fullmatch(r"([\d.]+)(us|ms|s)", s)
        return float(m[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[m[2]]
    n = int(g(r"(\d+) requests in")[1])
    secs = g(r"requests in ([\d.]+)(s|m)")
    err = g(r"Non-2xx or 3xx responses: (\d+)")
    sock = g(r"Socket errors: (.*)")
    return {"n": n, "rps": float(g(r"Requests/sec:\s+([\d.]+)")[1]),
            "p50": us(g(r"\n\s+50%\s+(\S+)")[1]), "p99": us(g(r"\n\s+99%\s+(\S+)")[1]),
            "errors": int(err[1]) if err else 0, "sock": sock[1] if sock else ""}


def generate(how, listener, secs):
    port = PORTS[listener.upper()]
    tls = listener.startswith("tls")
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}{'/100k' if how.endswith('100k') else '/'}"
    auth = ["-H", "Authorization: Bearer " + open(f"{DIR}/token").read()] if listener.endswith("jwt") else []
    env = {}
    if how == "h2load":
        log = f"/dev/shm/gwbench-h2.{os.getpid()}"
        if os.path.exists(log):
            os.unlink(log)
        cmd = [H2LOAD, "-c", "8", "-m", "16", "-D", str(secs), "--log-file", log] + auth + [url]
    else:
        conns = "8" if how == "wrk8" else "64"
        cmd = [WRK, "-t1", "-c" + conns, f"-d{secs}", "--latency"]
        if how == "wrk-tokens":
            cmd += ["-s", f"{HERE}/wrk/tokens.lua"]
            env["BENCH_TOKENS"] = f"{DIR}/tokens"
        else:
            cmd += auth
        if how == "wrk-close":
            cmd += ["-H", "Connection: close"]
        cmd.append(url)
    p = start(cmd, LOAD_CPU, env, stdout=subprocess.PIPE)
    out, _ = p.communicate(timeout=secs + 30)
    out = out.decode()
    if how != "h2load":
        try:
            return wrk_parse(out)
        except TypeError:
            raise RuntimeError("wrk said: " + out)
    m = re.search(r"requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", out)
    lat = sorted(int(l.rsplit(None, 1)[1]) for l in open(log))
    ok = re.search(r"status codes: (\d+) 2xx", out)
    os.unlink(log)
    n = int(m[3])
    return {"n": n, "rps": float(re.search(r"finished in [\d.]+m?s, ([\d.]+) req/s", out)[1]),
            "p50": lat[len(lat) // 2] if lat else 0, "p99": lat[len(lat) * 99 // 100] if lat else 0,
            "errors": max(0, n - int(ok[1])), "sock": ""}


def sample(name, s, w, secs, idle_n):
    listener, how, _ = WORKLOADS[w]
    cmd, env = render(name, s, listener)
    quiet()
    p = start(cmd, PROXY_CPU, env, log=f"{DIR}/{name}.log")
    try:
        wait_port(PORTS[listener.upper()], p)
        bad = preflight(name, s, listener)
        if bad:
            raise RuntimeError("preflight: " + "; ".join(bad))
        r = {"system": name, "workload": w}
        if how == "idle":
            generate("wrk", listener, 1)
            time.sleep(2.5)
            p0, r0 = pss(p.pid)
            q = start([sys.executable, f"{HERE}/idle.py", str(PORTS[listener.upper()]), str(idle_n)]
                      + (["tls"] if listener == "tls" else []), LOAD_CPU,
                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            try:
                if q.stdout.readline().strip() != b"ready":
                    raise RuntimeError("idle opener failed")
                time.sleep(3.5)  # a proxy may give buffers back after a while
                p1, r1 = pss(p.pid)
                q.stdin.close()
                dead = int(q.stdout.read().split()[1])
            finally:
                stop(q)
            return r | {"pss_kb": p1, "rss_kb": r1, "base_kb": p0, "dead": dead, "per_conn": (p1 - p0) * 1024 / idle_n}
        generate(how, listener, 1)
        time.sleep(0.2)
        m0, (u0, s0), d0, t0 = machine(), cpu_us(p.pid), run_delay(p.pid), time.time()
        r |= generate(how, listener, secs)
        (u1, s1), m1 = cpu_us(p.pid), machine()
        r["waited"] = (run_delay(p.pid) - d0) / (time.time() - t0)
        r["pss_kb"], r["rss_kb"] = pss(p.pid)
        n = max(r["n"], 1)
        r["cpu_us"], r["user_us"], r["sys_us"] = (u1 - u0 + s1 - s0) / n, (u1 - u0) / n, (s1 - s0) / n
        for c in "01":
            r["busy" + c] = (m1[c][0] - m0[c][0]) / max(m1[c][1] - m0[c][1], 1)
            r["steal" + c] = (m1[c][2] - m0[c][2]) / max(m1[c][1] - m0[c][1], 1)
        return r
    finally:
        stop(p)


# ---------------------------------------------------------------- report
def med(xs):
    return statistics.median(xs)


def report(path, base, only=None, names=None, max_wait=0.08):
    rows = [json.loads(l) for l in open(path)]
    shared = [r for r in rows if r.get("waited", 0) >= max_wait]
    rows = [r for r in rows if r.get("waited", 0) < max_wait]
    if shared:
        print(f"({len(shared)} samples left out: another job shared the proxy's CPU)")
    for w in WORKLOADS:
        if only and w not in only:
            continue
        by = {}
        for r in rows:
            if r["workload"] == w and "fail" not in r and (not names or r["system"] in names):
                by.setdefault(r["system"], []).append(r)
        if not by:
            continue
        print(f"\n### {w}: {WORKLOADS[w][2]}\n")
        if w.startswith("W8"):
            print("| system | PSS before (MB) | PSS with idle conns (MB) | bytes per connection | n |\n| --- | ---: | ---: | ---: | ---: |")
            for s, rs in sorted(by.items(), key=lambda x: med([r["per_conn"] for r in x[1]])):
                g = lambda k: med([r[k] for r in rs])
                print(f"| {s} | {g('base_kb')/1024:.1f} | {g('pss_kb')/1024:.1f} | {g('per_conn'):.0f} ({min(r['per_conn'] for r in rs):.0f}-{max(r['per_conn'] for r in rs):.0f}) | {len(rs)} |")
            continue
        # drift of the machine between rounds cancels in the ratio within a round
        ref = {r["round"]: r["cpu_us"] for r in by.get(base, [])}
        print(f"| system | CPU µs/req (min-max) | vs {base} | user/sys µs | req/s | p50 µs | p99 µs | PSS MB | CPU0 / CPU1 busy | errors | n |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for s, rs in sorted(by.items(), key=lambda x: med([r["cpu_us"] for r in x[1]])):
            g = lambda k: med([r[k] for r in rs])
            c = [r["cpu_us"] for r in rs]
            q = [r["cpu_us"] / ref[r["round"]] for r in rs if r["round"] in ref]
            ratio = f"{med(q):.2f} ({min(q):.2f}-{max(q):.2f})" if q else "-"
            print(f"| {s} | {med(c):.2f} ({min(c):.2f}-{max(c):.2f}) | {ratio} | {g('user_us'):.1f}/{g('sys_us'):.1f} "
                  f"| {g('rps'):.0f} | {g('p50'):.0f} | {g('p99'):.0f} | {g('pss_kb')/1024:.1f} | {g('busy0'):.0%} / {g('busy1'):.0%} "
                  f"| {sum(r['errors'] for r in rs)} | {len(rs)} |")
    late = [r["waited"] for r in rows if "waited" in r]
    if late:
        print(f"\n(share of time the proxy waited for its CPU: median {med(late):.1%}, worst {max(late):.1%})")
    steal = [max(r.get("steal0", 0), r.get("steal1", 0)) for r in rows]
    if steal:
        print(f"\n(highest steal time in any sample: {max(steal):.1%})")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--peers", default="gateward,haproxy,nginx,nginx-noauth")
    a.add_argument("--workloads", default="W1,W2")
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--secs", type=int, default=8)
    a.add_argument("--idle", type=int, default=5000)
    a.add_argument("--systems", action="append", default=[], help="more systems (TOML)")
    a.add_argument("--out", default=os.path.join(DIR, "results.jsonl"), help="samples are appended here")
    a.add_argument("--base", default="haproxy", help="the system that ratios refer to")
    a.add_argument("--max-wait", type=float, default=0.08, help="retry a sample whose proxy waited this share of the time for its CPU")
    a.add_argument("--report", action="store_true", help="only print the tables of --out")
    a.add_argument("--check", action="store_true", help="only check that every system does the work")
    o = a.parse_args()
    if o.report:
        ws = o.workloads.split(",") if "--workloads" in sys.argv else None
        return report(o.out, o.base, ws, o.peers.split(",") if "--peers" in sys.argv else None, o.max_wait)
    os.makedirs(DIR, exist_ok=True)
    import fixtures
    fixtures.make(DIR)
    systems = load_systems([os.path.join(HERE, "systems.toml")] + o.systems)
    names = o.peers.split(",")
    for n in names:
        if n not in systems:
            sys.exit(f"unknown system {n}")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("needs two CPUs")
    up_bin = f"{DIR}/upstream"
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", up_bin, f"{HERE}/upstream.c"], check=True)
    lock = open(os.environ["BENCH_LOCK"], "a") if os.environ.get("BENCH_LOCK") else None
    up = start([up_bin, str(PORTS["UP"])], LOAD_CPU)
    failed = 0
    try:
        wait_port(PORTS["UP"], up)
        for w in o.workloads.split(","):
            todo = [n for n in names if WORKLOADS[w][0] in systems[n]["has"]]
            for rnd in range(1 if o.check else o.rounds):
                if lock:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                try:
                    for n in todo:
                        try:
                            for _ in range(3):  # again, if something else took the proxy's CPU
                                r = sample(n, systems[n], w, 1 if o.check else o.secs, o.idle)
                                if r.get("waited", 0) < o.max_wait or o.check:
                                    break
                                print(f"{w} r{rnd} {n:14} CPU 0 was shared ({r['waited']:.0%}), again", flush=True)
                        except Exception as e:
                            r = {"system": n, "workload": w, "fail": repr(e)}
                            failed += 1
                        r["round"] = rnd
                        msg = r.get("fail") or (f"{r['per_conn']:.0f} B/conn" if "per_conn" in r else
                                                f"{r['cpu_us']:.2f} us  {r['rps']:.0f}/s p50 {r['p50']:.0f} p99 {r['p99']:.0f} "
                                                f"cpu0 {r['busy0']:.0%} cpu1 {r['busy1']:.0%} wait {r['waited']:.1%} err {r['errors']} {r['sock']}")
                        print(f"{w} r{rnd} {n:14} {msg}", flush=True)
                        if not o.check:
                            with open(o.out, "a") as f:
                                f.write(json.dumps(r) + "\n")
                finally:
                    if lock:
                        fcntl.flock(lock, fcntl.LOCK_UN)
                        time.sleep(1)  # let a waiting job in
    finally:
        stop(up)
    if not o.check:
        report(o.out, o.base, o.workloads.split(","), None, o.max_wait)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
