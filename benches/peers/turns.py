"""Loads that exist side by side and run in turn, a tenth of a second each.

On a machine that is shared with others the price of the same request changes by a tenth from one second to the next, and
not by the same factor for every program. Samples taken one after the other say as much about that as about the programs.
Here all generators are started together, and all but one are stopped (SIGSTOP) at any moment: whoever is not loaded has
nothing to do, so each has its CPU to itself as if it were alone, and all of them see the same second.
"""
import itertools, os, signal, threading, time

TURN = 0.1
_now = threading.local()
_lock = threading.Lock()


class Load:
    """One system's generators, and the seconds that they were let run."""

    def __init__(self):
        self.processes, self.ran = [], 0.0

    def signal(self, number):
        with _lock:
            for p in self.processes:
                # Not waited for yet, so the number is still its own.
                if p.returncode is None:
                    try:
                        os.kill(p.pid, number)
                    except ProcessLookupError:
                        pass


def joined(process):
    """A generator was started: it belongs to the load whose thread this is, if it is one's."""
    load = getattr(_now, "load", None)
    if load:
        with _lock:
            load.processes.append(process)


def take_turns(jobs):
    """Runs some functions that start generators, each in a thread, and lets the generators run in turn. Results and seconds, in order."""
    loads, results = [Load() for _ in jobs], [None] * len(jobs)

    def run(n):
        _now.load = loads[n]
        try:
            results[n] = jobs[n]()
        except Exception as e:  # handed on to whoever asked
            results[n] = e
    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(jobs))]
    for t in threads:
        t.start()
    try:
        for n in itertools.cycle(range(len(jobs))):
            if not any(t.is_alive() for t in threads):
                break
            if not threads[n].is_alive():
                continue
            for other in loads[:n] + loads[n + 1:]:
                other.signal(signal.SIGSTOP)
            loads[n].signal(signal.SIGCONT)
            began = time.monotonic()
            threads[n].join(TURN)
            loads[n].ran += time.monotonic() - began
    finally:
        # Whatever interrupts this leaves nobody stopped.
        for load in loads:
            load.signal(signal.SIGCONT)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return [(result, load.ran) for result, load in zip(results, loads)]
