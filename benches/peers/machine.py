"""Processes on pinned CPUs, and what they used: CPU time, memory, waiting.

The proxy under test has CPU 0 to itself; upstream, load generators and this script share CPU 1. CPU time comes from
/proc/PID/task/TID/schedstat, which counts nanoseconds (the ticks of /proc/PID/stat are 10 ms); how it splits into user
and system time comes from the ticks. Only processes that were started here are ever ended.
"""
import contextlib, os, resource, shutil, signal, socket, subprocess, sys, tempfile, time

import turns

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DIR = os.environ.get("BENCH_DIR", os.path.join(tempfile.gettempdir(), "gwbench"))
PROXY_CPU, LOAD_CPU = {0}, {1}
TICK = os.sysconf("SC_CLK_TCK")


class Unfit(RuntimeError):
    """A sample that cannot be had: a program is missing, does not start, or does not do the work."""


def start(cmd, cpus, env=None, log=None, first=False, last=False, **kw):
    """`first`: it takes its CPU from everything else at once, if that is allowed (it is to root). `last`: it runs when nothing else wants its CPU."""
    if not shutil.which(cmd[0]):
        raise Unfit(f"{cmd[0]} is not installed")
    out = open(log, "ab") if log else subprocess.DEVNULL

    def pre():
        os.sched_setaffinity(0, cpus)
        if first and os.geteuid() == 0:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        if last:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(65536, hard), hard))
    try:
        p = subprocess.Popen(cmd, stdout=kw.pop("stdout", out), stderr=kw.pop("stderr", out), preexec_fn=pre,
                             env={**os.environ, **(env or {})}, **kw)
        turns.joined(p)
        return p
    finally:
        if log:
            out.close()


@contextlib.contextmanager
def awake():
    """Keeps CPUs from sleeping while they have nothing to do, if that is allowed (it is to root): the host takes its time to wake one up, a
    millisecond and more when it is busy itself, and that is no proxy's tail. The kernel's own means (PM QoS), in force while the file is open."""
    try:
        asked = open("/dev/cpu_dma_latency", "wb", buffering=0)
    except OSError:
        yield
        return
    with asked:
        asked.write((0).to_bytes(4, "little"))
        yield


def stop(p, patience=3):
    """SIGTERM, then SIGKILL, for a process and the children it left."""
    if p is None or p.poll() is not None:
        return
    p.send_signal(signal.SIGTERM)
    try:
        p.wait(patience)
    except subprocess.TimeoutExpired:
        for pid in tree(p.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        p.wait()


def output(cmd, cpus, seconds, **kw):
    """Runs a bounded command to its end and returns what it printed."""
    p = start(cmd, cpus, stdout=subprocess.PIPE, **kw)
    try:
        out, _ = p.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        stop(p)
        raise Unfit(f"{cmd[0]} did not end within {seconds} s")
    return p.returncode, out.decode()


def tree(pid):
    pids = [pid]
    for q in pids:
        try:
            for t in os.listdir(f"/proc/{q}/task"):
                pids += [int(x) for x in open(f"/proc/{q}/task/{t}/children").read().split()]
        except FileNotFoundError:
            pass
    return pids


class Meter:
    """What a process tree has used since the meter was made."""

    def __init__(self, pid):
        self.pid, self.began = pid, time.monotonic()
        self.tasks, self.ticks, self.cpus = schedstat(pid), ticks(pid), busy()

    def read(self):
        tasks, (user, system), cpus = schedstat(self.pid), ticks(self.pid), busy()
        user, system = user - self.ticks[0], system - self.ticks[1]
        used = sum(on - self.tasks.get(t, 0) for t, on in tasks.items()) / 1e3
        if not set(self.tasks) <= set(tasks):  # a thread ended and took its figure along; the ticks still have it
            used = max(used, user + system)
        share = user / max(user + system, 1)
        r = {"cpu_us": used, "user_us": used * share, "sys_us": used * (1 - share)}
        for c in "01":
            a, b = self.cpus[c], cpus[c]
            r["busy" + c] = (b[0] - a[0]) / max(b[1] - a[1], 1)
            r["steal" + c] = (b[2] - a[2]) / max(b[1] - a[1], 1)
        # What CPU 0 did for somebody else. A process's own threads wait for each other too, so its waiting alone proves nothing.
        elapsed = time.monotonic() - self.began
        work = (cpus["0"][3] - self.cpus["0"][3]) / max(cpus["0"][1] - self.cpus["0"][1], 1)
        r["share"], r["others"] = used / 1e6 / elapsed, work - used / 1e6 / elapsed
        r["disturbed"] = max(0.0, r["others"])
        return r


def schedstat(pid):
    """Nanoseconds on a CPU, by thread."""
    r = {}
    for p in tree(pid):
        try:
            for t in os.listdir(f"/proc/{p}/task"):
                r[p, t] = int(open(f"/proc/{p}/task/{t}/schedstat").read().split()[0])
        except FileNotFoundError:
            pass
    return r


def ticks(pid):
    user = system = 0
    for p in tree(pid):
        try:
            f = open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()
        except FileNotFoundError:
            continue
        user, system = user + int(f[11]), system + int(f[12])
    return user * 1e6 / TICK, system * 1e6 / TICK


def busy():
    """By CPU: ticks busy, in all, stolen by the host, and busy outside interrupts."""
    r = {}
    for line in open("/proc/stat"):
        if line.startswith("cpu") and line[3] in "01":
            f = [int(x) for x in line.split()[1:]]
            r[line[3]] = f[0] + f[1] + f[2] + f[5] + f[6], sum(f[:8]), f[7], f[0] + f[1] + f[2]
    return r


def pss_kb(pid):
    return sum(int(line.split()[1]) for p in tree(pid) for line in open(f"/proc/{p}/smaps_rollup") if line.startswith("Pss:"))


def settled_pss_kb(pid, patience=8):
    """The memory of a process once two looks a second apart agree within 0.2 %, or patience runs out."""
    last, deadline = pss_kb(pid), time.monotonic() + patience
    while time.monotonic() < deadline:
        time.sleep(1)
        now = pss_kb(pid)
        if abs(now - last) <= max(last * 0.002, 64):
            return now
        last = now
    return last


def quiet(patience, most=0.15):
    """Waits until the machine is otherwise idle, or patience runs out."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        a = busy()
        time.sleep(0.3)
        b = busy()
        if all((b[c][0] - a[c][0]) / max(b[c][1] - a[c][1], 1) < most for c in "01"):
            return
        time.sleep(0.5)


def wait_port(port, p, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if p.poll() is not None:
            raise Unfit(f"{p.args[0]} exited with {p.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.03)
    raise Unfit(f"{p.args[0]} did not open port {port}")


def compile_c(name):
    """Compiles one of the C programs beside this file into the work folder."""
    out = os.path.join(DIR, name)
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", out, f"{HERE}/{name}.c"], check=True)
    return out


def has_two_cpus():
    return {0, 1} <= os.sched_getaffinity(0)


def progress(text):
    print(text, file=sys.stderr, flush=True)
