#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
Report of bench.py: medians and ratios of both drivers, as a table on the
terminal, and as a page with pictures by gnuplot.

    bench_report.py DIRECTORY

DIRECTORY holds tuned.csv, maybe stock.csv (the same on a guest with nothing
switched off) and peers.csv (of bench_peers.py), and about.txt, which describes the
run; the report goes there, too.
"""

import collections
import csv
import html
import os
import statistics
import subprocess
import sys

OURS, INTREE = "ours", "intree"
# client and server; the others are compared with the last one
PEERS = {"ours-intree": "ours to in-tree", "intree-ours": "in-tree to ours",
         "intree-intree": "in-tree to in-tree"}
MTUS = {1500: 1024, 4200: 4096}
# what bench.py writes in place of a metric if a run gave none
NO_FIGURE = "no figure"
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
        self.measured = os.path.exists(path)
        if not self.measured:
            return
        with open(path, encoding="ascii", newline="") as file:
            for line in csv.DictReader(file):
                key = (int(line["mtu"]), line["row"], line["metric"],
                       line["driver"])
                self.values[key].append(float(line["value"]))

    def __bool__(self):
        return self.measured

    def median(self, *key):
        """The median of a row; None: there is no such figure."""
        values = self.values.get(key)
        return statistics.median(values) if values else None

    def ratio(self, mtu, row, metric, of=OURS, to=INTREE):
        """Ours to the kernel's, of medians."""
        return quotient(self.median(mtu, row, metric, of),
                        self.median(mtu, row, metric, to))

    def spread(self, *key):
        values = self.values.get(key)
        return f"{min(values):,.0f} to {max(values):,.0f}" if values else "-"

    def failed(self, mtu, row, driver):
        """How often there was no figure."""
        times = len(self.values.get((mtu, row, NO_FIGURE, driver), ()))
        return f"{times} times" if times else "-"

    def rows(self):
        """Each MTU, row and metric that some driver has, in order."""
        return list(dict.fromkeys(key[:3] for key in self.values
                                  if key[3] in (OURS, INTREE)))

    def times(self):
        """The rows that have had so many figures: by MTU, driver, number."""
        numbers = collections.defaultdict(int)
        for (mtu, row, metric, driver), values in self.values.items():
            if mtu and metric != NO_FIGURE:
                step = mtu, driver, row
                numbers[step] = max(numbers[step], len(values))
        rows = collections.defaultdict(list)
        for (mtu, driver, row), number_of in numbers.items():
            rows[mtu, driver, number_of].append(row)
        return sorted(rows.items())

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
        """The part of that time which is neither copy nor CRC on either side."""
        packet, limit = self.packet_ns(mtu, driver), self.limit_ns(MTUS[mtu])
        return packet - 2 * limit if packet and limit else None


def quotient(a, b):
    return a / b if a is not None and b else None


def targets(f, peers):
    """The targets: text, value, bound, whether more is better."""
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
    yield ("read 64 KiB, ODP, 1 % lost ÷ in-tree, MTU 1500",
           f.ratio(1500, "read bw 64 KiB, ODP, 1 % lost", "MiB/s"), 1, True)
    yield from scale_targets(f)
    yield from peer_targets(peers)


def scale_targets(f):
    """Rates do not depend on the number of objects, and regions can be shared."""
    def ours(metric):
        return f.median(4200, "scale", metric, OURS)

    for what in ("1000_connections", "10000_regions", "100000_regions"):
        yield (f"8-byte writes among {what.replace('_', ' ')} ÷ alone",
               quotient(ours(f"write_8b_per_s_{what}"),
                        ours("write_8b_per_s_alone")), 0.9, True)
    yield ("two QPs through one region ÷ through one each",
           quotient(ours("two_qps_one_region_mib_per_s"),
                    ours("two_qps_two_regions_mib_per_s")), 0.95, True)


def peer_targets(f):
    """The kernel's driver gains from a peer with ours, or loses nothing."""
    base = list(PEERS)[-1]
    for mtu in MTUS:
        for kind in ("write", "read", "send"):
            for pairing in list(PEERS)[:-1]:
                yield (f"{kind} 64 KiB, {PEERS[pairing]} ÷ {PEERS[base]}, "
                       f"MTU {mtu}",
                       f.ratio(mtu, f"{kind} bw 64 KiB, pinned", "MiB/s",
                               pairing, base), 1, True)


def number(value):
    """Format a number; small ones with decimals."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def target_lines(f, peers):
    for text, value, bound, more in targets(f, peers):
        if value is None:
            reached = "not measured"
        else:
            reached = "reached" if (value >= bound if more else
                                    value <= bound) else "NOT reached"
        yield text, number(value), f"{'≥' if more else '≤'} {bound}", reached


def row_lines(f, stock):
    for mtu, row, metric in f.rows():
        if metric == NO_FIGURE:
            line = [str(mtu), row, metric, f.failed(mtu, row, OURS),
                    f.failed(mtu, row, INTREE)]
            yield line + ["-"] * (len(heads(stock)) - len(line))
            continue
        line = [str(mtu), row, metric,
                number(f.median(mtu, row, metric, OURS)),
                number(f.median(mtu, row, metric, INTREE)),
                number(f.ratio(mtu, row, metric)),
                f.spread(mtu, row, metric, OURS),
                f.spread(mtu, row, metric, INTREE)]
        if stock:
            line.append(number(stock.ratio(mtu, row, metric)))
        yield line


def peer_lines(f):
    """All rows to be measured, with a figure or without."""
    for mtu in MTUS:
        for kind in ("write", "read", "send"):
            key = (mtu, f"{kind} bw 64 KiB, pinned", "MiB/s")
            base = list(PEERS)[-1]
            for pairing, name in PEERS.items():
                yield (str(mtu), key[1], key[2], name,
                       number(f.median(*key, pairing)),
                       number(f.ratio(*key, pairing, base)),
                       f.spread(*key, pairing),
                       f.failed(mtu, key[1], pairing))


def run_lines(boots):
    """How often each row was run, by its figures."""
    for boot, f in boots.items():
        for (mtu, driver, times), rows in f.times():
            what = f"{len(rows)} rows" if len(rows) > 2 else "; ".join(rows)
            yield boot, str(mtu), driver, what, str(times)


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


def tables(f, stock, peers):
    """The tables of the report: title, heads, lines."""
    boots = {"tuned": f, "stock": stock, "peers": peers}
    yield "All figures (medians)", heads(stock), row_lines(f, stock)
    if peers:
        yield ("As peers: two guests on one cable (medians)",
               ["MTU", "row", "unit", "client to server", "median",
                "÷ in-tree to in-tree", "spread", NO_FIGURE],
               peer_lines(peers))
    yield ("For information", ["MTU", "row", "unit", "median"], tcp_lines(f))
    yield ("Number of runs",
           ["boot", "MTU", "driver or pairing", "rows", "figures of each"],
           run_lines(boots))
    yield ("Targets", ["target", "measured", "wanted", ""],
           target_lines(f, peers))


def page(about, shown, pictures):
    style = "body{font-family:sans-serif;max-width:70em;margin:auto}" \
        "table{border-collapse:collapse;font-size:90%}" \
        "td,th{border:1px solid #ccc;padding:2px 8px;text-align:left}"
    images = "".join(f'<p><img src="{name}" alt="{name}">' for name in pictures)
    # targets first
    parts = "\n".join(f"<h2>{title}</h2>\n{html_table(head, lines)}"
                      for title, head, lines in shown[-1:] + shown[:-1])
    return f"""<!DOCTYPE html>
<meta charset="utf-8"><title>rdma_rxe: ours and in-tree</title>
<style>{style}</style>
<h1>rdma_rxe: ours and in-tree</h1>
<pre>{html.escape(about)}</pre>
{images}
{parts}
"""


def main(directory):
    with open(os.path.join(directory, "about.txt"), encoding="utf-8") as file:
        about = file.read()
    f, stock, peers = (Figures(os.path.join(directory, f"{name}.csv"))
                       for name in ("tuned", "stock", "peers"))
    pictures = []
    for name, title, metric, rows in PLOTS if f else ():
        plot(f, os.path.join(directory, f"{name}.svg"), title, metric, rows)
        pictures.append(f"{name}.svg")
    shown = [(title, head, list(lines))
             for title, head, lines in tables(f, stock, peers)]
    with open(os.path.join(directory, "report.html"), "w",
              encoding="utf-8") as file:
        file.write(page(about, shown, pictures))
    print(about)
    for title, head, lines in shown:
        print(title)
        print_table(head, lines)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} DIRECTORY")
    main(sys.argv[1])
