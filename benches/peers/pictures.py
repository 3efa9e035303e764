"""The figures as SVG, written by hand: bars for what a request costs beside the peers, lines for growth, bars for the targets.

Same figures, same file, octet for octet. Colours follow the reader's light or dark setting.
"""
from xml.sax.saxutils import escape

TITLES = {
    "targets.svg": "What was reached, as a share of the target (left of the mark is better)",
    "requests.svg": "CPU time of one proxied request, µs (shorter is better)",
    "growth-cpu.svg": "CPU time of an authenticated request (W3), µs, as things grow",
    "growth-memory.svg": "Memory of the process, MiB, as things grow",
}

STYLE = """<style>
svg { font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; font-size: 13px }
.back { fill: #ffffff } .ink { fill: #1f2328 } .soft { fill: #59636e } .line { stroke: #d1d9e0; stroke-width: 1 }
.ours { fill: #1f5fbf } .other { fill: #b6c2cf } .range { stroke: #59636e; stroke-width: 1.5 } .mark { stroke: #c2410c; stroke-width: 2; stroke-dasharray: 4 3 }
.good { fill: #1a7f37 } .fair { fill: #9a6700 } .bad { fill: #c2410c }
.path { stroke: #1f5fbf; stroke-width: 2.5; fill: none } .dot { fill: #1f5fbf } .band { fill: #1f5fbf; opacity: .14 }
.title { font-size: 16px; font-weight: 600 } .num { font-variant-numeric: tabular-nums }
@media (prefers-color-scheme: dark) {
.back { fill: #0d1117 } .ink { fill: #f0f6fc } .soft { fill: #9198a1 } .line { stroke: #3d444d }
.ours { fill: #58a6ff } .other { fill: #4a5562 } .range { stroke: #9198a1 } .mark { stroke: #f0883e }
.good { fill: #3fb950 } .fair { fill: #d29922 } .bad { fill: #f0883e }
.path { stroke: #58a6ff } .dot { fill: #58a6ff } .band { fill: #58a6ff }
}
</style>"""


class Sheet:
    def __init__(self, width, title):
        self.width, self.title, self.parts, self.y = width, title, [], 52
        self.text(20, 30, title, "ink title")

    def text(self, x, y, words, cls="ink", anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{cls}" text-anchor="{anchor}">{escape(words)}</text>')

    def box(self, x, y, w, h, cls):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(w, 1):.1f}" height="{h}" rx="2" class="{cls}"/>')

    def line(self, x1, y1, x2, y2, cls):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{cls}"/>')

    def svg(self, height):
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {height:.0f}" width="{self.width}" height="{height:.0f}" '
                f'role="img" aria-label="{escape(self.title)}">')
        return "\n".join([head, STYLE, f'<rect width="100%" height="100%" rx="8" class="back"/>', *self.parts, "</svg>", ""])


def bars(figures):
    """CPU time a request, one group of bars a workload."""
    from proxied import WORKLOADS
    sheet = Sheet(860, TITLES["requests.svg"])
    left, right = 170, 680
    for name, w in figures["proxied"].items():
        if w["key"] != "cpu_us":
            continue
        sheet.text(20, sheet.y + 14, f"{name} · {WORKLOADS[name][2]}", "ink")
        sheet.y += 22
        # What is far beyond ours is cut off, so that the others can be told apart.
        ours = w["systems"].get("gateward", {}).get("cpu_us", {}).get("median", float("inf"))
        longest = min(max(t["cpu_us"]["median"] for t in w["systems"].values()), 3 * ours)
        for system, t in w["systems"].items():
            c = t["cpu_us"]
            scale = (right - left) / longest
            sheet.text(left - 8, sheet.y + 13, system, "ink" if system == "gateward" else "soft", "end")
            place = lambda v: left + min(v, longest) * scale
            sheet.box(left, sheet.y + 2, place(c["median"]) - left, 14, "ours" if system.startswith("gateward") else "other")
            sheet.line(place(c["low"]), sheet.y + 9, place(c["high"]), sheet.y + 9, "range")
            ratio, beyond = w["ratios"].get(system), "… " if c["median"] > longest else ""
            over = f" · Gateward {ratio['median']:.2f} ×" if ratio else ""
            sheet.text(place(max(c["median"], c["high"])) + 8, sheet.y + 13, f"{beyond}{c['median']:.1f}{over}", "ink num")
            sheet.y += 20
        sheet.y += 12
    return sheet.svg(sheet.y + 6)


def targets(lines):
    """What was reached as a share of the target, so that one mark fits all."""
    sheet = Sheet(960, TITLES["targets.svg"])
    left, right, most = 500, 850, 2.0
    mark, top = left + (right - left) / most, sheet.y
    for line in lines:
        r = line["reached"]
        sheet.text(20, sheet.y + 13, f"{line['id']} · {line['what'].replace('`', '')}", "ink")
        if r:
            share = line["target"] / r["median"] if line["more_is_better"] else r["median"] / line["target"]
            cls = {"stretch": "good", "target": "fair", "no": "bad"}.get(line["meets"], "other")
            length = min(share, most) * (right - left) / most
            sheet.box(left, sheet.y + 2, length, 14, cls)
            unit = "×" if line["unit"] == "×" else line["unit"]
            value = f"{r['median']:,.0f}" if line["unit"] == "bytes" else f"{r['median']:.2f}" if line["unit"] == "×" else f"{r['median']:.1f}"
            sheet.text(left + length + 8, sheet.y + 13, f"{value} {unit}", "ink num")
        else:
            sheet.text(left + 8, sheet.y + 13, "not measured", "soft")
        sheet.y += 22
    sheet.line(mark, top - 4, mark, sheet.y, "mark")
    sheet.text(mark, sheet.y + 16, "target", "soft", "middle")
    sheet.text(20, sheet.y + 36, "green: as good as the stretch target; yellow: as the target; grey: a trial on a machine that was not quiet", "soft")
    return sheet.svg(sheet.y + 50)


def lines(figures, key, title, unit, scale):
    """Four small charts: what grows from left to right by tens, and how the figure answers."""
    sheet = Sheet(890, title)
    for place, (what, curve) in enumerate(figures["growth"].items()):
        chart(sheet, 20 + place % 2 * 420, 56 + place // 2 * 210, what, curve["points"], key, unit, scale)
    rows = (len(figures["growth"]) + 1) // 2
    return sheet.svg(56 + rows * 210)


def chart(sheet, x, y, what, points, key, unit, scale):
    left, right, top, bottom = x + 62, x + 390, y + 26, y + 160
    values = [(p[key]["low"] / scale, p[key]["median"] / scale, p[key]["high"] / scale) for p in points]
    most = max(high for _, _, high in values) * 1.15
    place = lambda i: left + (right - left) * i / max(len(points) - 1, 1)
    height = lambda v: bottom - (bottom - top) * v / most
    sheet.text(x + 62, y + 12, what, "ink")
    for share in (0, 0.5, 1):
        v = most / 1.15 * share
        sheet.line(left, height(v), right, height(v), "line")
        sheet.text(left - 10, height(v) + 4, f"{v:.0f} {unit}", "soft num", "end")
    band = [(place(i), height(h)) for i, (_, _, h) in enumerate(values)] + [(place(i), height(lo)) for i, (lo, _, _) in reversed(list(enumerate(values)))]
    sheet.parts.append('<polygon class="band" points="' + " ".join(f"{a:.1f},{b:.1f}" for a, b in band) + '"/>')
    path = [(place(i), height(m)) for i, (_, m, _) in enumerate(values)]
    sheet.parts.append('<polyline class="path" points="' + " ".join(f"{a:.1f},{b:.1f}" for a, b in path) + '"/>')
    for (a, b), p in zip(path, points):
        sheet.parts.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" class="dot"/>')
        sheet.text(a, bottom + 18, f"{p['size']:,}", "soft num", "middle")
        anchor = "start" if p is points[0] else "end" if p is points[-1] else "middle"
        sheet.text(a, b - 9, f"{p[key]['median'] / scale:.1f}", "ink num", anchor)


def all_of_them(figures):
    """Name and text of each picture that there are figures for."""
    found = {"targets.svg": targets(figures["targets"])}
    if any(w["key"] == "cpu_us" for w in figures["proxied"].values()):
        found["requests.svg"] = bars(figures)
    if figures["growth"]:
        found["growth-cpu.svg"] = lines(figures, "cpu_us", TITLES["growth-cpu.svg"], "µs", 1)
        found["growth-memory.svg"] = lines(figures, "pss_kb", TITLES["growth-memory.svg"], "MiB", 1024)
    return found
