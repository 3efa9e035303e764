"""Taking a sample: again when another job had the proxy's CPU, and never so that one failure ends the others' run."""
import subprocess

from machine import Unfit, progress

TRIES = 3


def starts(o, rounds=None):
    """The rounds from one fresh start to the next."""
    rounds = max(rounds or o.rounds, 1)
    return [range(first, min(first + o.fresh, rounds)) for first in range(0, rounds, o.fresh)]


def take(o, keep, row, sample):
    """Keeps what `sample` returns, together with what `row` says it is of."""
    try:
        for _ in range(TRIES):
            r = sample()
            if r.get("disturbed", 0) < o.max_disturbed:
                break
            progress(f"{' '.join(str(v) for v in row.values())}: CPU 0 worked for others {r['disturbed']:.0%} of the time")
    except (Unfit, OSError, ValueError, KeyError, subprocess.SubprocessError) as e:
        r = {"fail": str(e) or repr(e)}
    keep(row | r)
