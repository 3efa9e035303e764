"""Samples become figures: medians with their ranges, ratios taken within a round.

A sample during which CPU 0 worked too long for others is left out, unless nothing else is there; how many were is told.
"""
import collections, json, statistics

from isolation import STEADY


def spread(values):
    """Median, lowest, highest and number of some values."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "n": len(values)}


def read(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def fit(rows, max_disturbed):
    """The samples that count."""
    good = [r for r in rows if "fail" not in r]
    undisturbed = [r for r in good if r.get("disturbed", 0) < max_disturbed]
    return undisturbed or good


def by(rows, *keys):
    found = collections.defaultdict(list)
    for r in rows:
        found[tuple(r[k] for k in keys)].append(r)
    return found


def ratios(numerators, denominators, key):
    """The ratio of a figure within each round that has both."""
    below = {r["round"]: r[key] for r in denominators}
    found = [r[key] / below[r["round"]] for r in numerators if below.get(r["round"])]
    return spread(found) if found else None


def make(rows, max_disturbed):
    parts = by(rows, "part")
    figures = {name: f(fit(parts.get((name,), []), max_disturbed)) for name, f in {
        "proxied": proxied, "isolation": isolation, "logins": logins, "refresh": refresh, "growth": growth,
        "startup": startup, "instructions": instructions, "libraries": libraries}.items()}
    figures["failures"] = sorted({f"{r['part']} {r.get('workload', r.get('what', r.get('meanwhile', r.get('store', ''))))} "
                                  f"{r.get('system', r.get('size', ''))}: {r['fail']}" for r in rows if "fail" in r})
    measured = [r for r in rows if "fail" not in r]
    figures["left_out"] = sum(r.get("disturbed", 0) >= max_disturbed for r in measured)
    figures["samples"] = len(measured)
    disturbed = [r["disturbed"] for r in measured if "disturbed" in r]
    figures["disturbed"] = spread(disturbed) if disturbed else None
    # Beyond this, neither tails nor ratios say anything of the proxies.
    figures["quiet"] = bool(disturbed) and statistics.median(disturbed) <= 0.05
    return figures


def proxied(rows):
    found = {}
    for (workload,), of_workload in sorted(by(rows, "workload").items()):
        key = "per_conn" if "per_conn" in of_workload[0] else "cpu_us"
        systems = {name: rs for (name,), rs in by(of_workload, "system").items()}
        table = {}
        for name, rs in sorted(systems.items(), key=lambda x: statistics.median(r[key] for r in x[1])):
            keys = [k for k in (key, "user_us", "sys_us", "rps", "pss_kb", "busy0", "busy1") if k in rs[0]]
            table[name] = {k: spread([r[k] for r in rs]) for k in keys} | {"errors": sum(r.get("errors", 0) for r in rs)}
        ours = systems.get("gateward", [])
        over = {name: ratios(ours, rs, key) for name, rs in systems.items() if name != "gateward"}
        found[workload] = {"key": key, "systems": table, "ratios": {k: v for k, v in sorted(over.items()) if v}}
    return found


def middle(tail, which):
    """A tail's p99: that of all its requests, or of a quarter of a second, in the middle of all quarters."""
    return statistics.median(tail["quarters"]) if which == "quarter" else tail[which]


def isolation(rows):
    found = {}
    for (name,), rs in by(rows, "meanwhile").items():
        asked, failed = sum(r["n"] for r in rs), sum(r["failed"] + r["quiet"]["failed"] for r in rs)
        now, before = ({k: spread([r[k] for r in some]) for k in ("p50", "p99", "p999", "max")} | {
            "quarter": spread([p99 for r in some for p99 in r["quarters"]])} for some in (rs, [r["quiet"] for r in rs]))
        which = "quarter" if name in STEADY else "p99"
        each = spread([middle(r, which) / middle(r["quiet"], which) for r in rs])
        found[name] = now | {f"quiet_{k}": v for k, v in before.items()} | {
            "ratio": each | {"median": now[which]["median"] / before[which]["median"]}, "asked": asked, "failed": failed}
    return found


def logins(rows):
    return {k: spread([r[k] for r in rows]) for k in ("logins", "hashes", "ratio", "cpu_us", "hash_cpu_us")} if rows else {}


def refresh(rows):
    keys = ("cpu_us", "signature_us", "ratio", "rps", "store_us")
    return {store: {k: spread([r[k] for r in rs]) for k in keys} for (store,), rs in by(rows, "store").items()}


def growth(rows):
    found = {}
    for (what,), of_curve in by(rows, "what").items():
        asked = {size: rs for (size,), rs in sorted(by([r for r in of_curve if "cpu_us" in r], "size").items())}
        weighed = by([r for r in of_curve if "pss_kb" in r], "size")
        first, last = min(asked), max(asked)
        points = [{"size": size, "cpu_us": spread([r["cpu_us"] for r in rs]), "pss_kb": spread([r["pss_kb"] for r in weighed[size,]]),
                   "ratio": ratios(rs, asked[first], "cpu_us")} for size, rs in asked.items()]
        more = points[-1]["pss_kb"]["median"] - points[0]["pss_kb"]["median"]
        found[what] = {"points": points, "bytes_each": more * 1024 / max(last - first, 1)}
    return found


def startup(rows):
    return {listener: spread([r["ms"] for r in rs]) for (listener,), rs in by(rows, "listener").items()}


def instructions(rows):
    return {r["benchmark"]: r["instructions"] for r in rows}


def libraries(rows):
    return {r["workload"]: r["instructions"] for r in rows}
