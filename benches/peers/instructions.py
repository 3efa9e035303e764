"""How many instructions does each step on a request's path take? Counted by callgrind, so that noise says nothing.

The benches' program runs a benchmark under callgrind, which counts only inside the step's own function, for few and for
many iterations; the difference, shared out, is one iteration's. The same binary gives the same count on any day.
"""
import re, subprocess, tempfile

import yardstick
from machine import Unfit
from sampling import take

FEW, MANY = 100, 1_100
# benchmark, its argument, the function that is the step
BENCHMARKS = [
    ("verification::seen_before", "", "known"),
    ("verification::signature_and_claims", "RS256", "genuine"),
    ("revocations::after_news", "0", "known"),
    ("revocations::after_news", "10000", "known"),
    ("routes::by_path", "10", "find"),
    ("routes::by_path", "10000", "find"),
    ("routes::by_host", "10000", "find"),
    ("routes::nowhere", "10000", "find"),
    ("header_boundary::strip", "", "off"),
    ("header_boundary::strip_and_tell", "", "off_and_on"),
]


def count(benches, name, argument, step, iterations):
    with tempfile.TemporaryDirectory() as d:
        cmd = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={d}/out", f"--toggle-collect=benches::*::{step}", benches, "--bench",
               "--exact", "--sample-count", str(iterations), "--sample-size", "1", f"benches::{name}" + (f"::{argument}" if argument else "")]
        done = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=900, check=False)
        said = re.search(r"Collected : (\d+)", done.stderr.decode())
        if done.returncode or not said or said[1] == "0":
            raise Unfit("callgrind said: " + done.stderr.decode()[-400:])
        return int(said[1])


def each(benches, name, argument, step):
    few, many = (count(benches, name, argument, step, n) for n in (FEW, MANY))
    return {"instructions": (many - few) / (MANY - FEW)}


def measure(o, _, keep, __):
    benches = yardstick.program()
    for name, argument, step in BENCHMARKS:
        row = {"part": "instructions", "benchmark": name + (f" {argument}" if argument else "")}
        take(o, keep, row, lambda: each(benches, name, argument, step))


def told(r):
    return f"{r['instructions']:.0f} instructions"
