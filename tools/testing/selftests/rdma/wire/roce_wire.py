# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
A reliable connection of which one end is played by hand, packet by packet.

The queue pair under test is of rxe0 in hosta. Its peer is the caller of this:
frames are put on hostb's netdev and taken from it. hostb's own rxe1 takes no part
in it, and does not know the queue pair number that the peer uses.

All functions check their success: a test goes on only when they worked.
"""

import ctypes
import fcntl
import itertools
import json
import mmap
import os
import random
import select
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.append(sys.path[0] + "/../lib")
# pylint: disable=wrong-import-position
import ktap_test
from roce_packet import AETH, BTH, DEFAULT_PKEY, ETH_LEN, RETH, AtomicETH, \
    Op, Syndrome, bth_at, psn_add, put, read_response, seal, sealed, segments, \
    set_lengths

try:
    from scapy.layers.inet import IP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw
    from pyverbs.addr import AHAttr, GID, GlobalRoute
    from pyverbs.cq import CQ
    from pyverbs.device import Context
    from pyverbs.mr import MR
    from pyverbs.pd import PD
    from pyverbs.qp import QP, QPAttr, QPCap, QPInitAttr
    from pyverbs.wr import SGE, RecvWR, SendWR
    try:
        import pyverbs.enums as e
    except ImportError:
        import pyverbs.libibverbs_enums as e
except ImportError as missing:
    ktap_test.skip_all(f"needs python3-pyverbs and python3-scapy: {missing}")

HUNG_SECONDS = int(os.environ.get("HUNG_SECONDS") or 30) * ktap_test.LIMIT_FACTOR
# a local ACK timeout, as coded: a second, in which the peer has to answer
RETRY_TIMEOUT = 17 + ktap_test.LIMIT_FACTOR.bit_length()
ROCE_PORT = 4791
# the peer's UDP source port
SOURCE_PORT = 0xc000
TWO_HOSTS = os.path.join(ktap_test.HERE, "two_hosts.sh")

ALL_RIGHTS = e.IBV_ACCESS_LOCAL_WRITE | e.IBV_ACCESS_REMOTE_WRITE | \
    e.IBV_ACCESS_REMOTE_READ | e.IBV_ACCESS_REMOTE_ATOMIC


def pattern(length, seed):
    """Bytes that all depend on the seed."""
    return random.Random(seed).randbytes(length)


class Fault:
    """Page faults that wait for the test, by userfaultfd."""

    IOC_NEW = 0xaa00
    IOC_API = 0xc018aa3f
    IOC_REGISTER = 0xc020aa00
    IOC_COPY = 0xc028aa03
    API = 0xaa
    REGISTER_MODE_MISSING = 1
    EVENT_PAGEFAULT = 0x12

    def __init__(self, addr, length):
        with open("/dev/userfaultfd", "rb") as device:
            self.fd = fcntl.ioctl(device, self.IOC_NEW, os.O_CLOEXEC)
        fcntl.ioctl(self.fd, self.IOC_API, struct.pack("3Q", self.API, 0, 0))
        fcntl.ioctl(self.fd, self.IOC_REGISTER, struct.pack(
            "4Q", addr, length, self.REGISTER_MODE_MISSING, 0))

    def wait(self):
        """Wait for a fault; returns its page."""
        if not select.select([self.fd], [], [], HUNG_SECONDS)[0]:
            raise TimeoutError("no page fault")
        event, addr = struct.unpack_from("B15xQ", os.read(self.fd, 32))
        assert event == self.EVENT_PAGEFAULT, event
        return addr & -mmap.PAGESIZE

    def serve(self, data):
        """From now on answer all faults, with pages of that content."""
        def serve():
            while True:
                self.fill(self.wait(), data)

        threading.Thread(target=serve, daemon=True).start()

    def fill(self, addr, data):
        """Provide a page, which wakes its fault."""
        page = ctypes.create_string_buffer(data, mmap.PAGESIZE)
        fcntl.ioctl(self.fd, self.IOC_COPY, struct.pack(
            "5Q", addr, ctypes.addressof(page), mmap.PAGESIZE, 0, 0))


class Memory:
    """
    Registered memory between two guards that are not registered.

    @data: of the registered part, once it has been filled
    """

    GUARD = 2 * mmap.PAGESIZE

    def __init__(self, pd, size, rights=ALL_RIGHTS, odp=False):
        self.size = size
        self.map = mmap.mmap(-1, size + 2 * self.GUARD,
                             flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.addr = self.GUARD + ctypes.addressof(
            ctypes.c_char.from_buffer(self.map))
        self.map[:self.GUARD] = self.map[-self.GUARD:] = b"G" * self.GUARD
        self.mr = MR(pd, size, rights | (e.IBV_ACCESS_ON_DEMAND if odp else 0),
                     address=self.addr)
        self.expected = None

    def close(self):
        self.mr.close()

    def fill(self, data):
        self.put(0, data)
        self.expected = bytearray(data)

    def put(self, offset, data):
        self.map[self.GUARD + offset:self.GUARD + offset + len(data)] = data

    def get(self, offset=0, length=None):
        start = self.GUARD + offset
        return self.map[start:start + (self.size if length is None else length)]

    def drop(self, offset=0, length=None):
        """Discard pages: the next access faults."""
        self.map.madvise(mmap.MADV_DONTNEED, self.GUARD + offset,
                         self.size if length is None else length)

    def sge(self, offset, length):
        return SGE(self.addr + offset, length, self.mr.lkey)

    def check(self):
        """Each byte is as expected, and the guards were not touched."""
        is_now = self.get()
        if is_now != self.expected:
            at = next(i for i in range(self.size)
                      if is_now[i] != self.expected[i])
            raise AssertionError(f"byte {at} is {is_now[at]:#x}, expected "
                                 f"{self.expected[at]:#x}")
        self.check_guards()

    def check_guards(self):
        assert self.map[:self.GUARD] == b"G" * self.GUARD, "before the memory"
        assert self.map[-self.GUARD:] == b"G" * self.GUARD, "behind the memory"


class Hosts:
    """Addresses and MACs of the two hosts; found once, by the parent."""

    def __init__(self):
        self.made = not os.path.exists("/sys/class/infiniband/rxe0")
        if self.made and subprocess.call([TWO_HOSTS, "up"]):
            ktap_test.skip_all("no two hosts: needs root and rdma_rxe")
        self.macs = self.mac("hosta", "va"), self.mac("hostb", "vb")
        self.addrs = {False: ("10.0.0.1", "10.0.0.2"),
                      True: ("fd00::1", "fd00::2")}
        self.gid_indices = {}
        for addrs in self.addrs.values():
            self.gid_index(addrs[0])

    def gid_index(self, addr):
        """Of one of hosta's addresses, which is the same from then on."""
        if addr not in self.gid_indices:
            self.gid_indices[addr] = int(subprocess.check_output(
                [TWO_HOSTS, "gid", "rxe0", addr]))
        return self.gid_indices[addr]

    @staticmethod
    def mac(host, netdev):
        return json.loads(subprocess.check_output(
            ["ip", "-n", host, "-j", "link", "show", netdev]))[0]["address"]

    @staticmethod
    def set_mtu(mtu):
        subprocess.check_call([TWO_HOSTS, "mtu", str(mtu)])

    @staticmethod
    def gid(addr):
        packed = socket.inet_pton(socket.AF_INET6,
                                  addr if ":" in addr else "::ffff:" + addr)
        return GID(packed.hex(":", 2))

    @staticmethod
    def set_together(packets):
        subprocess.check_call([TWO_HOSTS, "together", str(packets)])

    @staticmethod
    def socket_of(host, address, *kind):
        """Open a socket, and bind it, in a host's namespace."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/self/ns/net", "rb") as here, \
                open(f"/run/netns/{host}", "rb") as there:
            assert not libc.setns(there.fileno(), 0), ctypes.get_errno()
            sock = socket.socket(*kind)
            sock.bind(address)
            assert not libc.setns(here.fileno(), 0), ctypes.get_errno()
        return sock

    def peer_socket(self):
        """A packet socket on hostb's netdev."""
        packet_ignore_outgoing = 23
        # protocol 0: no packet is received before the options are set
        sock = self.socket_of("hostb", ("vb", 0), socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.setsockopt(263, packet_ignore_outgoing, 1)  # SOL_PACKET
        sock.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # RCVBUFFORCE
        sock.bind(("vb", 3))  # ETH_P_ALL
        return sock

    def peer_udp_socket(self, ipv6):
        """A UDP socket of hostb, with the source port of a Wire's frames."""
        sock = self.socket_of("hostb", (self.addrs[ipv6][1], SOURCE_PORT),
                              socket.AF_INET6 if ipv6 else socket.AF_INET,
                              socket.SOCK_DGRAM)
        if not ipv6:
            # not fragmented, nor connected: the first identification is 0
            sock.setsockopt(socket.IPPROTO_IP, 10, 2)  # MTU_DISCOVER: DO
        return sock

    @staticmethod
    def peer_sent():
        """Packets that hostb's netdev has sent; a GSO packet counts once."""
        link, = json.loads(subprocess.check_output(
            ["ip", "-n", "hostb", "-s", "-j", "link", "show", "vb"]))
        return link["stats64"]["tx"]["packets"]

    def remove(self):
        if self.made:
            subprocess.call([TWO_HOSTS, "down"])


HOSTS = None


def run_tests(tests):
    """ktap_test.run_tests(), with the two hosts up."""
    global HOSTS  # pylint: disable=global-statement

    HOSTS = Hosts()
    # packets of one flow must not overtake each other on their way
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    try:
        ktap_test.run_tests(tests)
    finally:
        HOSTS.remove()


def counter(name):
    """One of rxe0's hardware counters; they may lag by some milliseconds."""
    with open(f"/sys/class/infiniband/rxe0/ports/1/hw_counters/{name}",
              encoding="ascii") as file:
        return int(file.read())


def wait_until(condition, what):
    end = time.monotonic() + HUNG_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.002)


def check_waiting(most):
    """Parked packets of rxe0 take as much as one queue pair may hold, no more."""
    wait_until(lambda: counter("parked_bytes") > most - most // 16,
               "less waits than may")
    waiting = counter("parked_bytes")
    assert waiting <= most, f"{waiting} bytes wait, {most} may"


def check_still_waiting(waiting):
    """What has been sent to rxe0 so far does not wait, and has been looked at."""
    # another queue pair is answered behind it
    with Wire() as other:
        other.check_alive()
    # counters are read anew after 10 ms
    time.sleep(0.02)
    is_now = counter("parked_bytes")
    assert is_now == waiting, f"{is_now} bytes wait, {waiting} did"


class Wire:
    """
    The queue pair under test, in RTS, and the peer's end of its wire.

    @memory: what the peer may access
    @psn: of the peer's next request
    @msn: messages that the queue pair has completed for the peer
    @qpn: that the peer goes by; @qp has the other
    @addrs: of the queue pair and of its peer. Packets that are not sent to hostb's
            netdev are not seen
    """

    qpns = itertools.count(0xabc000)

    def __init__(self, *, ipv6=False, mtu=256, size=4 * mmap.PAGESIZE,
                 odp=False, rights=ALL_RIGHTS, qp_rights=ALL_RIGHTS,
                 psn=0xfffff0, rd_atomic=4, rnr_timer=1, timeout=0, retry_cnt=7,
                 rnr_retry=7, sq_sig_all=True, addrs=None):
        self.addrs = addrs or HOSTS.addrs[ipv6]
        self.ipv6 = ipv6 = ":" in self.addrs[0]
        self.mtu = mtu
        self.psn = psn
        self.msn = 0
        self.ctx = Context(name="rxe0")
        self.pd = PD(self.ctx)
        self.memory = Memory(self.pd, size, rights, odp)
        if not odp:
            self.memory.fill(pattern(size, 0))
        # apart from the memory under test
        self.probe = Memory(self.pd, mmap.PAGESIZE)
        self.probe.fill(bytes(mmap.PAGESIZE))
        self.probes = itertools.count(1)
        self.send_cq = CQ(self.ctx, 64)
        self.recv_cq = CQ(self.ctx, 64)
        self.qpn = next(self.qpns)
        self.sock = HOSTS.peer_socket()
        self.frames = []
        self.merged = 0
        self.below_bth = self._below_bth()
        self.template = None
        self.qp = QP(self.pd, QPInitAttr(
            qp_type=e.IBV_QPT_RC, scq=self.send_cq, rcq=self.recv_cq,
            cap=QPCap(max_send_wr=32, max_recv_wr=32, max_send_sge=4,
                      max_recv_sge=4), sq_sig_all=int(sq_sig_all)))
        attr = QPAttr(port_num=1)
        attr.qp_access_flags = qp_rights
        attr.path_mtu = mtu.bit_length() - 8
        attr.dest_qp_num = self.qpn
        attr.rq_psn = attr.sq_psn = psn
        attr.max_rd_atomic = attr.max_dest_rd_atomic = rd_atomic
        attr.min_rnr_timer = rnr_timer
        attr.timeout = timeout
        attr.retry_cnt = retry_cnt
        attr.rnr_retry = rnr_retry
        attr.ah_attr = AHAttr(is_global=1, port_num=1, gr=GlobalRoute(
            dgid=HOSTS.gid(self.addrs[1]),
            sgid_index=HOSTS.gid_index(self.addrs[0])))
        self.qp.to_rts(attr)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for part in (self.qp, self.send_cq, self.recv_cq, self.memory,
                     self.probe, self.pd, self.ctx, self.sock):
            part.close()

    # the program's side

    def state(self):
        return self.qp.query(e.IBV_QP_STATE)[0].qp_state

    def post_recv(self, offset, length, wr_id=0):
        self.qp.post_recv(RecvWR(wr_id=wr_id, num_sge=1,
                                 sg=[self.memory.sge(offset, length)]))

    def post(self, kind, offset=0, length=8, *, remote=(0x10000, 0x1234),
             wr_id=0, flags=0, imm=0, compare=0, swap=0):
        """Post a send request; @kind is the rest of IBV_WR_'s name."""
        wr = SendWR(wr_id=wr_id, opcode=getattr(e, "IBV_WR_" + kind),
                    num_sge=1, sg=[self.memory.sge(offset, length)],
                    send_flags=flags, imm_data=imm)
        if kind.startswith("RDMA"):
            wr.set_wr_rdma(remote[1], remote[0])
        elif kind.startswith("ATOMIC"):
            wr.set_wr_atomic(remote[1], remote[0], compare, swap)
        self.qp.post_send(wr)

    @staticmethod
    def wait_cqe(cq, status=e.IBV_WC_SUCCESS):
        """The next completion, which must have that status."""
        got = []

        def poll():
            got.extend(cq.poll(1)[1])
            return got

        wait_until(poll, "no completion")
        assert got[0].status == status, \
            f"status {got[0].status}, expected {status}"
        return got[0]

    @staticmethod
    def check_idle(cq):
        """No request has completed."""
        found = cq.poll(1)[1]
        assert not found, f"status {found[0].status}, expected no completion"

    # the peer's side

    def _below_bth(self):
        """The headers of a frame from the peer, as bytes."""
        dst, src = self.addrs
        ip = IPv6(dst=dst, src=src, hlim=64) if self.ipv6 else \
            IP(dst=dst, src=src, flags="DF")
        return bytes(Ether(dst=HOSTS.macs[0], src=HOSTS.macs[1]) / ip /
                     UDP(sport=SOURCE_PORT, dport=ROCE_PORT, chksum=0))

    def frame(self, op, *headers, psn, payload=b"", ack=False, **bth):
        """A frame from the peer, right but for the arguments."""
        pad = -len(payload) % 4
        fields = {"opcode": int(op), "psn": psn, "ackreq": int(ack),
                  "dqpn": self.qp.qp_num, "pkey": DEFAULT_PKEY,
                  "padcount": pad, "migreq": 1, "icrc": 0, **bth}
        # its ICRC is the last field of scapy's BTH
        packet = bytes(BTH(**fields))[:-4] + b"".join(map(bytes, headers))
        packet += payload + bytes(pad + 4)
        return seal(set_lengths(self.below_bth + packet))

    def inject(self, *frames):
        for frame in frames:
            self.sock.send(frame)

    def inject_together(self, frames):
        """
        Send frames of one size, whose identifications count up from 0, as one GSO
        packet, which veth does not segment.
        """
        packets = [frame[bth_at(frame):] for frame in frames]
        before = HOSTS.peer_sent()
        with HOSTS.peer_udp_socket(self.ipv6) as sock:
            sock.setsockopt(socket.IPPROTO_UDP, 103, len(packets[0]))  # SEGMENT
            sock.sendto(b"".join(packets),
                        (HOSTS.addrs[self.ipv6][0], ROCE_PORT))
        sent = HOSTS.peer_sent() - before
        assert sent < len(packets), f"{sent} were sent, and not one"

    def request(self, op, *headers, psn=None, **args):
        """Send a request, by default the next one; returns its PSN."""
        if psn is None:
            psn = self.psn
            self.psn = psn_add(psn, 1)
        self.inject(self.frame(op, *headers, psn=psn, **args))
        return psn

    def reth(self, offset, length, **wrong):
        """A RETH of the memory."""
        return RETH(**{"va": self.memory.addr + offset, "len": length,
                       "rkey": self.memory.mr.rkey, **wrong})

    def atomic_eth(self, offset, swap_add=0, compare=0, **wrong):
        return AtomicETH(**{"va": self.memory.addr + offset,
                            "rkey": self.memory.mr.rkey,
                            "swap_add": swap_add, "compare": compare, **wrong})

    def is_for_peer(self, frame):
        if frame[12:14] == b"\x08\x00":
            udp, protocol = frame[23] == 17, 20
        elif frame[12:14] == b"\x86\xdd":
            udp, protocol = frame[20] == 17, 40
        else:
            return False
        bth = ETH_LEN + protocol + 8
        return udp and len(frame) >= bth + 16 and \
            frame[bth - 6:bth - 4] == struct.pack("!H", ROCE_PORT) and \
            frame[bth + 5:bth + 8] == self.qpn.to_bytes(3, "big")

    def _next_frame(self):
        """The next frame for the peer, whole and with the right ICRC."""
        end = time.monotonic() + HUNG_SECONDS
        while not self.frames:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                raise TimeoutError("no packet for the peer")
            frame = self.sock.recv(65536)
            if not self.is_for_peer(frame):
                continue
            assert set_lengths(frame) == frame, "wrong length in a header"
            self.frames = segments(frame)
            self.merged += len(self.frames) > 1
            assert all(map(sealed, self.frames)), "wrong ICRC"
        return self.frames.pop(0)

    def receive(self):
        """The next packet for the peer: a BTH, with its payload in data."""
        frame = self._next_frame()
        bth = Ether(frame)[BTH]
        assert bth.version == 0 and bth.pkey == DEFAULT_PKEY, bth.show(True)
        assert not len(frame) % 4 - ETH_LEN % 4, "not padded"
        raw = bytes(bth[Raw].load) if Raw in bth else b""
        bth.data = raw[:len(raw) - bth.padcount]
        bth.frame = frame
        assert raw[len(bth.data):] == bytes(bth.padcount), "padding is not 0"
        return bth

    def expect(self, op, psn=None, data=b"", **fields):
        """Expect that packet next."""
        bth = self.receive()
        expected = {"opcode": int(op), "data": data, **fields}
        if psn is not None:
            expected["psn"] = psn
        found = {name: getattr(bth, name) for name in expected}
        assert found == expected, \
            f"{bth.summary()}: {found}, expected {expected}"
        return bth

    def check_silent(self):
        """No other packet has come."""
        assert not self.frames, f"unexpected: {Ether(self.frames[0]).show(True)}"
        while select.select([self.sock], [], [], 0)[0]:
            frame = self.sock.recv(65536)
            assert not self.is_for_peer(frame), \
                f"unexpected: {Ether(frame).show(True)}"

    def expect_ack(self, psn):
        """Expect an acknowledgment of all up to @psn."""
        bth = self.expect(Op.ACKNOWLEDGE, psn, msn=self.msn)
        assert bth.syndrome >> 5 == 0, hex(bth.syndrome)

    def expect_nak(self, syndrome, psn):
        self.expect(Op.ACKNOWLEDGE, psn, syndrome=int(syndrome), msn=self.msn)

    def expect_read_response(self, psn, data):
        for op, chunk in read_response(data, self.mtu):
            bth = self.expect(op, psn, chunk)
            if op != Op.RDMA_READ_RESPONSE_MIDDLE:
                assert bth.syndrome >> 5 == 0, hex(bth.syndrome)
            if op in (Op.RDMA_READ_RESPONSE_LAST, Op.RDMA_READ_RESPONSE_ONLY):
                assert bth.msn == self.msn, bth.msn
            psn = psn_add(psn, 1)

    def check_alive(self):
        """
        The next request is executed, and its answer comes first: packets sent
        before it were dropped silently.
        """
        value = struct.pack("!Q", next(self.probes))
        if not self.template:
            self.template = self.frame(
                Op.RDMA_WRITE_ONLY, RETH(va=self.probe.addr, len=8,
                                         rkey=self.probe.mr.rkey),
                psn=0, payload=value, ack=True)
        frame = put(self.template, bth_at(self.template) + 9,
                    self.psn.to_bytes(3, "big"))
        self.inject(seal(frame[:-12] + value + frame[-4:]))
        self.msn += 1
        # without scapy, which is slow: this runs thousands of times
        frame = self._next_frame()
        bth = frame[bth_at(frame):-4]
        assert bth[0] == Op.ACKNOWLEDGE and bth[12] >> 5 == 0 and \
            bth[9:12] == self.psn.to_bytes(3, "big") and \
            bth[13:] == self.msn.to_bytes(3, "big"), \
            f"got {bth.hex()} for PSN {self.psn:#x}, MSN {self.msn:#x}"
        assert self.probe.get(0, 8) == value, "a request was not executed"
        self.psn = psn_add(self.psn, 1)

    def ack(self, psn, syndrome=Syndrome.ACK, msn=0):
        """The peer sends an ACK, or a NAK."""
        self.inject(self.frame(Op.ACKNOWLEDGE, AETH(syndrome=int(syndrome),
                                                    msn=msn), psn=psn))

    def respond(self, op, psn, data):
        """The peer sends a packet of a read's response."""
        aeth = () if op == Op.RDMA_READ_RESPONSE_MIDDLE else \
            (AETH(syndrome=int(Syndrome.ACK)),)
        self.inject(self.frame(op, *aeth, psn=psn, payload=data))
