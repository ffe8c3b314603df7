#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
Two programs on two hosts wait for each other, by TCP. By hand:

rendezvous.py listen|connect ADDRESS PORT [SECONDS]
"""

import socket
import sys
import time


def connect(address, port, seconds):
    """Connect to a host that may not be up, or not listen, yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection((address, port), seconds)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


class Rendezvous:
    """A connection of two hosts, one of which listens at @address."""

    def __init__(self, listens, address, port, seconds=60):
        if listens:
            with socket.create_server((address, port)) as door:
                door.settimeout(seconds)
                self.sock = door.accept()[0]
        else:
            self.sock = connect(address, port, seconds)
        self.sock.settimeout(seconds)
        self.lines = self.sock.makefile("r")

    def exchange(self, text=""):
        """Send a line, and return the other side's line."""
        self.sock.sendall(f"{text}\n".encode())
        said = self.lines.readline()
        assert said, "the other one has gone"
        return said.rstrip("\n")

    def meet(self):
        """Wait until both sides are here."""
        self.exchange()

    def close(self):
        self.lines.close()
        self.sock.close()


if __name__ == "__main__":
    ROLE, ADDRESS, PORT, *SECONDS = sys.argv[1:]
    Rendezvous(ROLE == "listen", ADDRESS, int(PORT), *map(int, SECONDS)).meet()
