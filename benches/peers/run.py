#!/usr/bin/env python3
"""Gateward beside other proxies, and against its own targets: measures, tabulates and draws.

    python3 benches/peers/run.py all                           everything; rewrites figures/ and the README's table
    python3 benches/peers/run.py check                        does every system do the work?
    python3 benches/peers/run.py proxied --workloads W1,W3    one part: proxied isolation logins refresh growth startup instructions libraries
    python3 benches/peers/run.py report                       the tables of what was measured last; changes nothing
    python3 benches/peers/run.py draw                         the same into figures/ and README.md
    python3 benches/peers/run.py draw --earlier a.jsonl       the same of two runs together
    python3 benches/peers/run.py compare --earlier a.jsonl    how far apart are two runs?

The file README.md beside this one says what is measured, how, and what it needs. Samples are appended to --out, which `all` begins anew.
"""
import argparse, contextlib, fcntl, json, os, platform, re, signal, subprocess, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import figures, fixtures, growth, instructions, isolation, libraries, load, logins, machine, pictures, proxied, refresh, startup, systems, tables, targets

PARTS = {"proxied": proxied, "isolation": isolation, "logins": logins, "refresh": refresh, "growth": growth, "startup": startup,
         "instructions": instructions, "libraries": libraries}
SPREAD = ("proxied", "logins", "refresh", "isolation", "startup")
NOW = "proxied,logins,refresh,isolation,startup,growth,instructions,libraries"
PEERS = "gateward,gateward-public,haproxy,nginx,nginx-noauth,envoy-cache"
WORKLOADS = "W1,W3,W4,W4p,W5,W5p,W6,W7,W8,W8t"
FOLDER = os.path.join(machine.HERE, "figures")
README = os.path.join(machine.ROOT, "README.md")


def options():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("what", choices=["all", "check", "report", "draw", "compare", *PARTS])
    a.add_argument("--parts", default=NOW, help="what `all` is made of")
    a.add_argument("--peers", default=PEERS)
    a.add_argument("--workloads", default=WORKLOADS)
    a.add_argument("--rounds", type=int, default=12, help="in each of which everything is measured once, side by side")
    a.add_argument("--fresh", type=int, default=2, help="everything is started anew after so many rounds, and the other parts have their turn")
    a.add_argument("--secs", type=int, default=1, help="of load for each sample")
    a.add_argument("--idle", type=int, default=5000, help="idle connections of W8 and W8t")
    a.add_argument("--grow-to", type=int, default=1_000_000, help="leave out what is larger in `growth`")
    a.add_argument("--systems", action="append", default=[], help="more systems (TOML)")
    a.add_argument("--out", default=os.path.join(machine.DIR, "samples.jsonl"), help="samples are appended here")
    a.add_argument("--earlier", help="samples of another run, for `compare`; or to be told together, for `report` and `draw`")
    a.add_argument("--max-disturbed", type=float, default=0.08, help="a sample is taken again when CPU 0 worked for others this share of the time")
    a.add_argument("--patience", type=float, default=60, help="seconds to wait before a sample for the machine to fall quiet")
    o = a.parse_args()
    o.peers, o.workloads, o.parts = o.peers.split(","), o.workloads.split(","), o.parts.split(",")
    if not (1 <= o.secs <= 60 and 1 <= o.rounds <= 100 and 1 <= o.fresh and 1 <= o.idle <= 20_000):
        a.error("secs from 1 to 60, rounds from 1 to 100, idle from 1 to 20,000")
    return o


def installed(o, known):
    """Takes what is not installed out of the peers, and says so."""
    for name in [n for n in o.peers if n not in known]:
        sys.exit(f"unknown system {name}")
    for name in [w for w in o.workloads if w not in proxied.WORKLOADS]:
        sys.exit(f"unknown workload {name}")
    missing = [n for n in o.peers if not systems.program(known[n])]
    if missing:
        machine.progress("not installed, left out: " + ", ".join(missing))
    o.peers = [n for n in o.peers if n not in missing]
    if "gateward" in missing:
        sys.exit("there is no gateward; run `cargo build --release --locked`")
    return missing


def keeper(o):
    def keep(row):
        name = " ".join(str(row[k]) for k in ("workload", "system", "what", "size", "store", "meanwhile", "listener", "benchmark") if k in row)
        text = "FAILED: " + row["fail"] if "fail" in row else PARTS[row["part"]].told(row)
        machine.progress(f"{row['part']} {name} r{row.get('round', 0)}: {text}")
        with open(o.out, "a") as f:
            f.write(json.dumps(row | {"at": round(time.time())}) + "\n")
    return keep


def measure(o, parts, known):
    lock = open(os.environ["BENCH_LOCK"], "a") if os.environ.get("BENCH_LOCK") else None
    os.sched_setaffinity(0, machine.LOAD_CPU)
    for part, rounds in turns_of(parts, o):
        with load.Upstream(first=part == "isolation") if part != "instructions" else contextlib.nullcontext():
            if lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                PARTS[part].measure(o, known, keeper(o), rounds)
            finally:
                if lock:
                    fcntl.flock(lock, fcntl.LOCK_UN)
                    time.sleep(1)  # let a waiting job in


def turns_of(parts, o):
    """Which part measures which rounds, in order. A host is busy for minutes on end: a part that did all its rounds at once would have a calm host or a
    busy one, so each does a few and comes again. What takes long to set up, or counts instead of timing, comes once."""
    for first in range(0, max(o.rounds, 1), o.fresh):
        for part in parts:
            if part in SPREAD:
                yield part, range(first, min(first + o.fresh, o.rounds))
    for part in parts:
        if part not in SPREAD:
            yield part, range(o.rounds)


def about(o, missing, known):
    """What it was measured on, and beside what."""
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    versions = []
    for program, flag in {systems.program(known[n]): "-v" if n != "caddy" and not n.startswith("envoy") else "--version" for n in o.peers
                          if not n.startswith("gateward")}.items():
        said = subprocess.run([program, flag], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout.decode().split("\n")
        versions.append(version(program, said))
    return {"cpu": cpu, "cpus": os.cpu_count(), "kernel": platform.release(), "peers": versions, "missing": missing, "rounds": o.rounds,
            "fresh": o.fresh, "secs": o.secs}


def version(program, said):
    """A program's name and number, whatever else it says of itself."""
    number = re.search(r"\d+\.\d+(\.\d+)*", re.sub(r"\b[0-9a-f]{40}\b", "", "\n".join(said)))
    return os.path.basename(program) + (f" {number[0]}" if number else "")


def results(o, *runs):
    """Of one run, or of several together: the rounds of each are numbered on from those before."""
    rows, rounds, begun = [], 0, 0
    for samples in runs:
        try:
            with open(samples + ".about") as f:
                told = json.load(f)
            rows += [r | {"round": r["round"] + begun} if "round" in r else r for r in figures.read(samples)]
        except FileNotFoundError:
            sys.exit(f"nothing was measured yet ({samples})")
        rounds += told["rounds"]
        begun = 1 + max((r["round"] for r in rows if "round" in r), default=-1)
    found = {"machine": told | {"rounds": rounds}} | figures.make(rows, o.max_disturbed)
    return found | {"targets": targets.judge(found)}


def draw(found):
    os.makedirs(FOLDER, exist_ok=True)
    texts = pictures.all_of_them(found) | {"figures.json": json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n",
                                           "figures.md": tables.all_of_them(found)}
    for name, text in texts.items():
        with open(os.path.join(FOLDER, name), "w") as f:
            f.write(text)
    put_into_readme(found)


def put_into_readme(found):
    """Pictures, the targets' table and what it was measured on, between the marks that stand there."""
    with open(README) as f:
        text = f.read()
    begin, end = "<!-- figures: written by benches/peers/run.py -->\n", "<!-- /figures -->"
    before, mark, rest = text.partition(begin)
    _, close, after = rest.partition(end)
    if not (mark and close):
        sys.exit(f"{README} has no place for the figures")
    with open(README, "w") as f:
        f.write(f"{before}{begin}\n{for_readme(found)}\n{end}{after}")


def for_readme(found):
    def picture(name):
        return f"![{pictures.TITLES[name]}](benches/peers/figures/{name})"
    drawn = [name for name in pictures.TITLES if name in pictures.all_of_them(found)]
    parts = [picture(n) for n in drawn if not n.startswith("growth")] + [targets.table(found["targets"]), tables.machine(found)]
    grown = [picture(n) for n in drawn if n.startswith("growth")]
    parts.append("The tables behind each line are in [benches/peers/figures/figures.md](benches/peers/figures/figures.md)." + " As things grow:" * bool(grown))
    return "\n\n".join(parts + grown) + "\n"


def check(o, known):
    failed = 0
    with load.Upstream():
        for name in o.peers:
            for listener in known[name]["has"]:
                try:
                    with systems.running(known[name], listener):
                        print(f"{name} {listener}: does the work")
                except machine.Unfit as e:
                    failed = 1
                    print(f"{name} {listener}: {e}")
    return failed


def main():
    # So that what was started is ended then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    o = options()
    if o.what in ("report", "draw"):
        found = results(o, *filter(None, [o.earlier, o.out]))
        if o.what == "draw":
            draw(found)
        return print(tables.all_of_them(found))
    if o.what == "compare":
        if not o.earlier:
            sys.exit("--earlier names the samples of the other run")
        return print(targets.compare(results(o, o.earlier), results(o, o.out)))
    if not machine.has_two_cpus():
        sys.exit("needs CPUs 0 and 1")
    if load.missing():
        sys.exit("missing: " + ", ".join(load.missing()))
    os.makedirs(machine.DIR, exist_ok=True)
    alone = open(os.path.join(machine.DIR, "in-use"), "w")
    try:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"another run works in {machine.DIR}; BENCH_DIR names another folder, BENCH_PORT other ports")
    fixtures.make(machine.DIR)
    known = systems.load([os.path.join(machine.HERE, "systems.toml")] + o.systems)
    missing = installed(o, known)
    if o.what == "check":
        sys.exit(check(o, known))
    if o.what == "all":
        open(o.out, "w").close()
    with open(o.out + ".about", "w") as f:
        json.dump(about(o, missing, known), f)
    measure(o, o.parts if o.what == "all" else [o.what], known)
    found = results(o, o.out)
    if o.what == "all":
        draw(found)
    print(tables.all_of_them(found))
    sys.exit(1 if found["failures"] else 0)


if __name__ == "__main__":
    main()
