"""Taking a sample: again when another job had the proxy's CPU, and never so that one failure ends the others' run."""
import subprocess

from machine import Meter, Unfit, progress
from turns import take_turns

TRIES = 3


def take(o, keep, row, sample):
    """Keeps what `sample` returns, together with what `row` says it is of."""
    take_all(o, keep, [row], lambda: [sample()])


def take_all(o, keep, rows, sample):
    """The same of several samples that are taken at once."""
    try:
        for _ in range(TRIES):
            found = sample()
            worst = max(r.get("disturbed", 0) for r in found)
            if worst < o.max_disturbed:
                break
            progress(f"{' '.join(str(v) for v in rows[0].values())}: CPU 0 worked for others {worst:.0%} of the time")
    except (Unfit, OSError, ValueError, KeyError, subprocess.SubprocessError) as e:
        found = [{"fail": str(e) or repr(e)}] * len(rows)
    for row, r in zip(rows, found):
        keep(row | r)


def side_by_side(running, generate, seconds):
    """Loads some systems in turn, for so many seconds each, by `generate(number, seconds in all)`; what each answered and used, for each request."""
    meters = [Meter(p.pid) for p in running]
    loads = take_turns([lambda n=n: generate(n, seconds * len(running)) for n in range(len(running))])
    used = [m.read() for m in meters]
    shares = sum(u["share"] for u in used)
    found = []
    for (r, ran), u in zip(loads, used):
        for k in ("cpu_us", "user_us", "sys_us"):
            u[k] /= max(r["n"], 1)
        # All of them share the CPU: what none of them did was somebody else's.
        u["disturbed"] = max(0.0, u["others"] + u["share"] - shares)
        found.append(r | u | {"rps": r["n"] / max(ran, 0.01)})
    return found
