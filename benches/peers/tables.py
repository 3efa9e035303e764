"""The figures as Markdown: first P1 to P12, then what stands behind each."""
import targets
from isolation import MEANWHILE
from proxied import WORKLOADS


def s(spread, digits=0):
    return f"{spread['median']:.{digits}f} ({spread['low']:.{digits}f}–{spread['high']:.{digits}f})" if spread else "–"


def all_of_them(figures):
    parts = [targets.table(figures["targets"]), machine(figures), proxied(figures["proxied"]), isolation(figures["isolation"]),
             logins(figures["logins"]), refresh(figures["refresh"]), growth(figures["growth"]), startup(figures["startup"]),
             instructions(figures["instructions"]), libraries(figures["libraries"]), failures(figures)]
    return "\n\n".join(p for p in parts if p) + "\n"


def machine(figures):
    m, others = figures["machine"], figures["disturbed"]
    versions = ", ".join(m["peers"]) or "none"
    missing = f" Not installed, left out: {', '.join(m['missing'])}." if m["missing"] else ""
    share = f" CPU 0 worked for others {others['median']:.1%} of the time (at most {others['high']:.1%})." if others else ""
    noisy = " **The machine was not quiet: a trial, not figures to lean on.**" if not figures["quiet"] else ""
    left = f" {figures['left_out']} of {figures['samples']} samples left out: another job had the proxy's CPU." if figures["left_out"] else ""
    return f"Measured on {m['cpus']} × {m['cpu']}, Linux {m['kernel']}, {m['rounds']} round{'s' * (m['rounds'] > 1)} of {m['secs']} s, all systems started anew after {m['fresh']}; beside {versions}.{missing}{share}{left}{noisy}"


def proxied(figures):
    out = []
    for name, w in figures.items():
        out.append(f"### {name}: {WORKLOADS[name][2]}\n")
        if w["key"] == "per_conn":
            out.append("| system | bytes a connection | Gateward over it | n |\n|---|---:|---:|---:|")
            out += [f"| {n} | {s(t['per_conn'])} | {s(w['ratios'].get(n), 2)} | {t['per_conn']['n']} |" for n, t in w["systems"].items()]
            continue
        out.append("| system | CPU µs a request | Gateward over it | user / sys µs | requests/s | MiB | errors | n |\n"
                   "|---|---:|---:|---:|---:|---:|---:|---:|")
        for n, t in w["systems"].items():
            g = lambda k: t[k]["median"]
            out.append(f"| {n} | {s(t['cpu_us'], 2)} | {s(w['ratios'].get(n), 2)} | {g('user_us'):.1f} / {g('sys_us'):.1f} | {g('rps'):.0f} "
                       f"| {g('pss_kb') / 1024:.1f} | {t['errors']} | {t['cpu_us']['n']} |")
    return "\n".join(out)


def isolation(figures):
    if not figures:
        return ""
    out = ["### P8: the tail of a proxied route, asked 1,000 times a second, while … and, in turn, while nothing happens\n",
           "| meanwhile | p50 µs, quiet | p99 of a quarter second, quiet | p99 µs, quiet | over quiet | p99.9 µs, quiet | worst µs, quiet | asked | failed |\n"
           "|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    for n, t in figures.items():
        both = lambda k: f"{s(t[k])}, {s(t['quiet_' + k])}"
        out.append(f"| {MEANWHILE[n]} | {both('p50')} | {both('quarter')} | {both('p99')} | {s(t['ratio'], 2)} | {both('p999')} | {t['max']['high']}, "
                   f"{t['quiet_max']['high']} | {t['asked']} | {t['failed']} |")
    return "\n".join(out)


def logins(f):
    return f and (f"### P9: sign-ins\n\n{s(f['logins'], 1)} sign-ins a second beside {s(f['hashes'], 1)} bare hashes: {s(f['ratio'], 3)}. "
                  f"{s(f['cpu_us'])} µs CPU a sign-in, {s(f['hash_cpu_us'])} of them the hash.")


def refresh(figures):
    if not figures:
        return ""
    out = ["### P10: refresh\n", "| store | CPU µs a rotation | a signature | ratio | rotations/s | the store's own CPU µs |\n"
           "|---|---:|---:|---:|---:|---:|"]
    out += [f"| {n} | {s(t['cpu_us'])} | {s(t['signature_us'])} | {s(t['ratio'], 2)} | {s(t['rps'])} | {s(t['store_us'])} |"
            for n, t in figures.items()]
    return "\n".join(out)


def growth(figures):
    if not figures:
        return ""
    out = ["### P11: growth\n", "| what grows | to | CPU µs a request | over the smallest | MiB | slope |\n|---|---:|---:|---:|---:|---:|"]
    for what, curve in figures.items():
        for i, p in enumerate(curve["points"]):
            slope = f"{round(curve['bytes_each']):,} bytes each" if i == len(curve["points"]) - 1 else ""
            out.append(f"| {what} | {p['size']:,} | {s(p['cpu_us'], 2)} | {s(p['ratio'], 3)} | {p['pss_kb']['median'] / 1024:.1f} | {slope} |")
    return "\n".join(out)


def startup(f):
    return f and "### P12: start to first answer\n\n" + "; ".join(f"{n}: {s(v, 1)} ms" for n, v in f.items())


def instructions(f):
    if not f:
        return ""
    out = ["### Instructions, by callgrind\n", "| benchmark | instructions each |\n|---|---:|"]
    return "\n".join(out + [f"| {n} | {v:,.0f} |" for n, v in f.items()])


def libraries(f):
    if not f:
        return ""
    out = ["### Instructions of one request, by whose they are (callgrind; the kernel's are not among them)\n",
           "| | " + " | ".join(f) + " |\n|---|" + "---:|" * len(f)]
    names = max(f.values(), key=len)
    out += [f"| {name} | " + " | ".join(f"{f[w][name]:,.0f}" for w in f) + " |" for name in names]
    return "\n".join(out + ["| all | " + " | ".join(f"{sum(f[w].values()):,.0f}" for w in f) + " |"])


def failures(figures):
    return figures["failures"] and "### What could not be measured\n\n" + "\n".join(f"* {f}" for f in figures["failures"])
