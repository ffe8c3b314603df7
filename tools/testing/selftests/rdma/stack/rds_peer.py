#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
RDS between two hosts, over the RDMA devices that have these addresses: messages,
and RDMA into and out of memory that the kernel registers. Both run the same
tests, in step; RDS works in the first net namespace only, and loops back to
addresses of the same host. Needs root and rds_rdma.

rds_peer.py listen|connect ADDRESS ADDRESS-OF-THE-PEER
"""

import ctypes
import errno
import mmap
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile

sys.path.append(sys.path[0] + "/../lib")
# pylint: disable=wrong-import-position
import ktap_test
from ktap_test import Skip, at
from rendezvous import Rendezvous

PORT = 18700
RDS_PORT = 4000
SECONDS = 60 * ktap_test.LIMIT_FACTOR

# of linux/rds.h
AF_RDS = 21
SOL_RDS = 276
SO_RDS_TRANSPORT = 8
RDS_TRANS_IB = 0
CMSG_RDMA_ARGS, CMSG_RDMA_DEST, CMSG_RDMA_MAP, CMSG_RDMA_STATUS = 1, 2, 3, 4
READWRITE, FENCE, NOTIFY_ME = 0x01, 0x02, 0x20

SNDBUFFORCE, RCVBUFFORCE = 32, 33
MOST = 1 << 20
LENGTHS = (1, 2, 7, 8, 100, 4047, 4048, 4095, 4096, 4097, 8192, 20000, 65536,
           100001, MOST)
SIZE = 10 * mmap.PAGESIZE
# begins and ends within a page
START, LENGTH = mmap.PAGESIZE + 100, 5 * mmap.PAGESIZE + 1

LISTENS, ADDRESS, PEER = False, "", ""
PMEM = os.environ.get("SCRATCH_PMEM", "")
# RXE, set by the harness, names the guest's driver
IS_OURS = os.environ.get("RXE", "ours") == "ours"


def pattern(length, seed):
    """Bytes that all depend on the seed."""
    return random.Random(seed).randbytes(length)


def check(data, expected):
    """Each byte is as expected."""
    assert len(data) == len(expected), \
        f"{len(data)} bytes, expected {len(expected)}"
    if data != expected:
        i = next(i for i, byte in enumerate(data) if byte != expected[i])
        raise AssertionError(f"byte {i} is {data[i]:#x}, expected "
                             f"{expected[i]:#x}")


class Memory:
    """Pages, of which START to START + LENGTH are in use."""

    def __init__(self):
        self.map = mmap.mmap(-1, SIZE,
                             flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.addr = START + ctypes.addressof(
            ctypes.c_char.from_buffer(self.map))
        self.map[:] = b"G" * SIZE

    def fill(self, data):
        self.map[START:START + LENGTH] = data

    def check(self, data):
        check(self.map[:], b"G" * START + data +
              b"G" * (SIZE - START - LENGTH))


class Ends:
    """A socket of this side, the other side there."""

    def __init__(self):
        self.meeting = Rendezvous(LISTENS, ADDRESS if LISTENS else PEER, PORT,
                                  SECONDS)
        self.sock = socket.socket(AF_RDS, socket.SOCK_SEQPACKET)
        self.sock.setsockopt(SOL_RDS, SO_RDS_TRANSPORT,
                             struct.pack("i", RDS_TRANS_IB))
        for option in SNDBUFFORCE, RCVBUFFORCE:
            self.sock.setsockopt(socket.SOL_SOCKET, option, 8 * MOST)
        self.sock.bind((ADDRESS, RDS_PORT))
        self.meet()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        # a message under way is lost when its sender closes the socket
        if not exception[0]:
            self.meet()
        self.sock.close()
        self.meeting.close()

    def meet(self):
        self.meeting.meet()

    def send(self, data, *control):
        sent = self.sock.sendmsg([data], control, 0, (PEER, RDS_PORT))
        assert sent == len(data), sent

    def receive(self, data):
        """Expect this message next; returns its control messages, by type."""
        found, control, flags, sender = self.sock.recvmsg(2 * MOST, 1024)
        check(found, data)
        assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC), flags
        assert sender == (PEER, RDS_PORT), sender
        return {kind: value for _, kind, value in control}

    def status(self):
        """Wait for the notification of the next RDMA."""
        control = self.sock.recvmsg(0, 1024)[1]
        assert [kind for _, kind, _ in control] == [CMSG_RDMA_STATUS], control
        return struct.unpack_from("=Qi", control[0][2])


def each_side():
    """True for the side whose turn it is, first here, then there."""
    return (True, False) if not LISTENS else (False, True)


def messages():
    """Of many sizes, one by one."""
    with Ends() as ends:
        for active in each_side():
            for seed, length in enumerate(LENGTHS):
                at(f"{length} bytes, {'to' if active else 'from'} the peer")
                if active:
                    ends.send(pattern(length, seed))
                else:
                    ends.receive(pattern(length, seed))


def both_ways():
    """Many at once from both sides, in their order."""
    lengths = [random.Random(i).randrange(1, 20000) for i in range(100)]
    with Ends() as ends:
        for i, length in enumerate(lengths):
            ends.send(pattern(length, 2 * i + LISTENS))
        for i, length in enumerate(lengths):
            at(f"message {i}")
            ends.receive(pattern(length, 2 * i + (not LISTENS)))


def offer(ends, addr):
    """Have the kernel register memory, and tell the peer."""
    ends.send(b"here", (SOL_RDS, CMSG_RDMA_MAP, struct.pack(
        "=4Q", addr, LENGTH, 0, READWRITE)))


def rdma(ends, cookie, memory, flags, token):
    """
    RDMA between the peer's memory and this side's, and a message behind it. RDS
    notifies when the message has arrived: behind a read it needs a fence.
    """
    vector = (ctypes.c_uint64 * 2)(memory.addr, LENGTH)
    ends.send(b"done", (SOL_RDS, CMSG_RDMA_ARGS, struct.pack(
        "=7Q", cookie, 0, LENGTH, ctypes.addressof(vector), 1,
        flags | NOTIFY_ME, token)))
    assert ends.status() == (token, 0)


def remote_memory():
    """Writes to the peer's memory, and reads from it."""
    memory = Memory()
    with Ends() as ends:
        for active in each_side():
            # memory is registered through a connection, so connect first
            if active:
                ends.send(b"hello")
                cookie, = struct.unpack(
                    "=Q", ends.receive(b"here")[CMSG_RDMA_DEST])
                memory.fill(pattern(LENGTH, 1))
                rdma(ends, cookie, memory, READWRITE, 11)
                ends.receive(b"changed")
                rdma(ends, cookie, memory, FENCE, 12)
                memory.check(pattern(LENGTH, 2))
            else:
                ends.receive(b"hello")
                offer(ends, memory.addr)
                ends.receive(b"done")
                memory.check(pattern(LENGTH, 1))
                memory.fill(pattern(LENGTH, 2))
                ends.send(b"changed")
                ends.receive(b"done")
            ends.meet()


def file_on_dax(where):
    """A file on DAX: its pages cannot be pinned for long."""
    subprocess.run(["mkfs.ext4", "-qF", "-b", "4096", PMEM], check=True)
    subprocess.run(["mount", "-o", "dax", PMEM, where], check=True)
    with open(f"{where}/file", "w+b") as file:
        file.truncate(SIZE)
        return mmap.mmap(file.fileno(), SIZE)


def not_pinned():
    """
    RDS wants an on-demand region of memory that it cannot pin. This driver has
    those for programs only: the call fails, and the connection goes on.
    """
    if not os.path.exists(PMEM):
        raise Skip("needs SCRATCH_PMEM")
    with Ends() as ends:
        ends.send(b"hello")
        ends.receive(b"hello")
        if IS_OURS:
            with tempfile.TemporaryDirectory() as where:
                pages = file_on_dax(where)
                addr = ctypes.addressof(ctypes.c_char.from_buffer(pages))
                try:
                    offer(ends, addr)
                    error = 0
                except OSError as err:
                    error = err.errno
                subprocess.run(["umount", "-l", where], check=True)
            assert error == errno.EOPNOTSUPP, error
        ends.send(b"bye")
        ends.receive(b"bye")


def main():
    """Run the tests, once both sides have loaded their modules."""
    global LISTENS, ADDRESS, PEER  # pylint: disable=global-statement

    if len(sys.argv) != 4 or sys.argv[1] not in ("listen", "connect"):
        sys.exit("usage: rds_peer.py listen|connect ADDRESS PEER")
    LISTENS, ADDRESS, PEER = sys.argv.pop(1) == "listen", sys.argv.pop(1), \
        sys.argv.pop(1)
    subprocess.run(["modprobe", "-a", "rds", "rds_rdma"], check=True)
    ktap_test.run_tests({
        "messages of many sizes": messages,
        "messages in both directions at once": both_ways,
        "writes to and reads of the peer's memory": remote_memory,
        "memory that is not pinned": not_pinned,
    })


main()
