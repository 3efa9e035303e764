"""How many instructions does each step on a request's path take? Counted by callgrind, so that noise says nothing.

The benches' program runs a benchmark twice, for few and for many iterations; the difference is the iterations' alone,
whatever setting up, measuring and ending cost. The same binary gives the same count on any day.
"""
import os, re, subprocess, tempfile

import yardstick
from machine import Unfit

FEW, MANY = 1_000, 6_000
BENCHMARKS = ["verification::seen_before", "verification::signature_and_claims/RS256", "routes::by_path/10", "routes::by_path/10000",
              "routes::by_host/10000", "routes::nowhere/10000", "header_boundary::strip", "header_boundary::strip_and_tell"]


def count(benches, benchmark, iterations):
    name, _, argument = benchmark.partition("/")
    with tempfile.TemporaryDirectory() as d:
        cmd = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={d}/out", benches, "--bench", "--exact", "--sample-count", "1",
               "--sample-size", str(iterations), f"benches::{name}" + (f"::{argument}" if argument else "")]
        done = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600, check=False)
        said = re.search(r"Collected : (\d+)", done.stderr.decode())
        if done.returncode or not said or not os.path.exists(f"{d}/out"):
            raise Unfit("callgrind said: " + done.stderr.decode()[-400:])
        return int(said[1])


def measure(_, __, keep):
    benches = yardstick.program()
    for benchmark in BENCHMARKS:
        row = {"part": "instructions", "benchmark": benchmark}
        try:
            few, many = count(benches, benchmark, FEW), count(benches, benchmark, MANY)
            keep(row | {"instructions": (many - few) / (MANY - FEW)})
        except (Unfit, OSError, subprocess.SubprocessError) as e:
            keep(row | {"fail": str(e)})


def told(r):
    return f"{r['instructions']:.0f} instructions"
