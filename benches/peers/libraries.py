"""Whose instructions does a request take? The gateway under callgrind, counted while a load runs, by library.

What the kernel does is not among them. The release binary has no line numbers but names its functions, and a function
that was built into another counts as that one's: with link-time optimisation the shares say roughly where the time goes.
"""
import collections, glob, os, re, subprocess, tempfile, time

from load import generate
from machine import Unfit
from proxied import WORKLOADS
from sampling import take
from systems import running

PROFILED = ["W1", "W3", "W4p", "W5", "W5p"]
SECONDS = 8
# These by what they do, whoever calls them; the others by the first name in the function's own.
BY_WORK = [("malloc", r"_rjem|rallocx|sdallocx|mallocx|tcache|arena_"), ("cryptography", r"aws_lc|aesni|ghash|gcm|EVP_|CRYPTO_"),
           ("copying and comparing", r"__mem(cpy|move|set|cmp)")]
BY_NAME = re.compile(r"\b(gateward|hyper|h2|http|httparse|tokio|rustls)(?:_\w+)?::")
LIBRARIES = ["gateward", "hyper", "h2", "http", "httparse", "tokio", "rustls", "cryptography", "malloc", "copying and comparing", "the rest"]


def whose(function):
    for name, pattern in BY_WORK:
        if re.search(pattern, function):
            return name
    found = BY_NAME.search(function)
    return found[1] if found else "the rest"


def read(dump):
    """Instructions by library, from a callgrind dump: cost lines belong to the last `fn`, but for those after `calls`, which are a callee's."""
    names, spent, current, is_callees = {}, collections.Counter(), None, False
    with open(dump) as f:
        for line in f:
            if line.startswith("fn="):
                number, _, name = line[3:].strip().partition(" ")
                if name:
                    names[number] = whose(name)
                current = names[number]
            elif line.startswith("cfn="):
                number, _, name = line[4:].strip().partition(" ")
                if name:
                    names[number] = whose(name)
            elif line.startswith("calls="):
                is_callees = True
            elif line[:1] in "+-*0123456789":
                if not is_callees:
                    spent[current] += int(line.split()[1])
                is_callees = False
    return spent


def control(command, value, pid):
    subprocess.run(["callgrind_control", command, value, str(pid)] if value else ["callgrind_control", command, str(pid)],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def sample(s, workload):
    listener, how, _ = WORKLOADS[workload]
    with tempfile.TemporaryDirectory() as d:
        counted = s | {"cmd": f"valgrind --tool=callgrind --instr-atstart=no --callgrind-out-file={d}/out " + s["cmd"]}
        with running(counted, listener, check=False) as p:
            time.sleep(1)
            for _ in range(8 if how == "wrk-tokens" else 1):  # until each token was seen twice
                generate(how, listener, 3)
            control("-i", "on", p.pid)
            n = generate(how, listener, SECONDS)["n"]
            control("-i", "off", p.pid)
            control("-d", "", p.pid)
            time.sleep(1)
            dump = max(glob.glob(f"{d}/out*"), key=os.path.getsize, default=None)
            spent = read(dump) if dump else {}
    if not sum(spent.values()) or not n:
        raise Unfit("callgrind counted nothing")
    return {"requests": n, "instructions": {name: spent[name] / n for name in LIBRARIES}}


def measure(o, systems, keep, _):
    for workload in PROFILED:
        take(o, keep, {"part": "libraries", "workload": workload}, lambda: sample(systems["gateward"], workload))


def told(r):
    return f"{sum(r['instructions'].values()):,.0f} instructions a request"
