"""P12: how long from the start of the program to its first answer, keys and certificate present, embedded store?

The reference configuration's way: TLS, RS256, access log to a file. The clock runs from before the program is started to
the first whole answer of a proxied public route; the port is tried every quarter of a millisecond.
"""
import socket, ssl, time

from machine import DIR, PROXY_CPU, Unfit, quiet, start, stop
from sampling import take
from systems import PORTS, render, running

STARTS = 4


def once(cmd, env, name, listener):
    context = ssl._create_unverified_context()
    began = time.monotonic()
    p = start(cmd, PROXY_CPU, env, log=f"{DIR}/{name}.log")
    try:
        while True:
            try:
                raw = socket.create_connection(("127.0.0.1", PORTS[listener.upper()]), 5)
                break
            except OSError:
                if p.poll() is not None or time.monotonic() - began > 20:
                    raise Unfit("it does not start")
                time.sleep(0.00025)
        with context.wrap_socket(raw) if listener == "tls" else raw as c:
            c.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if not c.recv(16).startswith(b"HTTP/1.1 200"):
                raise Unfit("the first answer is not 200")
            return (time.monotonic() - began) * 1000
    finally:
        stop(p)


def sample(s, listener, o):
    quiet(o.patience)
    with running(s, listener):
        pass  # makes the keys, the secret and the database
    cmd, env, _ = render(s, listener, {})
    return {"ms": sorted(once(cmd, env, s["name"], listener) for _ in range(STARTS))[STARTS // 2]}


def measure(o, systems, keep, rounds):
    for rnd in rounds:
        for listener in ("tls", "plain"):
            row = {"part": "startup", "listener": listener, "round": rnd}
            take(o, keep, row, lambda: sample(systems["gateward"], listener, o))


def told(r):
    return f"{r['ms']:.1f} ms to the first answer"
