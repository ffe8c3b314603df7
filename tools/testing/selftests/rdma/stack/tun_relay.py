#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
A tunnel between two net namespaces, of netdevs that have no hardware address:
tun_relay.py NAMESPACE=NETDEV NAMESPACE=NETDEV makes a tun netdev in each, and
relays packets from each to the other until it is killed.
"""

import ctypes
import fcntl
import os
import select
import struct
import sys

TUNSETIFF = 0x400454ca
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
CLONE_NEWNET = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)


def open_tun(namespace, name):
    """Enter a namespace, and make a tun netdev in it."""
    with open(f"/run/netns/{namespace}", encoding="ascii") as there:
        if libc.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF,
                struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return tun


def main():
    """Make both ends, and relay."""
    one, other = (open_tun(*end.split("=")) for end in sys.argv[1:3])
    peer = {one: other, other: one}
    print("ready", flush=True)
    while True:
        for tun in select.select([one, other], [], [])[0]:
            try:
                os.write(peer[tun], os.read(tun, 65536))
            except OSError:
                # one end is down
                pass


main()
