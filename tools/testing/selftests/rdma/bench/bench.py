#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
Two drivers on one machine: this one and the kernel's own rdma_rxe, loaded in
turn, measured by unmodified perftest between the two hosts of two_hosts.sh.

    bench.py OUTPUT.csv

Needs root, no loaded rdma_rxe, RXE_KO (this driver's module), LIMIT_KO (that of
rxe_limit), perftest and iperf3. PAIRS= says how often both drivers have their
turn, QUICK=1 leaves most rows out, ROWS= those whose names do not match it,
DRIVERS="ours" the other driver. Each line of the output is one figure:
pair, driver, MTU of the netdevs, row, metric, value. The metric "no figure" stands
for a run that gave none.

hosta is on CPU 0 and hostb on CPU 1, as two machines would be: programs by
their affinity, received packets by RPS. That is so for both drivers.
"""

import collections
import csv
import dataclasses
import json
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
TWO_HOSTS = os.path.join(HERE, "../lib/two_hosts.sh")
QUICK = bool(os.environ.get("QUICK"))
PAIRS = int(os.environ.get("PAIRS") or (3 if QUICK else 5))
ROWS = re.compile(os.environ.get("ROWS") or "")
DRIVERS = (os.environ.get("DRIVERS") or "ours intree").split()
# The kernel's own driver hangs now and then, e.g. where 64 QPs read.
RUN_SECONDS = 20
PROGRAM_SECONDS = 120
# tries of a row that never gives a figure
MOST_FAILURES = 2
# Netdevs with path MTUs of 1024 and 4096. Larger netdev MTUs do not change the
# packets: only rows of long messages are measured there.
PATH_MTUS = (1500, 4200)
# packets that a netdev takes at once: the kernel's default
ALL_TOGETHER = 65535
# messages, so that a fast driver takes a fifth of a second at least: the beginning,
# when emulation has yet to translate what was loaded, counts for little then; and
# not so many that 64 QPs have more under way than a completion queue takes
COUNTS = {2: 30000, 8: 100000, 64: 30000, 1024: 16000, 4096: 16000, 65536: 3000,
          1 << 20: 100}


def names_of_size(size):
    """65536 is 64 KiB."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size // unit} {name}"
    return f"{size} B"


def call(*command, **args):
    return subprocess.run(command, check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          **args).stdout


class Failed(Exception):
    """A run gave no figure; the reason is shown, and the bench goes on."""


@dataclasses.dataclass(frozen=True)
class Host:
    """One of the two hosts."""
    name: str
    netdev: str
    device: str
    addr: str
    cpu: int

    def command(self, *words):
        return ["ip", "netns", "exec", self.name, "taskset", "-c",
                str(self.cpu), *map(str, words)]

    def gid(self):
        """The GID index since hosts_up(): a search takes long."""
        return GIDS[self]


CLIENT = Host("hosta", "va", "rxe0", "10.0.0.1", 0)
SERVER = Host("hostb", "vb", "rxe1", "10.0.0.2", 1)
HOSTS = (CLIENT, SERVER)
GIDS = {}


def listens(process, port):
    """Whether a TCP port is listened to in the net namespace of a process."""
    for table in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{process.pid}/net/{table}",
                      encoding="ascii") as file:
                if re.search(rf":{port:04X} [0-9A-F:]+ 0A ", file.read()):
                    return True
        except OSError:
            return False    # it has ended
    return False


def wait_for_port(port, server):
    deadline = time.monotonic() + 20
    while not listens(server, port):
        if server.poll() is not None or time.monotonic() > deadline:
            raise Failed("the server does not listen")
        time.sleep(0.01)


def end(process):
    process.kill()
    process.wait()


def between(port, server_words, client_words, server_ends=True):
    """Run a server and a client; returns the client's output."""
    with subprocess.Popen(SERVER.command(*server_words),
                          stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as server:
        try:
            wait_for_port(port, server)
            done = subprocess.run(CLIENT.command(*client_words), text=True,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False,
                                  timeout=RUN_SECONDS)
            if done.returncode:
                raise Failed((done.stdout.strip().splitlines() or ["?"])[-1])
            if server_ends and server.wait(RUN_SECONDS):
                raise Failed("the server has failed")
            return done.stdout
        except subprocess.TimeoutExpired as late:
            raise Failed(f"not done after {RUN_SECONDS} s") from late
        finally:
            end(server)


def busy_ticks():
    """The CPU time of all CPUs, in hundredths of a second."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(word) for word in file.readline().split()[1:]]
    idle, iowait = fields[3:5]
    return sum(fields[:8]) - idle - iowait


class Perftest:
    """One program of perftest's, with its options."""

    once = None

    def __init__(self, program, size, *, odp=True, qps=1, service="RC",
                 posted=1):
        self.program = program
        self.size = size
        # perftest 4.5 has --odp for these only
        self.odp = odp and service == "RC" and "atomic" not in program
        self.qps = qps
        self.service = service
        self.posted = posted
        kind = program.removeprefix("ib_").replace("_", " ")
        self.name = f"{kind} {names_of_size(size)}"
        self.name += f", {service}" if service != "RC" else ""
        self.name += ", ODP" if self.odp else ", pinned"
        self.name += f", {qps} QPs" if qps > 1 else ""
        self.name += f", {posted} a call" if posted > 1 else ""

    def fits(self, mtu):
        return mtu in PATH_MTUS

    def words(self, count, *options):
        """The command, without the arguments of either side."""
        words = [self.program, "-F", "-u", "18", "-s", self.size, "-n", count,
                 "-q", self.qps, *options]
        if "atomic" in self.program:
            words[words.index("-s"):words.index("-n")] = []
        if self.qps == 1:
            words[words.index("-q"):words.index("-q") + 2] = []
        words += ["-c", self.service] if self.service != "RC" else []
        words += ["-l", self.posted] if self.posted > 1 else []
        return [*map(str, words), *(["--odp"] if self.odp else [])]

    def numbers(self, said):
        """Its table's only line."""
        lines = re.findall(rf"^ *{self.size} +([\d. \t]+)$", said, flags=re.M)
        if not lines:
            raise Failed("no table")
        return [float(word) for word in lines[-1].split()]

    def run(self, count, *options):
        words = self.words(count, *options)
        return self.numbers(between(
            18515, words + ["-d", SERVER.device, "-x", SERVER.gid()],
            words + ["-d", CLIENT.device, "-x", CLIENT.gid(), SERVER.addr],
            server_ends=self.service == "RC"))

    def count(self):
        return max(COUNTS[self.size] // self.qps, 5)


class Bandwidth(Perftest):
    def fits(self, mtu):
        return super().fits(mtu) or (self.size >= 65536 and self.odp and
                                     self.qps == 1)

    @staticmethod
    def figures(numbers):
        # iterations, peak, average, million messages a second
        _, _, average, messages = numbers
        # perftest measures its clock by one that may stop on an emulated machine
        if not average:
            raise Failed("perftest says 0")
        return {"MiB/s": average, "messages/s": messages * 1e6}

    def measure(self):
        return self.figures(self.run(self.count()))


class Lossy(Bandwidth):
    """
    Both netdevs delay what they send, and lose packets. They take packets one by one,
    as an aggregate would be lost as a whole.
    """

    DELAY_US = 100
    LOST_PERCENT = 1

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.name += f", {self.LOST_PERCENT} % lost"

    def fits(self, mtu):
        return mtu == PATH_MTUS[0]

    def count(self):
        return super().count() // 10

    def measure(self):
        call(TWO_HOSTS, "together", "1")
        call(TWO_HOSTS, "netem", "limit", "20000", "delay", f"{self.DELAY_US}us",
             "loss", f"{self.LOST_PERCENT}%")
        try:
            return super().measure()
        finally:
            call(TWO_HOSTS, "netem")
            call(TWO_HOSTS, "together", str(ALL_TOGETHER))


class Latency(Perftest):
    def measure(self):
        # iterations, least, most, typical, average, deviation, 99 %, 99.9 %
        numbers = self.run(1000)
        return {"typical us": numbers[3], "99 % us": numbers[6]}


class CpuTime(Perftest):
    """
    Both sides wait for events, which perftest cannot do for writes. The cost of the
    start is subtracted.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.name = "CPU time, " + self.name

    def measure(self):
        used = []
        few = self.count() // 6
        for count in (few, 6 * few):
            before = busy_ticks()
            self.run(count, "-e")
            used.append(busy_ticks() - before)
        moved = 5 * few * self.size
        return {"ns/KiB": (used[1] - used[0]) * 1e7 / (moved / 1024)}


class Program:
    """
    A program of our own that prints names and figures. @once: a driver that runs
    it in its first turn only, as it takes long there.
    """

    def __init__(self, name, program, mtus=PATH_MTUS, once=None):
        self.name = name
        self.program = program
        self.mtus = mtus
        self.once = once

    def fits(self, mtu):
        return mtu in self.mtus

    def measure(self):
        try:
            said = call("taskset", "-c", str(CLIENT.cpu),
                        os.path.join(HERE, self.program),
                        timeout=PROGRAM_SECONDS)
        except subprocess.CalledProcessError as failed:
            raise Failed(failed.stdout.strip()) from failed
        except subprocess.TimeoutExpired as late:
            raise Failed(f"not done after {PROGRAM_SECONDS} s") from late
        return {name: float(value)
                for name, value in map(str.split, said.splitlines())}


class Tcp:
    """The throughput of TCP over the same netdevs, for information."""

    name = "TCP, iperf3"

    @staticmethod
    def fits(_):
        return True

    @staticmethod
    def measure():
        said = between(5201, ["iperf3", "-s", "-1"],
                       ["iperf3", "-c", SERVER.addr, "-t", 2, "-J"])
        bits = json.loads(said)["end"]["sum_received"]["bits_per_second"]
        return {"MiB/s": bits / 8 / (1 << 20)}


def main_rows():
    """The rows of the README, and of the targets."""
    kinds = ("write", "read", "send")
    return [
        *(Bandwidth(f"ib_{kind}_bw", 65536) for kind in kinds),
        Bandwidth("ib_write_bw", 65536, odp=False),
        Lossy("ib_read_bw", 65536),
        Bandwidth("ib_write_bw", 8),
        Bandwidth("ib_write_bw", 8, posted=16),
        Bandwidth("ib_atomic_bw", 8),
        Latency("ib_write_lat", 8),
        Latency("ib_send_lat", 8),
        CpuTime("ib_read_bw", 65536),
        CpuTime("ib_send_bw", 65536),
        Program("faults", "bench_odp"),
    ]


def all_rows():
    """The main rows and the rest, none of them twice."""
    sizes = (2, 64, 4096, 65536, 1 << 20)
    rows = main_rows()
    for kind in ("write", "read", "send"):
        program = f"ib_{kind}_bw"
        for odp in (False, True):
            rows += [Bandwidth(program, size, odp=odp) for size in sizes]
        rows += [Bandwidth(program, size, qps=qps)
                 for qps in (4, 64) for size in (64, 65536)]
        rows.append(Latency(f"ib_{kind}_lat", 8, odp=False))
    rows += [Bandwidth("ib_send_bw", size, service="UD") for size in (64, 1024)]
    rows.append(Latency("ib_send_lat", 8, service="UD"))
    # It does not depend on the MTU; the targets are for ours.
    rows.append(Program("scale", "bench_scale", (4200,), "intree"))
    return list({row.name: row for row in rows}.values())


def insert(module):
    """Load a module from its file, after its dependencies."""
    needs = call("modinfo", "-F", "depends", module).strip()
    for name in filter(None, needs.split(",")):
        call("modprobe", name)
    call("insmod", module)


def load(driver):
    if driver == "intree":
        call("modprobe", "rdma_rxe")
    else:
        insert(os.environ["RXE_KO"])


def hosts_up():
    call(TWO_HOSTS, "up")
    for host in HOSTS:
        call("ip", "netns", "exec", host.name, "sh", "-c",
             f"for queue in /sys/class/net/{host.netdev}/queues/rx-*; do "
             f"echo {1 << host.cpu:x} >$queue/rps_cpus; done")
        GIDS[host] = int(call(TWO_HOSTS, "gid", host.device, host.addr))


class Progress:
    """
    Writes all figures, as they come, and prints the progress. @steps: all
    measurements to be done, each by its driver, MTU and row.
    """

    def __init__(self, path, steps):
        self.file = open(path, "w", encoding="ascii", newline="")
        self.writer = csv.writer(self.file)
        self.writer.writerow(("pair", "driver", "mtu", "row", "metric",
                              "value"))
        self.left = collections.Counter((driver, row.name)
                                        for driver, _, row in steps)
        self.total = len(steps)
        self.done = 0
        self.took = {}
        self.began = self.last = time.monotonic()

    def write(self, *fields):
        self.writer.writerow(fields)
        self.file.flush()

    def count(self, driver, row):
        """Count a step, and all steps before it, as done."""
        now = time.monotonic()
        self.done += 1
        self.left[driver, row.name] -= 1
        self.took[driver, row.name] = now - self.last
        self.last = now

    def time(self):
        """Time gone by, and expected: a step takes as long as it last took."""
        gone = self.last - self.began
        left = sum(number * self.took.get(step, gone / self.done)
                   for step, number in self.left.items())
        return (f"{int(gone) // 60}:{int(gone) % 60:02} of about "
                f"{(gone + left) / 60:.0f} min")

    def measure(self, pair, driver, mtu, row, how):
        """Take the figures that @how gives."""
        try:
            figures = how()
        except Failed as why:
            figures = {"no figure": 1}
            text = f"no figure: {why}"
        else:
            text = ", ".join(f"{value:,.1f} {metric}"
                             for metric, value in figures.items())
        self.count(driver, row)
        print(f"[{self.done}/{self.total}, {self.time()}] {driver}, MTU {mtu}, "
              f"{row.name}: {text}", flush=True)
        for metric, value in figures.items():
            self.write(pair, driver, mtu, row.name, metric, value)

    def close(self):
        self.file.close()


class Bench:
    """Both drivers, in turn."""

    def __init__(self, path):
        rows = main_rows() if QUICK else all_rows()
        self.rows = [row for row in rows if ROWS.search(row.name)]
        if not any(ROWS.search(row.name) for row in all_rows()):
            sys.exit("ROWS matches none of: " +
                     ", ".join(row.name for row in all_rows()))
        self.mtus = PATH_MTUS if QUICK else (*PATH_MTUS, 9000)
        self.tcp = Tcp()
        self.failures = collections.Counter()
        self.progress = Progress(path, [
            step for pair in range(PAIRS) for driver in self.drivers(pair)
            for step in self.steps(pair, driver)])

    @staticmethod
    def drivers(pair):
        return DRIVERS if pair % 2 == 0 else DRIVERS[::-1]

    def steps(self, pair, driver):
        """The rows that are measured with a driver."""
        for mtu in self.mtus:
            if driver == "ours":
                yield "any", mtu, self.tcp
            for row in self.rows:
                if row.fits(mtu) and not (pair and row.once == driver):
                    yield driver, mtu, row

    def attempt(self, *step):
        """A row's figures, unless it has never given any."""
        if self.failures[step] >= MOST_FAILURES:
            raise Failed("left out, it has given none before")
        self.failures[step] += 1
        figures = step[-1].measure()
        self.failures[step] = -PAIRS
        return figures

    def turn(self, pair, driver):
        """Load a driver, measure it, and unload it."""
        load(driver)
        hosts_up()
        now = None
        for step in self.steps(pair, driver):
            if step[1] != now:
                now = step[1]
                call(TWO_HOSTS, "mtu", str(now))
            self.progress.measure(pair, *step,
                                  lambda step=step: self.attempt(*step))
        call(TWO_HOSTS, "down")
        call("modprobe", "-r", "rdma_rxe")

    def limits(self, pair):
        """The machine's limit of copy and CRC on one CPU, which other loads may lower."""
        insert(os.environ["LIMIT_KO"])
        for name in ("copy_ns", "crc_ns"):
            with open(f"/sys/module/rxe_limit/parameters/{name}",
                      encoding="ascii") as file:
                for payload, value in zip((1024, 4096),
                                          file.read().strip().split(",")):
                    self.progress.write(pair, "any", 0, f"limit {payload}",
                                        name, value)
                    print(f"limit: {name} of {payload} B: {value}")
        call("rmmod", "rxe_limit")

    def run(self):
        for pair in range(PAIRS):
            self.limits(pair)
            for driver in self.drivers(pair):
                self.turn(pair, driver)
        self.progress.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} OUTPUT.csv")
    try:
        Bench(sys.argv[1]).run()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(error.cmd)}: {error.stdout}")
