#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
tshark dissects all that the driver sends: each opcode of each service, over IPv4
and IPv6. tshark 4.0 shows the ICRC and does not check it, so that is done here.
Needs root, rdma_rxe, tshark and ethtool.
"""

import collections
import ctypes
import os
import re
import platform
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.append(sys.path[0] + "/../lib")
# pylint: disable=wrong-import-position
import ktap_test
from ktap_test import Skip
from roce_packet import ETH_LEN, Op, Syndrome, bth_at, icrc, seal, \
    set_lengths
from scapy.utils import wrpcap

# a newer rdma-core than the host may have, with its python tests
RDMA_CORE = os.environ.get("RDMA_CORE_ROOT", "")
FIRST_WITH_PLACEMENT = (6, 3)
PLACEMENT = (Op.FLUSH, Op.ATOMIC_WRITE)
UC = 0x20
UD = 0x60
RC_OPS = {int(op) for op in Op if op not in PLACEMENT}
# of those, what UC has: all before the read request
UC_OPS = {UC + op for op in RC_OPS if op < Op.RDMA_READ_REQUEST}
UD_OPS = {UD + Op.SEND_ONLY, UD + Op.SEND_ONLY_WITH_IMMEDIATE}
SYNDROMES = {Syndrome.RNR_NAK, Syndrome.NAK_REM_ACCESS}
FIELDS = ("infiniband.bth.opcode", "infiniband.aeth.syndrome", "ipv6.version",
          "infiniband.invariant.crc", "_ws.malformed", "_ws.expert.severity")
# PI_ERROR, of epan/proto.h
EXPERT_ERROR = 0x800000

Packet = collections.namedtuple("Packet",
                                "opcode syndrome ipv6 crc malformed expert")


def in_host(host, *command, **how):
    return subprocess.run(["ip", "netns", "exec", host, *command], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, **how)


class Capture:
    """Capture all frames of a host's netdev, in both directions, with port 4791."""

    def __init__(self, host, netdev):
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/self/ns/net", "rb") as here, \
                open(f"/run/netns/{host}", "rb") as there:
            assert not libc.setns(there.fileno(), 0), ctypes.get_errno()
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # RCVBUFFORCE
            self.sock.bind((netdev, 3))  # ETH_P_ALL
            assert not libc.setns(here.fileno(), 0), ctypes.get_errno()

    def frames(self):
        """The frames since the last call; on lo each one is taken once."""
        frames = []
        while True:
            try:
                frame, about = self.sock.recvfrom(1 << 17, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            if about[0] == "lo" and about[2] == socket.PACKET_OUTGOING:
                continue
            udp = ETH_LEN + (20 if frame[ETH_LEN] >> 4 == 4 else 40)
            if frame[udp + 2:udp + 4] == (4791).to_bytes(2, "big"):
                frames.append(frame)
        drops = self.sock.getsockopt(263, 6, 8)  # PACKET_STATISTICS
        assert not int.from_bytes(drops[4:], "little"), "the socket overflowed"
        return frames


def dissect(frames):
    """tshark's fields of each frame."""
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        wrpcap(file.name, frames, linktype=1)
        said = subprocess.check_output(
            ["tshark", "-n", "-r", file.name, "-T", "fields", "-E",
             "separator=|", *(word for field in FIELDS
                              for word in ("-e", field))],
            stderr=subprocess.DEVNULL, text=True)
    packets = [Packet(*line.split("|")) for line in said.splitlines()]
    assert len(packets) == len(frames), said
    return packets


def number(text):
    """The first of a field's values."""
    return int(text.split(",")[0], 0)


def check_dissected(frames, packets):
    """Each frame is a RoCE packet to tshark, without an error."""
    for frame, packet in zip(frames, packets):
        assert packet.opcode, f"not RoCE to tshark: {frame.hex()}"
        assert not packet.malformed, f"{packet}: {frame.hex()}"
        assert all(int(word, 0) < EXPERT_ERROR
                   for word in packet.expert.split(",") if word), packet
        # where it knows the opcode, it finds the ICRC behind all else
        if number(packet.opcode) not in PLACEMENT:
            assert number(packet.crc) == int.from_bytes(frame[-4:], "big"), \
                packet


def check_icrcs(frames):
    for frame in frames:
        assert set_lengths(frame) == frame, f"wrong length: {frame.hex()}"
        assert frame[-4:] == icrc(frame[ETH_LEN:-4]), frame.hex()


def check_seen(packets, ipv6, expected):
    seen = {number(packet.opcode) for packet in packets
            if bool(packet.ipv6) == ipv6}
    missing = {f"{op:#x}" for op in expected - seen}
    assert not missing, f"not seen: {missing}"


def one_by_one(host, netdev):
    """Switch segmentation offload off: packets leave one by one."""
    done = in_host(host, "ethtool", "-K", netdev, "tx-udp-segmentation", "off",
                   "gro", "off")
    assert not done.returncode, done.stdout


def all_frames():
    """Capture all traffic of the program opcodes."""
    one_by_one("hosta", "va")
    one_by_one("hostb", "vb")
    capture = Capture("hosta", "va")
    done = subprocess.run([os.path.join(sys.path[0], "opcodes")], text=True,
                          stdout=subprocess.PIPE, check=False)
    assert not done.returncode, done.stdout
    return capture.frames()


def opcodes(frames):
    """All opcodes but flush and atomic write."""
    packets = dissect(frames)
    print(f"# {len(frames)} packets")
    check_icrcs(frames)
    check_dissected(frames, packets)
    for ipv6 in False, True:
        check_seen(packets, ipv6, RC_OPS | UC_OPS | UD_OPS)
        syndromes = {number(packet.syndrome) for packet in packets
                     if packet.syndrome and bool(packet.ipv6) == ipv6}
        # the lower bits of an RNR NAK are the timer
        syndromes = {syndrome & 0xe0 if syndrome >> 5 == 1 else syndrome
                     for syndrome in syndromes}
        assert SYNDROMES <= syndromes, syndromes
        assert any(not syndrome >> 5 for syndrome in syndromes), syndromes


def release():
    """The kernel's version, as a pair of numbers."""
    return tuple(int(n) for n in re.findall(r"\d+", platform.release())[:2])


def placement():
    """
    Flush and atomic write, by rdma-core's tests: from a queue pair to another
    of the same device. tshark 4.0 knows neither of them.
    """
    if os.environ.get("LONG_TESTS") != "yes":
        raise Skip("only with LONG_TESTS: it takes half a minute")
    if release() < FIRST_WITH_PLACEMENT:
        raise Skip("needs Linux 6.3")
    if not os.path.exists(f"{RDMA_CORE}/tests/test_qpex.py"):
        raise Skip("needs RDMA_CORE_ROOT")
    one_by_one("hosta", "lo")
    capture = Capture("hosta", "lo")
    done = in_host("hosta", "sh", "-c", """
        mount -t proc proc "$0/proc" && mount -t sysfs sysfs "$0/sys" &&
        mount --rbind /dev "$0/dev" && mount -t tmpfs tmpfs "$0/tmp" &&
        cd "$0" && exec chroot . python3 tests/run_tests.py --dev rxe0 -v "$@"
        """, RDMA_CORE, *(f"tests.test_qpex.QpExTestCase.test_qp_ex_rc_{name}"
                          for name in ("flush", "atomic_write")))
    assert not done.returncode and "OK" in done.stdout, done.stdout
    frames = capture.frames()
    check_icrcs(frames)
    packets = dissect(frames)
    check_dissected(frames, packets)
    seen = {number(packet.opcode) for packet in packets}
    assert set(PLACEMENT) <= seen, seen


def would_be_seen(frame):
    """A packet that is cut short, and one whose ICRC is wrong."""
    cut = seal(set_lengths(frame[:bth_at(frame) + 9]))
    wrong = frame[:-1] + bytes([frame[-1] ^ 1])
    for check in (lambda: check_dissected([cut], dissect([cut])),
                  lambda: check_icrcs([wrong])):
        try:
            check()
        except AssertionError:
            continue
        raise RuntimeError("not seen")


def main():
    """Run the tests, with the two hosts up."""
    for program in "tshark", "ethtool":
        if not shutil.which(program):
            ktap_test.skip_all(f"needs {program}")
    if not os.path.exists("/run/netns/hosta"):
        ktap_test.skip_all("needs two_hosts.sh up")
    frames = all_frames()
    ktap_test.run_tests({
        "each opcode as tshark dissects it": lambda: opcodes(frames),
        "flush and atomic write as tshark dissects them": placement,
        "bad packets are noticed": lambda: would_be_seen(frames[0]),
    })


main()
