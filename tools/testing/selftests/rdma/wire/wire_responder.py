#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
The responder of a reliable connection executes, refuses or drops requests: IBTA
volume 1, 9.7.4 and 9.7.5. The requests come from a peer that is played by hand.
"""

import itertools
import mmap
import struct
import time
from typing import NamedTuple

import roce_wire
from ktap_test import at
from roce_packet import AETH, RETH, AtomicAckETH, Op, Syndrome, \
    bth_at, counted_up, message, psn_add, put, seal
from roce_wire import ALL_RIGHTS, Fault, Wire, check_still_waiting, \
    check_waiting, counter, e, pattern, wait_until

MTU = 256
MAX_MSG = 1 << 31
LENGTHS = (0, 1, 2, 3, 4, 5, MTU - 1, MTU, MTU + 1, 2 * MTU, 3 * MTU + 6)
FAMILIES = (False, True)
# the same in either byte order: versions of pyverbs differ in what they show
IMM = 0x8abcbc8a


def send_message(w, kind, data, remote, imm):
    """Send a whole message that asks for one acknowledgment, at its end."""
    packets = list(message(kind, data, w.mtu, remote, imm))
    for i, (op, headers, chunk) in enumerate(packets):
        psn = w.request(op, *headers, payload=chunk, ack=i == len(packets) - 1)
    return psn


def messages():
    """Sends and writes of many lengths, with and without immediate data."""
    for ipv6 in FAMILIES:
        with Wire(ipv6=ipv6) as w:
            remote = w.memory.addr, w.memory.mr.rkey
            for seed, (length, kind, imm) in enumerate(itertools.product(
                    LENGTHS, ("SEND", "RDMA_WRITE"), (None, IMM))):
                at(f"ipv6 {ipv6}, {kind}, {length} bytes, immediate {imm}")
                receives = kind == "SEND" or imm is not None
                if receives:
                    w.post_recv(0, w.memory.size, seed)
                data = pattern(length, seed)
                w.memory.expected[:length] = data
                psn = send_message(w, kind, data, remote, imm)
                w.msn += 1
                w.expect_ack(psn)
                w.memory.check()
                if receives:
                    wc = w.wait_cqe(w.recv_cq)
                    assert wc.wr_id == seed and wc.byte_len == length, wc
                    assert ((wc.wc_flags & e.IBV_WC_WITH_IMM) != 0) == \
                        (imm is not None), wc
                    assert imm is None or wc.imm_data == imm, wc
                w.check_idle(w.recv_cq)
            w.check_alive()


def reads():
    """The response has the data, in the right packets."""
    for ipv6 in FAMILIES:
        with Wire(ipv6=ipv6) as w:
            for offset, length in itertools.product((0, 3), LENGTHS):
                at(f"ipv6 {ipv6}, {length} bytes from {offset}")
                psn = w.request(Op.RDMA_READ_REQUEST, w.reth(offset, length),
                                ack=True)
                w.psn = psn_add(psn, max(1, -(-length // MTU)))
                w.msn += 1
                w.expect_read_response(
                    psn, bytes(w.memory.expected[offset:offset + length]))
            w.check_alive()


def atomics():
    """Atomics return and leave the right value, in the host's byte order."""
    value = 0xfedcba9876543210
    mask = (1 << 64) - 1
    cases = (
        (Op.FETCH_ADD, 5, 0, value + 5),
        (Op.FETCH_ADD, mask, 0, value - 1),
        (Op.FETCH_ADD, mask - value + 1, 0, 0),
        (Op.COMPARE_SWAP, 7, value, 7),
        (Op.COMPARE_SWAP, 7, value + 1, value),
        (Op.COMPARE_SWAP, value, value, value),
    )
    for ipv6 in FAMILIES:
        with Wire(ipv6=ipv6) as w:
            for (op, swap_add, compare, result), offset in itertools.product(
                    cases, (0, mmap.PAGESIZE - 8)):
                at(f"ipv6 {ipv6}, {op.name} {swap_add:#x} {compare:#x}")
                w.memory.put(offset, struct.pack("Q", value))
                w.memory.expected[offset:offset + 8] = struct.pack("Q", result)
                psn = w.request(op, w.atomic_eth(offset, swap_add, compare))
                w.msn += 1
                bth = w.expect(Op.ATOMIC_ACKNOWLEDGE, psn, orig=value,
                               msn=w.msn)
                assert bth.syndrome >> 5 == 0, hex(bth.syndrome)
                w.memory.check()
            w.check_alive()


def ack_requests():
    """A request that asks for an ACK gets it, for all before it, too."""
    with Wire() as w:
        data = pattern(4 * MTU, 1)
        packets = message("RDMA_WRITE", data, MTU,
                          (w.memory.addr, w.memory.mr.rkey))
        for i, (op, headers, chunk) in enumerate(packets):
            psn = w.request(op, *headers, payload=chunk, ack=i == 1)
            if i == 1:
                w.expect_ack(psn)
        w.memory.expected[:len(data)] = data
        w.msn += 1
        # no ACK was requested, so the next answer is to the next request
        w.check_alive()
        for i in range(5):
            psn = w.request(Op.RDMA_WRITE_ONLY, w.reth(i, 1), payload=b"x",
                            ack=i == 4)
        w.memory.expected[:5] = b"xxxxx"
        w.msn += 5
        w.expect_ack(psn)
        w.memory.check()


def gaps():
    """One NAK for any number of packets ahead of the expected PSN."""
    with Wire() as w:
        for ahead in (1, 2, 1000, 0x7fffff):
            at(f"{ahead} ahead")
            for _ in range(3):
                w.request(Op.RDMA_WRITE_ONLY, w.reth(0, 1), payload=b"x",
                          ack=True, psn=psn_add(w.psn, ahead))
            w.request(Op.FETCH_ADD, w.atomic_eth(0, 1), psn=psn_add(w.psn, 1))
            w.request(Op.RDMA_READ_REQUEST, w.reth(0, 8),
                      psn=psn_add(w.psn, 1))
            w.expect_nak(Syndrome.NAK_PSN_SEQ, w.psn)
            w.check_alive()
            w.memory.check()
        at("a gap inside a message")
        data = pattern(3 * MTU, 1)
        packets = [w.frame(op, *headers, payload=chunk, psn=psn_add(w.psn, i),
                           ack=op == Op.RDMA_WRITE_LAST)
                   for i, (op, headers, chunk) in enumerate(message(
                       "RDMA_WRITE", data, MTU,
                       (w.memory.addr, w.memory.mr.rkey)))]
        w.inject(packets[0], packets[2])
        w.memory.expected[:MTU] = data[:MTU]
        w.expect_nak(Syndrome.NAK_PSN_SEQ, psn_add(w.psn, 1))
        w.memory.check()
        w.inject(*packets[1:])
        w.memory.expected[:3 * MTU] = data
        w.msn += 1
        w.expect_ack(psn_add(w.psn, 2))
        w.psn = psn_add(w.psn, 3)
        w.memory.check()
        w.check_alive()


def repeated_messages():
    """Duplicates get one ACK, up to the newest, and are not executed again."""
    with Wire() as w:
        w.post_recv(0, MTU, 1)
        w.post_recv(MTU, MTU, 2)
        first = w.request(Op.SEND_ONLY, payload=b"send", ack=True)
        w.memory.expected[:4] = b"send"
        w.msn += 1
        w.expect_ack(first)
        w.wait_cqe(w.recv_cq)
        w.request(Op.RDMA_WRITE_ONLY, w.reth(8, 5), payload=b"write")
        w.memory.expected[8:13] = b"write"
        w.msn += 1
        w.check_alive()
        newest = psn_add(w.psn, -1)
        for repeat in range(3):
            at(f"repeat {repeat}")
            w.request(Op.SEND_ONLY, payload=b"SEND", ack=True, psn=first)
            w.expect_ack(newest)
            w.request(Op.RDMA_WRITE_ONLY, w.reth(8, 5), payload=b"WRITE",
                      ack=True, psn=psn_add(first, 1))
            w.expect_ack(newest)
            # more than a responder could remember
            w.request(Op.RDMA_WRITE_ONLY, w.reth(8, 5), payload=b"WRITE",
                      ack=True, psn=psn_add(w.psn, -(1 << 23)))
            w.expect_ack(newest)
            w.memory.check()
            w.check_idle(w.recv_cq)
        at("in the middle of a message")
        w.request(Op.SEND_FIRST, payload=b"1" * MTU)
        w.request(Op.SEND_ONLY, payload=b"SEND", ack=True, psn=first)
        w.expect_ack(psn_add(w.psn, -1))
        w.request(Op.SEND_FIRST, payload=b"2" * MTU, ack=True,
                  psn=psn_add(w.psn, -1))
        w.expect_ack(psn_add(w.psn, -1))
        w.memory.expected[MTU:2 * MTU] = b"1" * MTU
        w.memory.check()


def repeated_reads():
    """Duplicate reads are answered again, also in part, from current memory."""
    size = 4 * MTU + 7
    with Wire() as w:
        psn = w.request(Op.RDMA_READ_REQUEST, w.reth(0, size))
        w.psn = psn_add(psn, 5)
        w.msn += 1
        w.expect_read_response(psn, bytes(w.memory.expected[:size]))
        w.check_alive()
        w.memory.fill(pattern(w.memory.size, 2))
        for skip, length in ((0, size), (0, size), (2, size - 2 * MTU),
                             (4, 7), (1, 2 * MTU), (3, 1)):
            at(f"{length} bytes from packet {skip}")
            w.request(Op.RDMA_READ_REQUEST, w.reth(skip * MTU, length),
                      psn=psn_add(psn, skip))
            w.expect_read_response(
                psn_add(psn, skip),
                bytes(w.memory.expected[skip * MTU:skip * MTU + length]))
        # no range but that of the original request
        for skip, offset, length in ((0, 0, size + 1), (1, 0, MTU),
                                     (4, 4 * MTU, 8), (0, 2 * MTU, 8),
                                     (-1, 0, MTU)):
            at(f"{length} bytes at {offset} for packet {skip}")
            w.request(Op.RDMA_READ_REQUEST, w.reth(offset, length),
                      psn=psn_add(psn, skip))
            w.check_alive()


def reads_repeated_together():
    """
    All answered reads come again, more than one turn sends; then once more while
    the first of them waits for memory: then they are answered once.
    """
    mtu, count, packets = 1024, 3, 64
    size = packets * mtu
    with Wire(mtu=mtu, size=count * size, odp=True) as w:
        w.memory.fill(pattern(count * size, 1))
        first = w.psn
        psns = [psn_add(first, i * packets) for i in range(count)]
        frames = [w.frame(Op.RDMA_READ_REQUEST, w.reth(i * size, size), psn=psn)
                  for i, psn in enumerate(psns)]

        def answered():
            for i, psn in enumerate(psns):
                w.expect_read_response(
                    psn, bytes(w.memory.expected[i * size:(i + 1) * size]))

        for i in range(count):
            w.inject(frames[i])
            w.msn += 1
            w.expect_read_response(
                psns[i], bytes(w.memory.expected[i * size:(i + 1) * size]))
        w.psn = psn_add(first, count * packets)
        for _ in range(2):
            w.inject(*frames)
            answered()
        w.check_alive()
        fault = Fault(w.memory.addr, mmap.PAGESIZE)
        page = bytes(w.memory.expected[:mmap.PAGESIZE])
        w.memory.map.madvise(mmap.MADV_DONTNEED, w.memory.GUARD, mmap.PAGESIZE)
        w.inject(*frames)
        assert fault.wait() == w.memory.addr
        w.inject(*frames)
        w.inject(*frames[1:])
        fault.fill(w.memory.addr, page)
        answered()
        w.check_alive()
        w.memory.check()


def repeated_atomics():
    """Duplicates get the saved result, up to the outstanding maximum: 9.7.5.1.5."""
    with Wire(rd_atomic=4) as w:
        w.memory.put(0, struct.pack("Q", 100))
        first = w.psn
        for i in range(6):
            w.request(Op.FETCH_ADD, w.atomic_eth(0, 1))
            w.msn += 1
            w.expect(Op.ATOMIC_ACKNOWLEDGE, psn_add(first, i), orig=100 + i)
        w.memory.expected[:8] = struct.pack("Q", 106)
        for i in (5, 2, 3, 2):
            at(f"atomic {i}")
            w.request(Op.FETCH_ADD, w.atomic_eth(0, 1), psn=psn_add(first, i))
            w.expect(Op.ATOMIC_ACKNOWLEDGE, psn_add(first, i), orig=100 + i,
                     msn=w.msn)
            w.memory.check()
        at("an atomic that is forgotten")
        w.request(Op.FETCH_ADD, w.atomic_eth(0, 1), psn=psn_add(first, 1))
        w.check_alive()
        at("a read in the place of an atomic")
        w.request(Op.RDMA_READ_REQUEST, w.reth(0, 8), psn=psn_add(first, 5))
        w.check_alive()
        w.memory.check()


class Part(NamedTuple):
    """
    A packet of a wrong request. Its RETH, if it has one, names @dma bytes at
    @offset of the memory; @rkey has the wrong bits of the key.
    """
    op: Op
    length: int = 0
    dma: int = None
    offset: int = 0
    rkey: int = 0
    bth: dict = {}


class Wrong(NamedTuple):
    """
    A request whose last packet is wrong.

    @syndrome: of the expected NAK
    @rights: of the memory
    @qp_rights: of the queue pair
    @status: of the receive request
    """
    name: str
    parts: tuple
    syndrome: Syndrome = Syndrome.NAK_INV_REQ
    rights: int = ALL_RIGHTS
    qp_rights: int = ALL_RIGHTS
    status: int = e.IBV_WC_WR_FLUSH_ERR


LOCAL = e.IBV_ACCESS_LOCAL_WRITE
SIZE = 4 * mmap.PAGESIZE
REM_ACCESS = Syndrome.NAK_REM_ACCESS
SEND_FIRST = Part(Op.SEND_FIRST, MTU)
SEND_MIDDLE = Part(Op.SEND_MIDDLE, MTU)
WRITE_FIRST = Part(Op.RDMA_WRITE_FIRST, MTU, 3 * MTU)
WRITE_MIDDLE = Part(Op.RDMA_WRITE_MIDDLE, MTU)

WRONGS = (
    # sequence of opcodes: 9.7.4.1.3
    Wrong("send, middle without first", (SEND_MIDDLE,)),
    Wrong("send, last without first", (Part(Op.SEND_LAST, 8),)),
    Wrong("write, middle without first", (WRITE_MIDDLE,)),
    Wrong("write, last without first", (Part(Op.RDMA_WRITE_LAST, 8),)),
    Wrong("send, first in a message", (SEND_FIRST, SEND_FIRST)),
    Wrong("send, only in a message", (SEND_FIRST, Part(Op.SEND_ONLY, 8))),
    Wrong("write, first in a message", (WRITE_FIRST, WRITE_FIRST)),
    Wrong("write in a send", (SEND_FIRST, Part(Op.RDMA_WRITE_ONLY, 8, 8))),
    Wrong("write's middle in a send", (SEND_FIRST, WRITE_MIDDLE)),
    Wrong("send's last in a write", (WRITE_FIRST, Part(Op.SEND_LAST, 8))),
    Wrong("read in a message",
          (SEND_FIRST, Part(Op.RDMA_READ_REQUEST, 0, 8))),
    Wrong("atomic in a message", (WRITE_FIRST, Part(Op.FETCH_ADD))),
    Wrong("send, middle after last",
          (SEND_FIRST, Part(Op.SEND_LAST, 8), SEND_MIDDLE)),
    # length: 9.7.4.1.6
    Wrong("send, first is short", (Part(Op.SEND_FIRST, MTU - 4),)),
    Wrong("send, first is long", (Part(Op.SEND_FIRST, MTU + 4),)),
    Wrong("send, middle is short",
          (SEND_FIRST, Part(Op.SEND_MIDDLE, MTU - 1))),
    Wrong("send, middle is empty", (SEND_FIRST, Part(Op.SEND_MIDDLE))),
    Wrong("send, last is empty", (SEND_FIRST, Part(Op.SEND_LAST))),
    Wrong("send, last is long", (SEND_FIRST, Part(Op.SEND_LAST, MTU + 1))),
    Wrong("send, only is long", (Part(Op.SEND_ONLY, MTU + 1),)),
    Wrong("send, only is much too long", (Part(Op.SEND_ONLY, 1400),)),
    Wrong("send, first with padding",
          (Part(Op.SEND_FIRST, MTU, bth={"padcount": 2}),)),
    Wrong("write, first is short",
          (Part(Op.RDMA_WRITE_FIRST, MTU - 4, 2 * MTU),)),
    Wrong("write, middle is short",
          (WRITE_FIRST, Part(Op.RDMA_WRITE_MIDDLE, MTU - 4))),
    Wrong("write, only is short of its RETH",
          (Part(Op.RDMA_WRITE_ONLY, 8, 9),)),
    Wrong("write, only is beyond its RETH",
          (Part(Op.RDMA_WRITE_ONLY, 9, 8),)),
    Wrong("write, RETH of nothing", (Part(Op.RDMA_WRITE_ONLY, 8, 0),)),
    Wrong("write, only is longer than a packet",
          (Part(Op.RDMA_WRITE_ONLY, MTU + 8, MTU + 8),)),
    Wrong("write, padding lies",
          (Part(Op.RDMA_WRITE_ONLY, 8, 8, bth={"padcount": 1}),)),
    Wrong("write, first is all", (Part(Op.RDMA_WRITE_FIRST, MTU, MTU),)),
    Wrong("write, middle is the end",
          (WRITE_FIRST, WRITE_MIDDLE, WRITE_MIDDLE)),
    Wrong("write, last is short", (WRITE_FIRST, WRITE_MIDDLE,
                                   Part(Op.RDMA_WRITE_LAST, MTU - 1))),
    Wrong("write, last is early",
          (WRITE_FIRST, Part(Op.RDMA_WRITE_LAST, MTU))),
    Wrong("write, last is long",
          (Part(Op.RDMA_WRITE_FIRST, MTU, MTU + 8),
           Part(Op.RDMA_WRITE_LAST, 9))),
    Wrong("write, longer than a message may be",
          (Part(Op.RDMA_WRITE_FIRST, MTU, MAX_MSG + 1),)),
    Wrong("read, longer than a message may be",
          (Part(Op.RDMA_READ_REQUEST, 0, MAX_MSG + 1),)),
    # operations that the queue pair does not enable: 9.7.4.1.4
    Wrong("write, not enabled", (Part(Op.RDMA_WRITE_ONLY, 8, 8),),
          qp_rights=ALL_RIGHTS & ~e.IBV_ACCESS_REMOTE_WRITE),
    Wrong("read, not enabled", (Part(Op.RDMA_READ_REQUEST, 0, 8),),
          qp_rights=ALL_RIGHTS & ~e.IBV_ACCESS_REMOTE_READ),
    Wrong("atomic, not enabled", (Part(Op.COMPARE_SWAP),),
          qp_rights=ALL_RIGHTS & ~e.IBV_ACCESS_REMOTE_ATOMIC),
    Wrong("atomic, not aligned", (Part(Op.FETCH_ADD, offset=4),)),
    Wrong("atomic, not aligned and beyond",
          (Part(Op.FETCH_ADD, offset=SIZE - 4),)),
    # keys, bounds and rights: 9.7.4.1.5
    Wrong("write, no such key", (Part(Op.RDMA_WRITE_ONLY, 8, 8, rkey=1 << 20),),
          REM_ACCESS),
    Wrong("write, old key", (Part(Op.RDMA_WRITE_ONLY, 8, 8, rkey=1),),
          REM_ACCESS),
    Wrong("write, one byte beyond",
          (Part(Op.RDMA_WRITE_ONLY, 8, 8, SIZE - 7),), REM_ACCESS),
    Wrong("write, one byte before", (Part(Op.RDMA_WRITE_ONLY, 8, 8, -1),),
          REM_ACCESS),
    Wrong("write, first of what ends beyond",
          (Part(Op.RDMA_WRITE_FIRST, MTU, SIZE + 1),), REM_ACCESS),
    Wrong("write, no right", (Part(Op.RDMA_WRITE_ONLY, 8, 8),), REM_ACCESS,
          rights=ALL_RIGHTS & ~e.IBV_ACCESS_REMOTE_WRITE),
    Wrong("read, no such key",
          (Part(Op.RDMA_READ_REQUEST, 0, 8, rkey=1 << 20),), REM_ACCESS),
    Wrong("read, beyond", (Part(Op.RDMA_READ_REQUEST, 0, SIZE + 1),),
          REM_ACCESS),
    Wrong("read, no right", (Part(Op.RDMA_READ_REQUEST, 0, 8),), REM_ACCESS,
          rights=ALL_RIGHTS & ~e.IBV_ACCESS_REMOTE_READ),
    Wrong("atomic, beyond", (Part(Op.FETCH_ADD, offset=SIZE),), REM_ACCESS),
    Wrong("atomic, no right", (Part(Op.FETCH_ADD),), REM_ACCESS,
          rights=ALL_RIGHTS & ~e.IBV_ACCESS_REMOTE_ATOMIC),
    Wrong("all, no right", (Part(Op.RDMA_WRITE_ONLY, 8, 8),), REM_ACCESS,
          rights=LOCAL),
    # the receive request
    Wrong("send, longer than the receive",
          (SEND_FIRST, SEND_MIDDLE, SEND_MIDDLE, SEND_MIDDLE, SEND_MIDDLE),
          status=e.IBV_WC_LOC_LEN_ERR),
)
RECV_LEN = 4 * MTU


def part_headers(w, part):
    if part.op in (Op.FETCH_ADD, Op.COMPARE_SWAP):
        eth = w.atomic_eth(part.offset, 1, 1)
    elif part.dma is not None:
        eth = w.reth(part.offset, part.dma)
    else:
        return ()
    eth.rkey ^= part.rkey
    return (eth,)


def try_wrong(wrong):
    with Wire(rights=wrong.rights, qp_rights=wrong.qp_rights) as w:
        w.post_recv(0, RECV_LEN, 1)
        for i, part in enumerate(wrong.parts):
            data = pattern(part.length, i)
            psn = w.request(part.op, *part_headers(w, part), payload=data,
                            ack=True, **part.bth)
            if i == len(wrong.parts) - 1:
                break
            # packets before the wrong one were executed
            w.memory.expected[i * MTU:i * MTU + part.length] = data
            w.msn += part.op == Op.SEND_LAST
            w.expect_ack(psn)
        # nothing comes after the NAK
        for later in (psn_add(psn, 1), psn_add(psn, 2), psn):
            w.request(Op.RDMA_WRITE_ONLY, w.reth(0, 1), payload=b"x", ack=True,
                      psn=later)
        w.expect_nak(wrong.syndrome, psn)
        w.memory.check()
        assert w.state() == e.IBV_QPS_ERR, w.state()
        if Op.SEND_LAST in [part.op for part in wrong.parts[:-1]]:
            w.wait_cqe(w.recv_cq)
        else:
            assert w.wait_cqe(w.recv_cq, wrong.status).wr_id == 1
        w.check_silent()


def wrong_requests():
    """Wrong requests get the right NAK; the queue pair enters the error state."""
    for wrong in WRONGS:
        at(wrong.name)
        try_wrong(wrong)


def reserved_opcodes():
    """Reserved opcodes of RC are refused as unsupported (9.7.4.1.4)."""
    for op in set(range(0x20)) - set(Op):
        at(f"opcode {op:#x}")
        with Wire() as w:
            psn = w.request(op, payload=bytes(32), ack=True)
            w.expect_nak(Syndrome.NAK_INV_REQ, psn)
            w.memory.check()
            assert w.state() == e.IBV_QPS_ERR, w.state()


def other_services():
    """Opcodes of UC, RD, UD, XRC and others are dropped silently."""
    with Wire() as w:
        frame = w.frame(Op.RDMA_WRITE_ONLY, w.reth(0, 8), psn=0,
                        payload=bytes(8), ack=True)
        for op in range(0x20, 0x100):
            at(f"opcode {op:#x}")
            bad = put(frame, bth_at(frame), bytes([op]))
            bad = put(bad, bth_at(frame) + 9, w.psn.to_bytes(3, "big"))
            w.inject(seal(bad))
            w.check_alive()
        w.memory.check()


def nothing_moves():
    """Requests of length 0 access no memory: no key is checked."""
    with Wire() as w:
        nowhere = RETH(va=1 << 60, rkey=0x12345678, len=0)
        psn = w.request(Op.RDMA_WRITE_ONLY, nowhere, ack=True)
        w.msn += 1
        w.expect_ack(psn)
        psn = w.request(Op.RDMA_READ_REQUEST, nowhere)
        w.msn += 1
        w.expect_read_response(psn, b"")
        w.check_alive()
        w.memory.check()


def not_ready():
    """RNR NAKs with the timer of the queue pair, until a receive is posted."""
    for timer in (0, 1, 14, 31):
        at(f"timer {timer}")
        with Wire(rnr_timer=timer) as w:
            for kind in ("SEND", "RDMA_WRITE"):
                data = pattern(2 * MTU + 4, timer)
                imm = None if kind == "SEND" else IMM
                packets = list(message(kind, data, MTU, (
                    w.memory.addr, w.memory.mr.rkey), imm))
                first = w.psn
                # a write's data needs no receive, its immediate data does
                nak = psn_add(first, 0 if kind == "SEND" else 2)
                for op, headers, chunk in packets:
                    w.request(op, *headers, payload=chunk, ack=True)
                if kind != "SEND":
                    w.memory.expected[:2 * MTU] = data[:2 * MTU]
                    w.expect_ack(first)
                    w.expect_ack(psn_add(first, 1))
                w.expect_nak(Syndrome.RNR_NAK | timer, nak)
                w.memory.check()
                op, headers, chunk = packets[0 if kind == "SEND" else 2]
                w.request(op, *headers, payload=chunk, ack=True, psn=nak)
                w.expect_nak(Syndrome.RNR_NAK | timer, nak)
                w.post_recv(0, SIZE)
                for i, (op, headers, chunk) in enumerate(packets):
                    psn = psn_add(first, i)
                    if kind == "SEND" or psn == nak:
                        w.request(op, *headers, payload=chunk, psn=psn,
                                  ack=psn == psn_add(w.psn, -1))
                w.memory.expected[:len(data)] = data
                w.msn += 1
                w.expect_ack(psn_add(w.psn, -1))
                w.wait_cqe(w.recv_cq)
                w.memory.check()
                w.check_alive()


def stray_responses():
    """Responses without a request are ignored."""
    with Wire() as w:
        for op, *headers in (
                (Op.ACKNOWLEDGE, AETH(syndrome=int(Syndrome.ACK))),
                (Op.RDMA_READ_RESPONSE_ONLY, AETH(syndrome=0x1f)),
                (Op.RDMA_READ_RESPONSE_MIDDLE,),
                (Op.ATOMIC_ACKNOWLEDGE, AtomicAckETH())):
            at(op.name)
            w.inject(w.frame(op, *headers, psn=w.psn))
            w.check_alive()


def serve(w, frames, first):
    """
    Act as a requester that goes back as NAKs tell it, until all is answered.

    @frames: the requests, the first of which has PSN @first
    Returns the result of each atomic.
    """
    found = {}
    done = 0
    while done < len(frames):
        bth = w.receive()
        index = psn_add(bth.psn, -first)
        if bth.opcode == Op.ATOMIC_ACKNOWLEDGE:
            assert found.setdefault(index, bth.orig) == bth.orig, bth.orig
        elif bth.syndrome >> 5:
            assert bth.syndrome == Syndrome.NAK_PSN_SEQ or \
                bth.syndrome >> 5 == Syndrome.RNR_NAK >> 5, hex(bth.syndrome)
            w.inject(*frames[index:])
            continue
        done = max(done, index + 1)
    return found


def while_it_faults():
    """
    Requests that come while an earlier one waits for memory, in disorder and
    more than once: none is lost, and none is executed twice.
    """
    page = mmap.PAGESIZE
    with Wire(odp=True, psn=0xfffffe) as w:
        fault = Fault(w.memory.addr, 2 * page)
        requests = (
            (Op.RDMA_WRITE_ONLY, w.reth(0, 4), b"zero"),
            (Op.FETCH_ADD, w.atomic_eth(8, 3), b""),
            (Op.RDMA_WRITE_ONLY, w.reth(page, 3), b"two"),
            (Op.FETCH_ADD, w.atomic_eth(8, 4), b""),
            (Op.RDMA_WRITE_ONLY, w.reth(16, 4), b"four"),
        )
        frames = [w.frame(op, eth, payload=data, ack=True,
                          psn=psn_add(w.psn, i))
                  for i, (op, eth, data) in enumerate(requests)]
        w.inject(frames[0])
        assert fault.wait() == w.memory.addr
        w.inject(*(frames[i] for i in (1, 0, 1, 4, 2, 3, 1, 0)))
        content = b"." * 8 + struct.pack("Q", 100) + b"."
        fault.fill(w.memory.addr, content)
        fault.serve(content)
        assert serve(w, frames, w.psn) == {1: 100, 3: 103}
        expected = bytearray(w.memory.size)
        expected[:len(content)] = expected[page:page + len(content)] = content
        expected[:4] = b"zero"
        expected[8:16] = struct.pack("Q", 107)
        expected[16:20] = b"four"
        expected[page:page + 3] = b"two"
        w.memory.expected = expected
        w.memory.check()
        w.psn = psn_add(w.psn, len(frames))
        w.msn += len(frames)
        # requests that came more than once get more than one ACK
        last = w.request(Op.RDMA_WRITE_ONLY, w.reth(0, 0), ack=True)
        w.msn += 1
        psn = None
        while psn != last:
            bth = w.receive()
            psn = bth.psn
            assert bth.syndrome >> 5 == 0, hex(bth.syndrome)
        w.check_alive()


def held_repeats(retry_cnt):
    """How often a peer may repeat a request that waits before it gets an RNR NAK."""
    return max(retry_cnt // 2, retry_cnt - 2)


def again_while_it_faults():
    """
    Repetitions of a request that waits get no RNR NAK at first: rnr_retry of the
    peer may be 0. Before retry_cnt is used up they do, at the request that waits and
    at earlier ones whose answers were lost, which wait to be answered again. The
    timer is at least 14, 1.28 ms, whatever the queue pair's.
    """
    for retry_cnt in (7, 3, 2, 1):
        at(f"{retry_cnt} retries")
        repeat_while_it_faults(retry_cnt)


def repeat_while_it_faults(retry_cnt):
    page = mmap.PAGESIZE
    with Wire(odp=True, rnr_timer=1, retry_cnt=retry_cnt) as w:
        fault = Fault(w.memory.addr + page, page)
        requests = (
            (Op.FETCH_ADD, w.atomic_eth(8, 3), b""),
            (Op.RDMA_WRITE_ONLY, w.reth(16, 3), b"one"),
            (Op.RDMA_WRITE_ONLY, w.reth(page, 3), b"two"),
            (Op.RDMA_WRITE_ONLY, w.reth(24, 5), b"three"),
        )
        first = w.psn
        frames = [w.frame(op, eth, payload=data, psn=psn_add(first, i))
                  for i, (op, eth, data) in enumerate(requests)]
        w.inject(*frames[:3])
        assert w.receive().opcode == Op.ATOMIC_ACKNOWLEDGE
        assert fault.wait() == w.memory.addr + page
        w.msn += 2
        for _ in range(held_repeats(retry_cnt)):
            w.inject(*frames)
        w.check_silent()
        for _ in range(4):
            w.inject(*frames)
            w.expect_nak(Syndrome.RNR_NAK | 14, first)
            w.expect_nak(Syndrome.RNR_NAK | 14, psn_add(first, 2))
        fault.fill(w.memory.addr + page, b"content")
        w.msn += 2
        # the duplicate is answered, once
        w.expect(Op.ATOMIC_ACKNOWLEDGE, first, orig=0)
        w.expect_ack(psn_add(first, 2))
        w.psn = psn_add(first, len(frames))
        w.memory.expected = bytearray(w.memory.size)
        w.memory.expected[8:11] = b"\x03\0\0"
        w.memory.expected[16:19] = b"one"
        w.memory.expected[24:29] = b"three"
        w.memory.expected[page:page + 7] = b"twotent"
        w.check_alive()
        w.memory.check()


def first_again_while_it_faults():
    """
    A peer that repeats the oldest packet only, as after an ACK timeout, gets an
    answer, too: an ACK of a send or write that was executed, although a read behind
    it waits; an RNR NAK before its retries are used up if the packet has to be
    answered.
    """
    page = mmap.PAGESIZE
    at("a write ahead of a read")
    with Wire(odp=True) as w:
        fault = Fault(w.memory.addr + page, page)
        first = w.psn
        w.inject(w.frame(Op.RDMA_WRITE_ONLY, w.reth(16, 3), payload=b"one",
                         psn=first),
                 w.frame(Op.RDMA_READ_REQUEST, w.reth(page, 4), ack=True,
                         psn=psn_add(first, 1)))
        assert fault.wait() == w.memory.addr + page
        w.check_silent()
        for _ in range(9):
            w.inject(w.frame(Op.RDMA_WRITE_ONLY, w.reth(16, 3), payload=b"one",
                             psn=first, ack=True))
            w.expect(Op.ACKNOWLEDGE, first, syndrome=int(Syndrome.ACK))
        fault.fill(w.memory.addr + page, b"read")
        w.expect(Op.RDMA_READ_RESPONSE_ONLY, psn_add(first, 1), b"read")
        w.psn = psn_add(first, 2)
        w.msn += 2
        w.check_alive()
    at("an atomic ahead of a write")
    with Wire(odp=True, rnr_timer=1) as w:
        fault = Fault(w.memory.addr + page, page)
        first = w.psn
        atomic = w.frame(Op.FETCH_ADD, w.atomic_eth(8, 3), psn=first, ack=True)
        w.inject(atomic)
        w.expect(Op.ATOMIC_ACKNOWLEDGE, first, orig=0)
        w.inject(w.frame(Op.RDMA_WRITE_ONLY, w.reth(page, 3), payload=b"two",
                         psn=psn_add(first, 1)))
        assert fault.wait() == w.memory.addr + page
        expect_nak_before_the_last(w, atomic, first)
        fault.fill(w.memory.addr + page, b"")
        w.expect(Op.ATOMIC_ACKNOWLEDGE, first, orig=0)
        w.expect(Op.ACKNOWLEDGE, psn_add(first, 1))
        w.psn = psn_add(first, 2)
        w.msn += 2
        w.check_alive()
    at("a read that waits half-way")
    with Wire(odp=True, rnr_timer=1) as w:
        data = pattern(3 * MTU, 1)
        w.memory.put(page - MTU, data[:MTU])
        w.memory.put(0, b"present!")
        fault = Fault(w.memory.addr + page, page)
        present = w.request(Op.RDMA_READ_REQUEST, w.reth(0, 8))
        w.msn += 1
        w.expect_read_response(present, b"present!")
        first = w.psn
        read = w.frame(Op.RDMA_READ_REQUEST, w.reth(page - MTU, 3 * MTU),
                       psn=first, ack=True)
        w.inject(read)
        w.expect(Op.RDMA_READ_RESPONSE_FIRST, first, data[:MTU])
        assert fault.wait() == w.memory.addr + page
        expect_nak_before_the_last(w, read, first)
        fault.fill(w.memory.addr + page, data[MTU:])
        for _ in range(2):
            while w.receive().opcode != Op.RDMA_READ_RESPONSE_LAST:
                pass
        w.expect(Op.ACKNOWLEDGE, psn_add(first, 2))
        w.psn = psn_add(first, 3)
        w.msn += 1
        w.check_alive()


def expect_nak_before_the_last(w, frame, psn):
    """The peer repeats its request, and gets an RNR NAK before its last retries."""
    for _ in range(held_repeats(7)):
        w.inject(frame)
    w.check_silent()
    for _ in range(3):
        w.inject(frame)
        w.expect(Op.ACKNOWLEDGE, psn, syndrome=Syndrome.RNR_NAK | 14)


def lost_before_it_faults():
    """
    While a write waits for memory, the peer repeats the read before it, whose
    answer was lost: both are answered, in that order, before any timeout.
    """
    page = mmap.PAGESIZE
    for again in (False, True):
        at(f"the write comes again: {again}")
        with Wire(odp=True) as w:
            w.memory.put(0, b"readable")
            fault = Fault(w.memory.addr + page, page)
            read = w.request(Op.RDMA_READ_REQUEST, w.reth(0, 8))
            w.msn += 1
            w.expect_read_response(read, b"readable")
            frame = w.frame(Op.RDMA_WRITE_ONLY, w.reth(page, 3), payload=b"two",
                            psn=w.psn, ack=True)
            write = w.psn
            w.psn = psn_add(write, 1)
            w.inject(frame)
            assert fault.wait() == w.memory.addr + page
            for _ in range(2):
                w.request(Op.RDMA_READ_REQUEST, w.reth(0, 8), psn=read)
                if again:
                    w.inject(frame)
            w.check_silent()
            fault.fill(w.memory.addr + page, b"")
            w.msn += 1
            # which the peer cannot take yet
            w.expect_ack(write)
            w.expect_read_response(read, b"readable")
            w.expect_ack(write)
            w.check_alive()


def asked_while_it_faults():
    """
    A request that waits for memory came without the AckReq bit, and comes again
    with it. Requests before it are acknowledged at once.
    """
    page = mmap.PAGESIZE
    with Wire(odp=True) as w:
        fault = Fault(w.memory.addr + page, page)
        first = w.psn
        frames = [[w.frame(Op.RDMA_WRITE_ONLY, w.reth(at, 3), payload=b"one",
                           psn=psn_add(first, i), ack=ack)
                   for i, at in enumerate((0, page))]
                  for ack in (False, True)]
        w.inject(*frames[False])
        assert fault.wait() == w.memory.addr + page
        w.check_silent()
        w.msn += 1
        w.inject(*frames[True])
        w.expect_ack(first)
        w.check_silent()
        fault.fill(w.memory.addr + page, b"")
        w.msn += 1
        w.expect_ack(psn_add(first, 1))
        w.psn = psn_add(first, 2)
        w.check_alive()


def too_much_while_it_faults():
    """One queue pair holds a bounded amount of requests, and has the rest sent again."""
    with Wire(odp=True, mtu=1024) as w:
        fault = Fault(w.memory.addr, mmap.PAGESIZE)
        first = w.psn
        frame = w.frame(Op.RDMA_WRITE_ONLY, w.reth(0, w.mtu), psn=first,
                        payload=pattern(w.mtu, 1))
        w.inject(frame)
        assert fault.wait() == w.memory.addr
        # each takes more memory than its length
        for i in range(1, (4 << 20) // w.mtu):
            w.inject(seal(put(frame, bth_at(frame) + 9,
                              psn_add(first, i).to_bytes(3, "big"))))
        check_waiting(4 << 20)
        w.expect_nak(Syndrome.RNR_NAK | 14, first)
        fault.fill(w.memory.addr, b"")
        wait_until(lambda: not counter("parked_bytes"), "parked requests stay")


def together_while_it_faults():
    """Duplicates of packets that wait, in one batch, are not queued twice."""
    with Wire(odp=True) as w:
        fault = Fault(w.memory.addr, mmap.PAGESIZE)
        data = pattern(6 * MTU, 1)
        first = w.psn
        frames = counted_up([
            w.frame(Op.RDMA_WRITE_ONLY, w.reth(i * MTU, MTU), ack=True,
                    payload=data[i * MTU:][:MTU], psn=psn_add(first, i))
            for i in range(6)])
        w.psn = psn_add(first, 6)
        w.inject_together(frames)
        assert fault.wait() == w.memory.addr
        wait_until(lambda: counter("parked_bytes"), "nothing waits")
        waiting = counter("parked_bytes")
        duplicates = counter("duplicate_request")
        w.inject_together(frames)
        check_still_waiting(waiting)
        assert counter("duplicate_request") == duplicates + len(frames)
        fault.fill(w.memory.addr, b"")
        w.msn += 6
        w.expect_ack(psn_add(first, 5))
        w.memory.expected = bytearray(w.memory.size)
        w.memory.expected[:len(data)] = data
        w.memory.check()
        w.check_alive()


def behind_a_gap_while_it_faults():
    """
    The requester goes back, as a packet was lost, while a read that it repeats
    waits for memory: what it sends then waits, too, and only once.
    """
    page = mmap.PAGESIZE
    with Wire(odp=True) as w:
        w.memory.put(0, b"readable")
        w.memory.put(page, b"present!" * 3)
        read = w.request(Op.RDMA_READ_REQUEST, w.reth(0, 8))
        w.msn += 1
        w.expect_read_response(read, b"readable")
        first = w.psn
        frames = [[w.frame(Op.RDMA_WRITE_ONLY, w.reth(page + 8 * i, 4),
                           payload=b"new" + bytes([48 + i]),
                           psn=psn_add(first, i), ack=ack and i == 2)
                   for i in range(3)] for ack in (False, True)]
        w.inject(frames[False][1])
        w.expect_nak(Syndrome.NAK_PSN_SEQ, first)
        fault = Fault(w.memory.addr, page)
        w.memory.drop(0, page)
        w.request(Op.RDMA_READ_REQUEST, w.reth(0, 8), psn=read)
        assert fault.wait() == w.memory.addr
        w.inject(*frames[True])
        wait_until(lambda: counter("parked_bytes"), "nothing waits")
        time.sleep(0.02)
        waiting = counter("parked_bytes")
        for _ in range(3):
            w.inject(*frames[False])
        check_still_waiting(waiting)
        fault.fill(w.memory.addr, b"readable")
        w.expect_read_response(read, b"readable")
        w.msn += 3
        w.expect_ack(psn_add(first, 2))
        w.psn = psn_add(first, 3)
        w.memory.expected = bytearray(w.memory.size)
        w.memory.expected[:8] = b"readable"
        w.memory.expected[page:page + 24] = b"new0ent!new1ent!new2ent!"
        w.memory.check()
        w.check_alive()


def read_while_it_faults():
    """A read that waits for memory, comes again, and is followed by a write."""
    with Wire(odp=True) as w:
        fault = Fault(w.memory.addr, mmap.PAGESIZE)
        data = pattern(3 * MTU, 1)
        first = w.psn
        read = w.frame(Op.RDMA_READ_REQUEST, w.reth(0, len(data)), psn=first)
        w.psn = psn_add(first, 3)
        w.inject(read)
        assert fault.wait() == w.memory.addr
        w.inject(read)
        last = w.request(Op.RDMA_WRITE_ONLY, w.reth(0, 5), payload=b"write",
                         ack=True)
        w.inject(read)
        fault.fill(w.memory.addr, data)
        came = set()
        while last not in came:
            bth = w.receive()
            if bth.opcode == Op.ACKNOWLEDGE and bth.syndrome >> 5:
                assert bth.syndrome >> 5 == Syndrome.RNR_NAK >> 5
                continue
            if bth.opcode != Op.ACKNOWLEDGE:
                start = psn_add(bth.psn, -first) * MTU
                assert bth.data == data[start:start + MTU], f"data at {start}"
            came.add(bth.psn)
        assert came == {psn_add(first, i) for i in range(4)}, came
        w.msn += 2
        w.check_alive()


def answered_in_order():
    """Requests that have waited are answered in the order in which they came."""
    page = mmap.PAGESIZE
    with Wire(odp=True) as w:
        there = w.request(Op.RDMA_WRITE_ONLY, w.reth(0, 4), payload=b"here",
                          ack=True)
        w.msn += 1
        w.expect_ack(there)
        fault = Fault(w.memory.addr + page, page)
        first = w.request(Op.RDMA_WRITE_ONLY, w.reth(page, 3), payload=b"one",
                          ack=True)
        assert fault.wait() == w.memory.addr + page
        read = w.request(Op.RDMA_READ_REQUEST, w.reth(0, 4))
        last = w.request(Op.RDMA_WRITE_ONLY, w.reth(4, 3), payload=b"two",
                         ack=True)
        fault.fill(w.memory.addr + page, b"")
        w.msn += 1
        w.expect_ack(first)
        w.msn += 1
        w.expect_read_response(read, b"here")
        w.msn += 1
        w.expect_ack(last)
        w.memory.expected = bytearray(w.memory.size)
        w.memory.expected[:7] = b"heretwo"
        w.memory.expected[page:page + 3] = b"one"
        w.memory.check()
        w.check_alive()


TESTS = {
    "sends and writes": messages,
    "reads": reads,
    "atomics": atomics,
    "acknowledgments of requests that ask for one": ack_requests,
    "requests ahead of the expected PSN": gaps,
    "duplicate sends and writes": repeated_messages,
    "duplicate reads": repeated_reads,
    "duplicate reads in one batch": reads_repeated_together,
    "duplicate atomics": repeated_atomics,
    "wrong requests": wrong_requests,
    "reserved opcodes": reserved_opcodes,
    "opcodes of other services": other_services,
    "requests without length need no key": nothing_moves,
    "messages without a receive request": not_ready,
    "unsolicited responses": stray_responses,
    "disordered requests while memory is faulted in": while_it_faults,
    "duplicate requests while memory is faulted in": again_while_it_faults,
    "a duplicate of the oldest request while memory is faulted in":
        first_again_while_it_faults,
    "a lost answer ahead of a fault": lost_before_it_faults,
    "acknowledgments requested while memory is faulted in":
        asked_while_it_faults,
    "too many requests while memory is faulted in": too_much_while_it_faults,
    "one batch of requests while memory is faulted in":
        together_while_it_faults,
    "requests behind a gap while memory is faulted in":
        behind_a_gap_while_it_faults,
    "a read while its memory is faulted in": read_while_it_faults,
    "answers to requests from the backlog": answered_in_order,
}

if __name__ == "__main__":
    roce_wire.run_tests(TESTS)
