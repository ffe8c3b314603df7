#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
Two programs on two hosts wait for each other, by TCP. By hand:

rendezvous.py listen|connect ADDRESS PORT [SECONDS]
"""

import socket
import sys
import time


class Rendezvous:
    """A connection of two, one of whom listens at @address."""

    def __init__(self, listens, address, port, seconds=60):
        end = time.monotonic() + seconds
        if listens:
            with socket.create_server((address, port)) as door:
                door.settimeout(seconds)
                self.sock = door.accept()[0]
            self.sock.settimeout(seconds)
            return
        while True:
            try:
                self.sock = socket.create_connection((address, port), seconds)
                return
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def meet(self):
        """Both are here before either goes on."""
        self.sock.sendall(b"!")
        assert self.sock.recv(1) == b"!", "the other one has gone"

    def close(self):
        self.sock.close()


if __name__ == "__main__":
    ROLE, ADDRESS, PORT, *SECONDS = sys.argv[1:]
    Rendezvous(ROLE == "listen", ADDRESS, int(PORT), *map(int, SECONDS)).meet()
