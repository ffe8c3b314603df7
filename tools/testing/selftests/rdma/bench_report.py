#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
What came of bench.py: medians and ratios of both drivers, as a table on the
terminal, and as a page with pictures by gnuplot.

    bench_report.py DIRECTORY

DIRECTORY holds tuned.csv, maybe stock.csv (the same on a guest with nothing
switched off), and about.txt, which says what was measured; the report goes
there, too.
"""

import collections
import csv
import html
import os
import statistics
import subprocess
import sys

OURS, INTREE = "ours", "intree"
MTUS = {1500: 1024, 4200: 4096}
# the file, the title, the metric, and the rows as the picture calls them
PLOTS = (
    ("bandwidth", "64 KiB messages, MiB/s", "MiB/s", {
        "write bw 64 KiB, ODP": "write", "read bw 64 KiB, ODP": "read",
        "send bw 64 KiB, ODP": "send",
        "write bw 64 KiB, pinned": "write, pinned"}),
    ("rate", "8-byte messages per second", "messages/s", {
        "write bw 8 B, ODP": "write", "atomic bw 8 B, pinned": "atomic"}),
    ("latency", "latency of 8 bytes, typical, microseconds", "typical us", {
        "write lat 8 B, ODP": "write", "send lat 8 B, ODP": "send"}),
    ("cpu", "CPU time of both sides, ns per KiB, 64 KiB messages", "ns/KiB", {
        "CPU time, read bw 64 KiB, ODP": "read",
        "CPU time, send bw 64 KiB, ODP": "send"}),
)


class Figures:
    """All figures of one boot, by MTU, row, metric and driver."""

    def __init__(self, path):
        self.values = collections.defaultdict(list)
        with open(path, encoding="ascii", newline="") as file:
            for line in csv.DictReader(file):
                key = (int(line["mtu"]), line["row"], line["metric"],
                       line["driver"])
                self.values[key].append(float(line["value"]))

    def median(self, *key):
        """None: there is no such figure."""
        values = self.values.get(key)
        return statistics.median(values) if values else None

    def ratio(self, mtu, row, metric):
        """Ours to the kernel's, of medians."""
        ours = self.median(mtu, row, metric, OURS)
        intree = self.median(mtu, row, metric, INTREE)
        return ours / intree if ours is not None and intree else None

    def spread(self, *key):
        values = self.values.get(key)
        return f"{min(values):,.0f} to {max(values):,.0f}" if values else "-"

    def rows(self):
        """Each MTU, row and metric that some driver has, in order."""
        return list(dict.fromkeys(key[:3] for key in self.values
                                  if key[3] in (OURS, INTREE)))

    def limit_ns(self, payload):
        """One copy and one sum of a packet's payload."""
        parts = [self.median(0, f"limit {payload}", name, "any")
                 for name in ("copy_ns", "crc_ns")]
        return sum(parts) if all(parts) else None

    def packet_ns(self, mtu, driver):
        """A packet's time where messages have many."""
        rate = self.median(mtu, "write bw 64 KiB, ODP", "MiB/s", driver)
        return MTUS[mtu] / (rate * (1 << 20)) * 1e9 if rate else None

    def overhead_ns(self, mtu, driver):
        """What of that is neither copying nor summing, of two sides."""
        packet, limit = self.packet_ns(mtu, driver), self.limit_ns(MTUS[mtu])
        return packet - 2 * limit if packet and limit else None


def quotient(a, b):
    return a / b if a is not None and b else None


def targets(f):
    """What is asked for: text, value, bound, whether more is better."""
    for mtu in MTUS:
        yield (f"overhead per packet ÷ in-tree, MTU {mtu}",
               quotient(f.overhead_ns(mtu, OURS), f.overhead_ns(mtu, INTREE)),
               0.2, False)
    for mtu, payload in MTUS.items():
        limit = f.limit_ns(payload)
        most = payload / limit * 1e9 / (1 << 20) if limit else None
        for kind in ("write", "read", "send"):
            row = f"{kind} bw 64 KiB, ODP"
            yield (f"{kind} 64 KiB, ODP: share of the limit, MTU {mtu}",
                   quotient(f.median(mtu, row, "MiB/s", OURS), most), 0.7,
                   True)
            yield (f"{kind} 64 KiB, ODP ÷ in-tree, MTU {mtu}",
                   f.ratio(mtu, row, "MiB/s"), 2.5 if mtu == 4200 else 5, True)
    for mtu in MTUS:
        for row in ("write bw 8 B, ODP", "atomic bw 8 B, pinned"):
            yield (f"{row} ÷ in-tree, MTU {mtu}",
                   f.ratio(mtu, row, "messages/s"), 4, True)
        for row in ("write lat 8 B, ODP", "send lat 8 B, ODP"):
            yield (f"{row}, typical ÷ in-tree, MTU {mtu}",
                   f.ratio(mtu, row, "typical us"), 0.5, False)
        for name in ("cold_write_pages_per_s", "cold_read_pages_per_s"):
            yield (f"{name} ÷ in-tree, MTU {mtu}",
                   f.ratio(mtu, "faults", name), 5, True)
        yield (f"write 64 KiB, ODP ÷ pinned, MTU {mtu}",
               quotient(f.median(mtu, "write bw 64 KiB, ODP", "MiB/s", OURS),
                        f.median(mtu, "write bw 64 KiB, pinned", "MiB/s",
                                 OURS)), 0.97, True)
    yield from scale_targets(f)


def scale_targets(f):
    """Look-ups stay flat, and regions can be shared."""
    def ours(metric):
        return f.median(4200, "scale", metric, OURS)

    for what in ("1000_connections", "10000_regions", "100000_regions"):
        yield (f"8-byte writes among {what.replace('_', ' ')} ÷ alone",
               quotient(ours(f"write_8b_per_s_{what}"),
                        ours("write_8b_per_s_alone")), 0.9, True)
    yield ("two QPs through one region ÷ through one each",
           quotient(ours("two_qps_one_region_mib_per_s"),
                    ours("two_qps_two_regions_mib_per_s")), 0.95, True)


def number(value):
    """For people: small ones with what is behind the point."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def target_lines(f):
    for text, value, bound, more in targets(f):
        if value is None:
            reached = "not measured"
        else:
            reached = "reached" if (value >= bound if more else
                                    value <= bound) else "NOT reached"
        yield text, number(value), f"{'≥' if more else '≤'} {bound}", reached


def row_lines(f, stock):
    for mtu, row, metric in f.rows():
        line = [str(mtu), row, metric,
                number(f.median(mtu, row, metric, OURS)),
                number(f.median(mtu, row, metric, INTREE)),
                number(f.ratio(mtu, row, metric)),
                f.spread(mtu, row, metric, OURS),
                f.spread(mtu, row, metric, INTREE)]
        if stock:
            line.append(number(stock.ratio(mtu, row, metric)))
        yield line


def tcp_lines(f):
    for (mtu, row, metric, driver), values in f.values.items():
        if driver == "any" and mtu:
            yield (str(mtu), row, metric,
                   number(statistics.median(values)))


def heads(stock):
    names = ["MTU", "row", "unit", "ours", "in-tree", "ours ÷ in-tree",
             "spread of ours", "of in-tree"]
    return names + (["÷ on a stock boot"] if stock else [])


def print_table(head, lines):
    lines = [list(line) for line in lines]
    widths = [max(len(line[i]) for line in [head] + lines)
              for i in range(len(head))]
    for line in [head] + lines:
        print("  ".join(word.ljust(width)
                        for word, width in zip(line, widths)).rstrip())
    print()


def html_table(head, lines):
    def row(tag, words):
        return "<tr>" + "".join(f"<{tag}>{html.escape(word)}</{tag}>"
                                for word in words) + "</tr>"
    return "<table>" + "\n".join(
        [row("th", head)] + [row("td", line) for line in lines]) + "</table>"


def plot(f, path, title, metric, rows):
    """Bars of both drivers beside each other, for each row and MTU."""
    data = []
    for row, name in rows.items():
        for mtu in MTUS:
            ours = f.median(mtu, row, metric, OURS)
            intree = f.median(mtu, row, metric, INTREE)
            data.append(f'"{name}\\nMTU {mtu}" {ours or 0} {intree or 0}')
    script = f"""
set terminal svg size 900,380 background "white" font "sans,13"
set output "{path}"
set title "{title}"
set style data histograms
set style fill solid
set boxwidth 0.9
set yrange [0:*]
set grid ytics
set xtics nomirror scale 0 font ",11"
set bmargin 4
set key outside right
$d << EOD
{chr(10).join(data)}
EOD
plot $d using 2:xtic(1) title "ours" lc rgb "#1f77b4", \\
     $d using 3 title "in-tree" lc rgb "#bbbbbb"
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def page(about, f, stock, pictures):
    style = "body{font-family:sans-serif;max-width:70em;margin:auto}" \
        "table{border-collapse:collapse;font-size:90%}" \
        "td,th{border:1px solid #ccc;padding:2px 8px;text-align:left}"
    images = "".join(f'<p><img src="{name}" alt="{name}">' for name in pictures)
    return f"""<!DOCTYPE html>
<meta charset="utf-8"><title>rdma_rxe: ours and in-tree</title>
<style>{style}</style>
<h1>rdma_rxe: ours and in-tree</h1>
<pre>{html.escape(about)}</pre>
{images}
<h2>Targets</h2>
{html_table(["target", "measured", "wanted", ""], target_lines(f))}
<h2>All figures (medians)</h2>
{html_table(heads(stock), row_lines(f, stock))}
<h2>For information</h2>
{html_table(["MTU", "row", "unit", "median"], tcp_lines(f))}
"""


def main(directory):
    with open(os.path.join(directory, "about.txt"), encoding="utf-8") as file:
        about = file.read()
    f = Figures(os.path.join(directory, "tuned.csv"))
    path = os.path.join(directory, "stock.csv")
    stock = Figures(path) if os.path.exists(path) else None
    pictures = []
    for name, title, metric, rows in PLOTS:
        plot(f, os.path.join(directory, f"{name}.svg"), title, metric, rows)
        pictures.append(f"{name}.svg")
    with open(os.path.join(directory, "report.html"), "w",
              encoding="utf-8") as file:
        file.write(page(about, f, stock, pictures))
    print(about)
    print_table(heads(stock), row_lines(f, stock))
    print_table(["MTU", "row", "unit", "median"], tcp_lines(f))
    print_table(["target", "measured", "wanted", ""], target_lines(f))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} DIRECTORY")
    main(sys.argv[1])
