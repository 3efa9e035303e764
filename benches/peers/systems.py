"""Systems under test: their configuration rendered, started, and seen to do the work before they are measured."""
import base64, contextlib, http.client, importlib.util, json, os, re, shlex, shutil, ssl, subprocess, threading, tomllib

import fixtures
from machine import DIR, HERE, PROXY_CPU, Unfit, start, stop, wait_port

BASE = int(os.environ.get("BENCH_PORT", "19080"))
SHARED = {"UP": 10, "REDIS": 11}
OWN = {"PLAIN": 0, "JWT": 1, "TLS": 2, "TLSJWT": 3, "ADMIN": 19}
_here = threading.local()


class Ports:
    """Systems that stand side by side have a place each: listeners of their own, before the one upstream."""

    def __getitem__(self, name):
        return BASE + SHARED[name] if name in SHARED else BASE + OWN[name] + 20 * getattr(_here, "place", 0)

    def items(self):
        return [(name, self[name]) for name in (*SHARED, *OWN)]


PORTS = Ports()


@contextlib.contextmanager
def place(n):
    """What this thread starts and asks meanwhile is in the place of that number."""
    before, _here.place = getattr(_here, "place", 0), n
    try:
        yield
    finally:
        _here.place = before


def load(files):
    """The systems of some TOML files, by name."""
    systems, defaults = {}, {}
    for path in files:
        with open(path, "rb") as f:
            d = tomllib.load(f)
        defaults.update(d.pop("defaults", {}))
        for name, s in d.items():
            systems[name] = s | {"name": name, "home": os.path.dirname(os.path.abspath(path))}
    for s in systems.values():
        s["defaults"] = defaults
    return systems


def default():
    return load([os.path.join(HERE, "systems.toml")])


def variables(s, listener, more):
    v = {k: os.environ.get(k, d) for k, d in s["defaults"].items()}
    v |= {k: str(x) for k, x in PORTS.items()}
    v |= {"NAME": s["name"], "DIR": DIR, "HERE": HERE, "ISS": fixtures.ISS, "AUD": fixtures.AUD, "KID": open(f"{DIR}/kid").read(),
          # for a system that opens one listener at a time
          "PORT": str(PORTS[listener.upper()]), "SCHEME": "https" if listener.startswith("tls") else "http",
          "AUTH": "required" if listener.endswith("jwt") else "public",
          "SPKI_B64": base64.b64encode(open(f"{DIR}/rsa.pub.der", "rb").read()).decode()}
    return v | s.get("vars", {}) | more


def render(s, listener, more):
    """Writes the system's configuration; returns its command line, its environment and its variables."""
    v = variables(s, listener, more)

    def sub(t):
        for _ in range(3):  # a value may name another
            t = re.sub(r"@([A-Z0-9_]+)@", lambda m: v.get(m[1], m[0]), t)
        return t
    v["CFG"] = ""
    for c in s.get("config", []):
        src = os.path.join(s["home"], c)
        if c.endswith(".py"):
            spec = importlib.util.spec_from_file_location("cfg", src)
            mod = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(mod)
            text, out = mod.config(v, **s.get("args", {})), f"{DIR}/{s['name']}.json"
        else:
            base = os.path.basename(c).removesuffix(".in")
            out = f"{DIR}/{base}" if base.endswith(".js") else f"{DIR}/{s['name']}.{base}"
            text = sub(open(src).read())
        with open(out, "w") as f:
            f.write(text)
        v["CFG"] = v["CFG"] or out
    return shlex.split(sub(s["cmd"])), {k: sub(x) for k, x in s.get("env", {}).items()}, sub


def program(s):
    """The system's program, or None when it is not installed."""
    v = {k: os.environ.get(k, d) for k, d in s["defaults"].items()} | {"HERE": HERE}
    name = re.sub(r"@([A-Z0-9_]+)@", lambda m: v.get(m[1], m[0]), s["cmd"].split()[0])
    return shutil.which(re.sub(r"@HERE@", HERE, name))


def settings(s):
    """Gateward's configuration file, once it was rendered."""
    return f"{DIR}/{s['name']}.gateward.toml"


@contextlib.contextmanager
def running(s, listener, more=None, between=None, check=True):
    """A fresh system on CPU 0. `between` is called after its state was prepared and before it starts."""
    cmd, env, sub = render(s, listener, more or {})
    if not shutil.which(cmd[0]):
        raise Unfit(f"{cmd[0]} is not installed")
    for d in s.get("fresh", []):
        shutil.rmtree(sub(d), ignore_errors=True)
    for c in s.get("prepare", []):
        subprocess.run(shlex.split(sub(c)), check=True, stdout=subprocess.DEVNULL)
    if between:
        between()
    p = start(cmd, PROXY_CPU, env, log=f"{DIR}/{s['name']}.log")
    try:
        wait_port(PORTS[listener.upper()], p, 120)
        bad = preflight(s, listener) if check else []
        if bad:
            raise Unfit("preflight: " + "; ".join(bad))
        yield p
    finally:
        stop(p)


def ask(listener, method="GET", path="/echo", headers=None, body=None):
    """One request on a connection of its own: status and body."""
    port = PORTS[listener.upper()]
    if listener.startswith("tls"):
        c = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=ssl._create_unverified_context())
    else:
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        c.request(method, path, body=body, headers={"Host": "localhost"} | (headers or {}))
        r = c.getresponse()
        return r.status, r.read().decode("latin1")
    finally:
        c.close()


def preflight(s, listener):
    """Is it really doing the work? A list of complaints."""
    def get(token=None, more=None):
        h = dict(more or {})
        if token:
            h["Authorization"] = "Bearer " + open(f"{DIR}/{token}").read().strip()
        status, body = ask(listener, headers=h)
        return status, body.lower()
    if not listener.endswith("jwt") or s.get("public"):
        st, body = get(None, {"X-Auth-Sub": "spoofed"})
        bad = [] if st == 200 else [f"plain: {st}"]
        return bad + (["spoofed identity header forwarded"] if s.get("public") and "spoofed" in body else [])
    bad = []
    st, body = get("token", {"X-Auth-Sub": "spoofed"})
    if st != 200:
        bad.append(f"valid token: {st}")
    if s.get("unverified"):
        return bad
    for t in (None, "bad-sig", "bad-exp", "bad-aud", "bad-iss", "bad-none"):
        got = get(t)[0]
        if got not in (401, 403):
            bad.append(f"{t}: {got}")
    claims = json.loads(base64.urlsafe_b64decode(open(f"{DIR}/token").read().split(".")[1] + "=="))
    bad += [f"x-auth-{c} not forwarded" for c in ("sub", "email", "sid") if f"x-auth-{c}: {claims[c]}" not in body]
    return bad + (["spoofed identity header forwarded"] if "spoofed" in body else [])
