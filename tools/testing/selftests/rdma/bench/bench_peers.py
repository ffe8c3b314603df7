#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
This driver and the kernel's own as peers: perftest between two guests on one
cable, each of which loads, in turn, the driver that it is to have. Run this on
both at once, with ROLE, CABLE_ADDR and CABLE_PEER as for cable_lib.sh, no loaded
rdma_rxe, and RXE_KO:

    bench_peers.py OUTPUT.csv

The guest whose ROLE is ours has all clients, the other one all servers; "drivers"
in the output, which is as bench.py's, are those of client and server. Memory is
pinned: bench.py measures on-demand memory of the kernel's own driver. PAIRS= says
how often each two drivers have their turn, ROWS= leaves rows out.
"""

import itertools
import os
import re
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
# pylint: disable=wrong-import-position
from bench import (Bandwidth, Failed, Progress, RUN_SECONDS, TWO_HOSTS, call,
                   end, load, wait_for_port)
from rendezvous import Rendezvous

CLIENT = os.environ["ROLE"] == "ours"
ADDRESS = os.environ["CABLE_ADDR"]
PEER = os.environ["CABLE_PEER"]
MEETING_PORT = 18691
PORT = 18515
# enough for some seconds
MESSAGES = 1000
TURNS = int(os.environ.get("PAIRS") or 5)
# of client and server
PAIRINGS = (("ours", "intree"), ("intree", "ours"), ("intree", "intree"))
MTUS = (1500, 4200)
ROWS = [row for row in (Bandwidth(f"ib_{kind}_bw", 65536, odp=False)
                        for kind in ("write", "read", "send"))
        if re.search(os.environ.get("ROWS") or "", row.name)]


class Side:
    """One of the two guests: both do the same steps, and meet at each."""

    def __init__(self):
        self.driver = None
        self.gid = None
        self.meeting = Rendezvous(CLIENT, ADDRESS if CLIENT else PEER,
                                  MEETING_PORT, RUN_SECONDS + 60)

    def load(self, driver):
        """Load this driver, and add a link on the cable."""
        if driver != self.driver:
            if self.driver:
                call("rdma", "link", "delete", "rxe0")
                call("modprobe", "-r", "rdma_rxe")
            load(driver)
            call("rdma", "link", "add", "rxe0", "type", "rxe", "netdev", "eth0")
            self.driver = driver
            self.gid = call(TWO_HOSTS, "gid", "rxe0", ADDRESS).strip()
        # the harness ends a guest that is silent for long
        print(f"{driver} is loaded", flush=True)
        self.meeting.meet()

    def set_mtu(self, mtu):
        call("ip", "link", "set", "eth0", "mtu", str(mtu))
        self.meeting.meet()

    def command(self, row):
        return [*row.words(MESSAGES), "-p", str(PORT), "-d", "rxe0",
                "-x", self.gid]

    def serve(self, row):
        """A server, until the client has ended."""
        with subprocess.Popen(self.command(row), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as server:
            try:
                try:
                    wait_for_port(PORT, server)
                except Failed as why:
                    self.meeting.exchange(str(why))
                    return
                self.meeting.exchange()
                self.meeting.exchange()
            finally:
                end(server)

    def ask(self, row):
        """The figures of a client."""
        trouble = self.meeting.exchange()
        if trouble:
            raise Failed(trouble)
        try:
            done = subprocess.run([*self.command(row), PEER], text=True,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False,
                                  timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"not done after {RUN_SECONDS} s") from late
        finally:
            self.meeting.exchange()
        if done.returncode:
            raise Failed((done.stdout.strip().splitlines() or ["?"])[-1])
        return row.figures(row.numbers(done.stdout))


def main(path):
    steps = list(itertools.product(range(TURNS), PAIRINGS, MTUS, ROWS))
    progress = Progress(path, [("-".join(pairing), mtu, row)
                               for _, pairing, mtu, row in steps])
    side = Side()
    for turn, pairing in itertools.product(range(TURNS), PAIRINGS):
        side.load(pairing[0 if CLIENT else 1])
        for mtu in MTUS:
            side.set_mtu(mtu)
            for row in ROWS:
                if CLIENT:
                    progress.measure(turn, "-".join(pairing), mtu, row,
                                     lambda row=row: side.ask(row))
                else:
                    side.serve(row)
    side.meeting.close()
    progress.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} OUTPUT.csv")
    try:
        main(sys.argv[1])
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(error.cmd)}: {error.stdout}")
