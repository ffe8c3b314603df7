#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
The requester of a reliable connection sends requests and takes responses: IBTA
volume 1, 9.7.3 and 9.7.5 to 9.7.8. Its peer is played by hand.
"""

import itertools
import mmap
import struct
import time
from typing import NamedTuple

import roce_wire
from ktap_test import at
from roce_packet import AETH, AtomicAckETH, Op, Syndrome, counted_up, \
    message, psn_add, read_response
from roce_wire import RETRY_TIMEOUT, Fault, Wire, check_still_waiting, \
    check_waiting, counter, e, pattern, wait_until

MTU = 256
# packets that may be unacknowledged
WINDOW = 256
LENGTHS = (0, 1, 2, 3, 4, 5, MTU - 1, MTU, MTU + 1, 2 * MTU, 3 * MTU + 6)
FAMILIES = (False, True)
REMOTE = (0x123456789abcdef0, 0xfeedbead)
# the same in either byte order: versions of pyverbs differ in what they take
IMM = 0x8abcbc8a


def memory_at(w, offset, length):
    return bytes(w.memory.expected[offset:offset + length])


def expect_message(w, kind, data, psn, imm=None, solicited=False, skip=0):
    """
    The packets of a message come, from the one numbered @skip on, the last
    asking for an acknowledgment. Returns its PSN.
    """
    packets = list(message(kind, data, w.mtu, REMOTE, imm))
    for i, (op, headers, chunk) in enumerate(packets[skip:], skip):
        last = i == len(packets) - 1
        fields = {name: value for header in headers
                  for name, value in header.fields.items()}
        w.expect(op, psn_add(psn, i), chunk, ackreq=int(last),
                 solicited=int(last and solicited), **fields)
    return psn_add(psn, len(packets) - 1)


def expect_read(w, psn, length, skip=0, remote=REMOTE):
    """Expect a request for the rest of a read, from a packet on."""
    w.expect(Op.RDMA_READ_REQUEST, psn_add(psn, skip), ackreq=1,
             va=remote[0] + skip * w.mtu, rkey=remote[1],
             len=length - skip * w.mtu)


def respond_read(w, psn, data, packets=None):
    """The peer answers a read, all of it or only the packets named."""
    for i, (op, chunk) in enumerate(read_response(data, w.mtu)):
        if packets is None or i in packets:
            w.respond(op, psn_add(psn, i), chunk)


def respond_atomic(w, psn, orig):
    w.inject(w.frame(Op.ATOMIC_ACKNOWLEDGE,
                     AtomicAckETH(syndrome=int(Syndrome.ACK), orig=orig),
                     psn=psn))


def finish(w):
    """The connection still works."""
    w.post("SEND", 0, 8, wr_id=0xe4d)
    psn = expect_message(w, "SEND", memory_at(w, 0, 8), w.psn)
    w.ack(psn)
    assert w.wait_cqe(w.send_cq).wr_id == 0xe4d
    w.check_idle(w.send_cq)
    w.check_silent()
    w.psn = psn_add(psn, 1)


def messages():
    """Sends and writes: opcodes, headers, PSNs, data, padding, ICRC."""
    kinds = list(itertools.product(LENGTHS, ("SEND", "RDMA_WRITE"),
                                   (None, IMM), (0, 3)))
    for ipv6 in FAMILIES:
        with Wire(ipv6=ipv6) as w:
            for i, (length, kind, imm, offset) in enumerate(kinds):
                at(f"ipv6 {ipv6}, {kind}, {length} bytes, immediate {imm}")
                solicited = bool(i & 2)
                w.post(kind if imm is None else kind + "_WITH_IMM", offset,
                       length, remote=REMOTE, wr_id=i, imm=imm or 0,
                       flags=e.IBV_SEND_SOLICITED if solicited else 0)
                psn = expect_message(
                    w, kind, memory_at(w, offset, length), w.psn, imm,
                    solicited and (kind == "SEND" or imm is not None))
                w.check_idle(w.send_cq)
                w.ack(psn)
                assert w.wait_cqe(w.send_cq).wr_id == i
                w.psn = psn_add(psn, 1)
            finish(w)


def together():
    """Packets leave as one GSO packet, if the netdev takes those."""
    length = 9 * MTU + 5
    for ipv6 in FAMILIES:
        for together in (65535, 1):
            at(f"ipv6 {ipv6}, {together} at once")
            roce_wire.HOSTS.set_together(together)
            with Wire(ipv6=ipv6) as w:
                w.post("SEND", 0, length)
                psn = expect_message(w, "SEND", memory_at(w, 0, length), w.psn)
                w.ack(psn)
                w.wait_cqe(w.send_cq)
                assert w.merged == int(together > 1), w.merged
    roce_wire.HOSTS.set_together(65535)


def icrc_of_scapy():
    """The ICRC as scapy computes it for IPv4, against our own computation."""
    with Wire() as w:
        for length in range(9):
            at(f"{length} bytes")
            w.post("SEND", 0, length)
            bth = w.receive()
            assert bth.compute_icrc(b"") == bth.frame[-4:], bth.frame.hex()
            w.ack(w.psn)
            w.wait_cqe(w.send_cq)
            w.psn = psn_add(w.psn, 1)
        w.post("RDMA_READ", 0, 8)
        bth = w.receive()
        assert bth.compute_icrc(b"") == bth.frame[-4:], bth.frame.hex()


def reads():
    """A read requests the right range, and its response is stored there."""
    for ipv6 in FAMILIES:
        with Wire(ipv6=ipv6) as w:
            for i, (length, offset) in enumerate(itertools.product(
                    LENGTHS, (0, 3))):
                at(f"ipv6 {ipv6}, {length} bytes to {offset}")
                data = pattern(length, i + 1)
                w.post("RDMA_READ", offset, length, remote=REMOTE, wr_id=i)
                expect_read(w, w.psn, length)
                respond_read(w, w.psn, data)
                w.memory.expected[offset:offset + length] = data
                wc = w.wait_cqe(w.send_cq)
                assert wc.wr_id == i and wc.byte_len == length, wc
                w.memory.check()
                w.psn = psn_add(w.psn, max(1, -(-length // MTU)))
            finish(w)


def expect_atomic(w, psn, op, swap_add, compare):
    w.expect(op, psn, va=REMOTE[0], rkey=REMOTE[1], ackreq=1,
             swap_add=swap_add, compare=compare)


def atomics():
    """Both atomics, with the result in the host's byte order."""
    orig = 0xfedcba9876543210
    for ipv6 in FAMILIES:
        with Wire(ipv6=ipv6) as w:
            w.post("ATOMIC_FETCH_AND_ADD", 8, remote=REMOTE, compare=5)
            expect_atomic(w, w.psn, Op.FETCH_ADD, 5, 0)
            respond_atomic(w, w.psn, orig)
            w.wait_cqe(w.send_cq)
            w.post("ATOMIC_CMP_AND_SWP", 16, remote=REMOTE, compare=6, swap=7)
            expect_atomic(w, psn_add(w.psn, 1), Op.COMPARE_SWAP, 7, 6)
            respond_atomic(w, psn_add(w.psn, 1), orig + 1)
            w.wait_cqe(w.send_cq)
            w.memory.expected[8:24] = struct.pack("2Q", orig, orig + 1)
            w.memory.check()
            w.psn = psn_add(w.psn, 2)
            finish(w)


def atomic_lost():
    """The same request is sent again until its result comes; one result counts."""
    with Wire(timeout=RETRY_TIMEOUT) as w:
        w.post("ATOMIC_FETCH_AND_ADD", 0, remote=REMOTE, compare=5)
        for _ in range(3):
            expect_atomic(w, w.psn, Op.FETCH_ADD, 5, 0)
        for orig in (8, 9, 10):
            respond_atomic(w, w.psn, orig)
        w.wait_cqe(w.send_cq)
        w.memory.expected[:8] = struct.pack("Q", 8)
        w.memory.check()
        w.check_idle(w.send_cq)


def post_many(w, n=6, length=2 * MTU):
    """Messages of different data; they come, and are not acknowledged."""
    for i in range(n):
        w.post("SEND", i, length, wr_id=i)
    psns = [w.psn]
    for i in range(n):
        data = memory_at(w, i, length)
        for op, _, chunk in message("SEND", data, MTU):
            w.expect(op, psns[-1], chunk)
            psns[-1] = psn_add(psns[-1], 1)
        psns.append(psns[-1])
    return [psn_add(psn, -1) for psn in psns[:-1]]


def expect_done(w, *wr_ids):
    """These requests have completed, and no other."""
    for wr_id in wr_ids:
        assert w.wait_cqe(w.send_cq).wr_id == wr_id
    w.check_idle(w.send_cq)


def acks():
    """ACKs of one message, of many, of PSNs never sent, and stale ones."""
    with Wire() as w:
        psns = post_many(w)
        for n in (1, 2, 1000, 0x7fffff):
            w.ack(psn_add(psns[-1], n))
        for n in (1, 2, 1000, 0x7fffff):
            w.ack(psn_add(w.psn, -n))
        w.ack(psns[0])
        expect_done(w, 0)
        # the first half of a message
        w.ack(psn_add(psns[1], -1))
        w.ack(psns[0])
        w.ack(psns[2])
        expect_done(w, 1, 2)
        w.ack(psns[1])
        w.ack(psns[5])
        expect_done(w, 3, 4, 5)
        w.psn = psn_add(psns[-1], 1)
        finish(w)


def strange_acks():
    """Reserved syndromes, and NAKs of completed requests, are ignored."""
    with Wire() as w:
        psns = post_many(w)
        for syndrome in (0x40, 0x5f, 0x65, 0x7f, 0x80, 0xff):
            at(f"syndrome {syndrome:#x}")
            w.ack(w.psn, syndrome)
        w.ack(psns[0])
        expect_done(w, 0)
        for syndrome in (Syndrome.NAK_PSN_SEQ, Syndrome.NAK_INV_REQ,
                         Syndrome.NAK_REM_ACCESS, Syndrome.RNR_NAK | 1):
            at(f"syndrome {syndrome:#x}")
            w.ack(psns[0], syndrome)
            w.ack(psn_add(psns[-1], 1), syndrome)
        w.ack(psns[1])
        expect_done(w, 1)
        w.check_silent()
        w.ack(psns[-1])
        expect_done(w, 2, 3, 4, 5)
        w.psn = psn_add(psns[-1], 1)
        finish(w)


def sequence_naks():
    """All from the NAK's PSN on is sent again; requests before it complete."""
    length = 4 * MTU + 5
    with Wire() as w:
        data = memory_at(w, 0, length)
        w.post("SEND", 0, length, wr_id=1)
        psn = expect_message(w, "SEND", data, w.psn)
        for skip in (0, 1, 3, 4):
            at(f"from packet {skip}")
            w.ack(psn_add(w.psn, skip), Syndrome.NAK_PSN_SEQ)
            expect_message(w, "SEND", data, w.psn, skip=skip)
        w.ack(psn)
        expect_done(w, 1)
        w.psn = psn_add(psn, 1)
        at("in the middle of many")
        psns = post_many(w)
        w.ack(psn_add(psns[2], -1), Syndrome.NAK_PSN_SEQ)
        expect_done(w, 0, 1)
        for i in range(2, 6):
            expect_sent_again(w, psns[i], memory_at(w, i, 2 * MTU))
        w.ack(psns[2], Syndrome.NAK_PSN_SEQ)
        for i in range(2, 6):
            expect_sent_again(w, psns[i], memory_at(w, i, 2 * MTU),
                              skip=int(i == 2))
        w.ack(psns[-1])
        expect_done(w, 2, 3, 4, 5)
        w.psn = psn_add(psns[-1], 1)
        finish(w)


def expect_sent_again(w, last, data, skip=0):
    """A message of two packets comes again, whichever asks for an ACK."""
    for i, (op, _, chunk) in enumerate(message("SEND", data, MTU)):
        if i >= skip:
            w.expect(op, psn_add(last, i - 1), chunk)


def not_ready():
    """
    After an RNR NAK the requester waits for the timer at least, then tries again
    with one packet, and with the others once that is acknowledged.
    """
    def expect_probe():
        w.expect(Op.SEND_FIRST, w.psn, data[:MTU], ackreq=1)

    timer, seconds = 24, 0.04096
    length = 2 * MTU + 1
    with Wire(rnr_retry=7) as w:
        data = memory_at(w, 0, length)
        w.post("SEND", 0, length, wr_id=1)
        psn = expect_message(w, "SEND", data, w.psn)
        # 7 is for ever
        for _ in range(10):
            before = time.monotonic()
            w.ack(w.psn, Syndrome.RNR_NAK | timer)
            expect_probe()
            waited = time.monotonic() - before
            assert waited >= seconds, f"waited {waited} s"
            w.check_silent()
        w.ack(w.psn)
        expect_message(w, "SEND", data, w.psn, skip=1)
        w.ack(psn)
        expect_done(w, 1)
        w.psn = psn_add(psn, 1)
        finish(w)
    with Wire(rnr_retry=2) as w:
        w.post("SEND", 0, length, wr_id=1)
        expect_message(w, "SEND", data, w.psn)
        for _ in range(2):
            w.ack(w.psn, Syndrome.RNR_NAK | 1)
            expect_probe()
        w.ack(w.psn, Syndrome.RNR_NAK | 1)
        w.wait_cqe(w.send_cq, e.IBV_WC_RNR_RETRY_EXC_ERR)
        w.check_silent()


def refusals():
    """A NAK's code becomes the completion's; later requests are flushed."""
    for (syndrome, status), kind in itertools.product(
            ((Syndrome.NAK_INV_REQ, e.IBV_WC_REM_INV_REQ_ERR),
             (Syndrome.NAK_REM_ACCESS, e.IBV_WC_REM_ACCESS_ERR),
             (Syndrome.NAK_REM_OP, e.IBV_WC_REM_OP_ERR)),
            ("SEND", "RDMA_WRITE", "RDMA_READ", "ATOMIC_CMP_AND_SWP")):
        at(f"{syndrome.name} of {kind}")
        with Wire() as w:
            w.post("SEND", wr_id=0)
            w.post(kind, wr_id=1)
            w.post("SEND", wr_id=2)
            for i in range(3):
                assert w.receive().psn == psn_add(w.psn, i)
            w.ack(psn_add(w.psn, 1), syndrome)
            assert w.wait_cqe(w.send_cq).wr_id == 0
            assert w.wait_cqe(w.send_cq, status).wr_id == 1
            assert w.wait_cqe(w.send_cq, e.IBV_WC_WR_FLUSH_ERR).wr_id == 2
            assert w.state() == e.IBV_QPS_ERR, w.state()
            w.memory.check()
            w.check_silent()


def read_lost_in_part():
    """
    The read is requested again from the first missing packet on: once, and not for
    each packet that comes behind the gap, or a single loss in a long response would
    use all retries up.
    """
    length = 20 * MTU + 5
    data = pattern(length, 1)
    for missing in (0, 1, 10, 19):
        at(f"packet {missing}")
        with Wire(size=8 * mmap.PAGESIZE) as w:
            w.memory.expected[:length] = data
            w.post("RDMA_READ", 0, length, remote=REMOTE, wr_id=1)
            expect_read(w, w.psn, length)
            respond_read(w, w.psn, data, set(range(21)) - {missing})
            expect_read(w, w.psn, length, skip=missing)
            w.check_silent()
            part = data[missing * MTU:]
            respond_read(w, psn_add(w.psn, missing), part)
            expect_done(w, 1)
            w.memory.check()
            w.psn = psn_add(w.psn, 21)
            finish(w)


def read_lost_at_its_end():
    """The last packets are missing: only the ACK timer notices."""
    length = 4 * MTU
    data = pattern(length, 1)
    for came in (0, 1, 3):
        at(f"{came} packets came")
        with Wire(timeout=RETRY_TIMEOUT) as w:
            w.memory.expected[:length] = data
            w.post("RDMA_READ", 0, length, remote=REMOTE, wr_id=1)
            expect_read(w, w.psn, length)
            respond_read(w, w.psn, data, range(came))
            while True:
                bth = w.expect(Op.RDMA_READ_REQUEST, rkey=REMOTE[1])
                skip = psn_add(bth.psn, -w.psn)
                assert (bth.va, bth.len) == (REMOTE[0] + skip * MTU,
                                             length - skip * MTU), bth.show()
                if skip == came:
                    break
            respond_read(w, psn_add(w.psn, came), data[came * MTU:])
            expect_done(w, 1)
            w.memory.check()


def read_lost_again():
    """
    The repeated request is lost again, which shows in the order of the responses:
    no timer runs. Some that overtake others, or come twice, do not show it.
    """
    length = 8 * MTU
    data = pattern(length, 1)
    for ipv6, skip in itertools.product(FAMILIES, (0, 1)):
        at(f"ipv6 {ipv6}, packet {skip} is lost")
        behind = range(skip + 1, 8)
        disorder = (2, 4, 3, 6, 5, 5, 7)
        with Wire(ipv6=ipv6) as w:
            w.memory.expected[:length] = data
            w.post("RDMA_READ", 0, length, remote=REMOTE, wr_id=1)
            expect_read(w, w.psn, length)
            respond_read(w, w.psn, data, range(skip))
            for i in disorder:
                respond_read(w, w.psn, data, {i})
            for _ in range(4):
                expect_read(w, w.psn, length, skip)
                w.check_silent()
                respond_read(w, w.psn, data, behind)
            expect_read(w, w.psn, length, skip)
            w.check_silent()
            respond_read(w, w.psn, data, range(skip, 8))
            expect_done(w, 1)
            w.memory.check()
            w.psn = psn_add(w.psn, 8)
            finish(w)


def atomic_lost_again():
    """The same for atomics, and for the last request under way."""
    with Wire(rd_atomic=2) as w:
        for i in range(2):
            w.post("ATOMIC_FETCH_AND_ADD", 8 * i, remote=REMOTE, wr_id=i,
                   compare=5)
        for _ in range(4):
            expect_atomic(w, w.psn, Op.FETCH_ADD, 5, 0)
            expect_atomic(w, psn_add(w.psn, 1), Op.FETCH_ADD, 5, 0)
            w.check_silent()
            respond_atomic(w, psn_add(w.psn, 1), 77)
        respond_atomic(w, w.psn, 72)
        respond_atomic(w, psn_add(w.psn, 1), 77)
        expect_done(w, 0, 1)
        w.memory.expected[:16] = struct.pack("2Q", 72, 77)
        w.memory.check()


def acks_of_repeated():
    """
    Each repeated request may get an ACK of its own, for all that was ever sent. Only
    the first one implies a NAK of the read behind it.
    """
    with Wire(retry_cnt=1) as w:
        kinds = ["RDMA_READ"] + 3 * ["SEND"] + ["RDMA_READ", "SEND"]
        psns = [psn_add(w.psn, i) for i in range(len(kinds))]

        def expect_from(first):
            for i in range(first, len(kinds)):
                op = Op.SEND_ONLY if kinds[i] == "SEND" else \
                    Op.RDMA_READ_REQUEST
                w.expect(op, psns[i],
                         memory_at(w, 8 * i, 8) if kinds[i] == "SEND" else b"")

        for i, kind in enumerate(kinds):
            w.post(kind, 8 * i, 8, remote=REMOTE, wr_id=i)
        expect_from(0)
        w.ack(psns[3])
        expect_from(0)
        respond_read(w, psns[0], b"read one")
        w.ack(psns[5])
        expect_from(4)
        for _ in range(4):
            w.ack(psns[5])
        w.check_silent()
        respond_read(w, psns[4], b"read two")
        w.ack(psns[5])
        expect_done(w, *range(len(kinds)))
        w.memory.expected[:8] = b"read one"
        w.memory.expected[32:40] = b"read two"
        w.memory.check()


def answered_behind_a_repetition():
    """An answer to a request first sent behind a repetition: that was lost."""
    with Wire(rd_atomic=3) as w:
        for i in range(2):
            w.post("ATOMIC_FETCH_AND_ADD", 8 * i, remote=REMOTE, compare=5,
                   wr_id=i)
        for i in (0, 1):
            expect_atomic(w, psn_add(w.psn, i), Op.FETCH_ADD, 5, 0)
        respond_atomic(w, psn_add(w.psn, 1), 77)
        for i in (0, 1):
            expect_atomic(w, psn_add(w.psn, i), Op.FETCH_ADD, 5, 0)
        w.post("ATOMIC_FETCH_AND_ADD", 16, remote=REMOTE, compare=5, wr_id=2)
        expect_atomic(w, psn_add(w.psn, 2), Op.FETCH_ADD, 5, 0)
        for i in (1, 2):
            respond_atomic(w, psn_add(w.psn, i), 76 + i)
        for i in range(3):
            expect_atomic(w, psn_add(w.psn, i), Op.FETCH_ADD, 5, 0)
        w.check_silent()
        for i in range(3):
            respond_atomic(w, psn_add(w.psn, i), 76 + i)
        expect_done(w, 0, 1, 2)
        w.memory.expected[:24] = struct.pack("3Q", 76, 77, 78)
        w.memory.check()


def not_ready_twice():
    """
    RNR NAKs of a read and of the request behind it: the second one implies no NAK
    of the read, and costs no retry.
    """
    with Wire(retry_cnt=0) as w:
        w.post("RDMA_READ", 0, 8, remote=REMOTE, wr_id=1)
        w.post("SEND", 8, 8, wr_id=2)
        behind = psn_add(w.psn, 1)
        expect_read(w, w.psn, 8)
        expect_message(w, "SEND", memory_at(w, 8, 8), behind)
        # 492 ms: both have come before the requester tries again
        for psn in (w.psn, behind):
            w.ack(psn, Syndrome.RNR_NAK | 31)
        expect_read(w, w.psn, 8)
        w.check_idle(w.send_cq)
        respond_read(w, w.psn, b"response")
        expect_message(w, "SEND", memory_at(w, 8, 8), behind)
        w.ack(behind)
        expect_done(w, 1, 2)
        w.memory.expected[:8] = b"response"
        w.memory.check()


def last_retry():
    """
    However often responses come while the expected one is missing, the last retry
    is the timer's; without a timer the retries come to their end.
    """
    length = 8 * MTU
    data = pattern(length, 1)
    for timeout in (0, RETRY_TIMEOUT):
        at(f"timeout {timeout}")
        with Wire(timeout=timeout, retry_cnt=3) as w:
            w.post("RDMA_READ", 0, length, remote=REMOTE, wr_id=1)
            expect_read(w, w.psn, length)
            for _ in range(2 if timeout else 3):
                respond_read(w, w.psn, data, range(1, 8))
                expect_read(w, w.psn, length)
            respond_read(w, w.psn, data, range(1, 8))
            if timeout:
                w.check_idle(w.send_cq)
                expect_read(w, w.psn, length)
            w.wait_cqe(w.send_cq, e.IBV_WC_RETRY_EXC_ERR)
            w.check_silent()


def read_overtaken():
    """An ACK of a request behind a read: the read's data is lost."""
    length = 3 * MTU
    data = pattern(length, 1)
    with Wire() as w:
        w.memory.expected[:length] = data
        w.post("RDMA_READ", 0, length, remote=REMOTE, wr_id=1)
        w.post("SEND", mmap.PAGESIZE, 5, wr_id=2)
        behind = psn_add(w.psn, 3)
        expect_read(w, w.psn, length)
        sent = memory_at(w, mmap.PAGESIZE, 5)
        expect_message(w, "SEND", sent, behind)
        w.ack(behind)
        expect_read(w, w.psn, length)
        expect_message(w, "SEND", sent, behind)
        w.check_idle(w.send_cq)
        respond_read(w, w.psn, data)
        expect_done(w, 1)
        w.ack(behind)
        expect_done(w, 2)
        w.memory.check()
        w.psn = psn_add(behind, 1)
        finish(w)


def read_limit():
    """No more outstanding reads and atomics than the peer has resources for."""
    with Wire(rd_atomic=2) as w:
        for i in range(4):
            w.post("RDMA_READ", 8 * i, 8, remote=REMOTE, wr_id=i)
            w.post("ATOMIC_FETCH_AND_ADD", 100 + 8 * i, remote=REMOTE,
                   wr_id=10 + i)
        for i in range(4):
            expect_read(w, psn_add(w.psn, 2 * i), 8)
            expect_atomic(w, psn_add(w.psn, 2 * i + 1), Op.FETCH_ADD, 0, 0)
            w.check_silent()
            respond_read(w, psn_add(w.psn, 2 * i), b"response")
            respond_atomic(w, psn_add(w.psn, 2 * i + 1), i)
            w.memory.expected[8 * i:8 * i + 8] = b"response"
            w.memory.expected[100 + 8 * i:108 + 8 * i] = struct.pack("Q", i)
            expect_done(w, i, 10 + i)
        w.memory.check()


def until_served():
    """Another queue pair is answered: all earlier packets have been sent."""
    with Wire() as other:
        other.check_alive()


def window():
    """A long message stops at the window's end, and goes on as that moves."""
    count = WINDOW + 20
    with Wire(size=count * MTU) as w:
        w.post("SEND", 0, count * MTU, wr_id=1)
        sent = 0
        for acknowledged in (0, 10, 20):
            if acknowledged:
                w.ack(psn_add(w.psn, acknowledged - 1))
            while sent < acknowledged + WINDOW:
                assert w.receive().psn == psn_add(w.psn, sent)
                sent += 1
            until_served()
            w.check_silent()
        w.ack(psn_add(w.psn, count - 1))
        expect_done(w, 1)
        w.psn = psn_add(w.psn, count)
        finish(w)


def fenced():
    """No packet of a request with a fence leaves before the read ahead is answered."""
    with Wire() as w:
        w.post("RDMA_READ", 0, 8, remote=REMOTE, wr_id=1)
        w.post("SEND", 8, 8, wr_id=2, flags=e.IBV_SEND_FENCE)
        expect_read(w, w.psn, 8)
        until_served()
        w.check_silent()
        respond_read(w, w.psn, b"response")
        w.memory.expected[:8] = b"response"
        psn = expect_message(w, "SEND", memory_at(w, 8, 8), psn_add(w.psn, 1))
        w.ack(psn)
        expect_done(w, 1, 2)
        w.memory.check()
        w.psn = psn_add(psn, 1)
        finish(w)


def repeated_responses():
    """Duplicate responses are ignored."""
    length = 3 * MTU
    with Wire() as w:
        w.memory.expected[:length] = pattern(length, 1)
        w.post("RDMA_READ", 0, length, remote=REMOTE, wr_id=1)
        expect_read(w, w.psn, length)
        good, bad = pattern(length, 1), pattern(length, 2)
        respond_read(w, w.psn, good, {0})
        respond_read(w, w.psn, bad, {0})
        respond_read(w, w.psn, good, {1, 2})
        respond_read(w, w.psn, bad)
        expect_done(w, 1)
        w.memory.check()
        w.psn = psn_add(w.psn, 3)
        finish(w)


class Bad(NamedTuple):
    """
    A response that no requester may take.

    @kind: of the request; its length is READ_LEN where that is a read
    @good: packets of the response that are right and come first
    @op, @length: of the bad packet that follows
    """
    name: str
    kind: str
    good: int
    op: Op
    length: int = 0


READ_LEN = 3 * MTU + 5
FIRST, MIDDLE, LAST, ONLY = (Op[f"RDMA_READ_RESPONSE_{part}"] for part in
                             ("FIRST", "MIDDLE", "LAST", "ONLY"))
BADS = (
    Bad("first is short", "RDMA_READ", 0, FIRST, MTU - 1),
    Bad("first is empty", "RDMA_READ", 0, FIRST),
    Bad("first is long", "RDMA_READ", 0, FIRST, MTU + 4),
    Bad("first is all", "RDMA_READ", 0, FIRST, READ_LEN),
    Bad("middle is short", "RDMA_READ", 1, MIDDLE, MTU - 1),
    Bad("middle is long", "RDMA_READ", 2, MIDDLE, MTU + 1),
    Bad("last is short", "RDMA_READ", 3, LAST, 4),
    Bad("last is empty", "RDMA_READ", 3, LAST),
    Bad("last is long", "RDMA_READ", 3, LAST, 6),
    Bad("last is full", "RDMA_READ", 3, LAST, MTU),
    Bad("only for first", "RDMA_READ", 0, ONLY, MTU),
    Bad("last for first", "RDMA_READ", 0, LAST, MTU),
    Bad("last for middle", "RDMA_READ", 1, LAST, MTU),
    Bad("last for middle, with the last's length", "RDMA_READ", 1, LAST, 5),
    Bad("only for middle", "RDMA_READ", 2, ONLY, MTU),
    Bad("middle for last", "RDMA_READ", 3, MIDDLE, 5),
    Bad("first for last", "RDMA_READ", 3, FIRST, 5),
    Bad("atomic result for a read", "RDMA_READ", 0, Op.ATOMIC_ACKNOWLEDGE),
    Bad("atomic result in a read", "RDMA_READ", 1, Op.ATOMIC_ACKNOWLEDGE),
    Bad("read response for an atomic", "ATOMIC_FETCH_AND_ADD", 0, ONLY, 8),
    Bad("read response for a send", "SEND", 0, ONLY, 8),
    Bad("read response for a write", "RDMA_WRITE", 0, ONLY, 8),
    Bad("empty read response for a send", "SEND", 0, ONLY),
    Bad("atomic result for a send", "SEND", 0, Op.ATOMIC_ACKNOWLEDGE),
)


def try_bad(bad):
    data = pattern(READ_LEN, 1)
    length = READ_LEN if bad.kind == "RDMA_READ" else 8
    with Wire() as w:
        w.post(bad.kind, 0, length, remote=REMOTE, wr_id=1)
        assert w.receive().psn == w.psn
        respond_read(w, w.psn, data, range(bad.good))
        w.memory.expected[:bad.good * MTU] = data[:bad.good * MTU]
        psn = psn_add(w.psn, bad.good)
        if bad.op == Op.ATOMIC_ACKNOWLEDGE:
            respond_atomic(w, psn, 0x1234)
        else:
            w.respond(bad.op, psn, b"b" * bad.length)
        assert w.wait_cqe(w.send_cq, e.IBV_WC_BAD_RESP_ERR).wr_id == 1
        w.memory.check()
        assert w.state() == e.IBV_QPS_ERR, w.state()
        w.check_silent()


def bad_responses():
    """Responses at the expected PSN, of the wrong kind or length: 9.7.6.1."""
    for bad in BADS:
        at(bad.name)
        try_bad(bad)


def silent_peer():
    """A silent peer gets retry_cnt retries, then the request fails."""
    for retry_cnt, kind in itertools.product((0, 1, 3),
                                             ("SEND", "RDMA_READ")):
        at(f"{kind}, {retry_cnt} retries")
        with Wire(timeout=RETRY_TIMEOUT, retry_cnt=retry_cnt) as w:
            w.post(kind, 0, 2 * MTU, remote=REMOTE, wr_id=1)
            w.post("SEND", wr_id=2)
            w.wait_cqe(w.send_cq, e.IBV_WC_RETRY_EXC_ERR)
            w.wait_cqe(w.send_cq, e.IBV_WC_WR_FLUSH_ERR)
            if kind == "SEND":
                expect_message(w, kind, memory_at(w, 0, 2 * MTU), w.psn)
            else:
                expect_read(w, w.psn, 2 * MTU)
            w.expect(Op.SEND_ONLY, psn_add(w.psn, 2), memory_at(w, 0, 8))
            for _ in range(retry_cnt):
                if kind == "SEND":
                    w.expect(Op.SEND_FIRST, w.psn, memory_at(w, 0, MTU),
                             ackreq=1)
                else:
                    expect_read(w, w.psn, 2 * MTU)
            w.check_silent()


def late_peer():
    """
    After an ACK timeout one packet is sent again, and the others once it is
    answered. An RNR NAK is an answer, too: it costs no other retry.
    """
    length = 3 * MTU
    with Wire(timeout=RETRY_TIMEOUT, retry_cnt=1) as w:
        w.post("SEND", 0, length, wr_id=1)
        last = expect_message(w, "SEND", memory_at(w, 0, length), w.psn)
        for _ in range(3):
            w.expect(Op.SEND_FIRST, w.psn, memory_at(w, 0, MTU), ackreq=1)
            w.check_silent()
            w.ack(w.psn, Syndrome.RNR_NAK | 1)
            w.expect(Op.SEND_FIRST, w.psn, memory_at(w, 0, MTU), ackreq=1)
        w.ack(w.psn)
        expect_message(w, "SEND", memory_at(w, 0, length), w.psn, skip=1)
        w.ack(last)
        expect_done(w, 1)
        w.psn = psn_add(last, 1)
        finish(w)


def retries():
    """A sequence error costs a retry, progress gives all of them back."""
    with Wire(retry_cnt=1) as w:
        psns = post_many(w)
        for i in range(5):
            w.ack(psn_add(psns[i], -1), Syndrome.NAK_PSN_SEQ)
            while w.receive().psn != psns[-1]:
                pass
            w.ack(psns[i])
        expect_done(w, 0, 1, 2, 3, 4)
        w.ack(psns[-1], Syndrome.NAK_PSN_SEQ)
        w.expect(Op.SEND_LAST, psns[-1], memory_at(w, 5 + MTU, MTU))
        w.ack(psns[-1], Syndrome.NAK_PSN_SEQ)
        assert w.wait_cqe(w.send_cq, e.IBV_WC_RETRY_EXC_ERR).wr_id == 5
        w.check_silent()


def send_fault():
    """Data to be sent is faulted in; no later request overtakes it."""
    with Wire(odp=True) as w:
        fault = Fault(w.memory.addr, mmap.PAGESIZE)
        data = pattern(mmap.PAGESIZE, 1)
        w.memory.put(mmap.PAGESIZE, b"second")
        w.post("SEND", 0, 2 * MTU, wr_id=1)
        w.post("SEND", mmap.PAGESIZE, 6, wr_id=2)
        assert fault.wait() == w.memory.addr
        w.check_silent()
        fault.fill(w.memory.addr, data)
        w.expect(Op.SEND_FIRST, w.psn, data[:MTU])
        w.expect(Op.SEND_LAST, psn_add(w.psn, 1), data[MTU:2 * MTU])
        w.expect(Op.SEND_ONLY, psn_add(w.psn, 2), b"second")
        w.ack(psn_add(w.psn, 2))
        expect_done(w, 1, 2)


def acknowledged_while_it_faults():
    """
    A message is sent again, and its page is gone: a late acknowledgment of the
    first transmission comes, and later requests need not wait for the page.
    """
    page = mmap.PAGESIZE
    with Wire(odp=True) as w:
        w.memory.put(0, b"first msg")
        w.memory.put(page, b"second")
        w.post("SEND", 0, 8, wr_id=1)
        first = expect_message(w, "SEND", b"first ms", w.psn)
        w.memory.drop(0, page)
        fault = Fault(w.memory.addr, page)
        w.ack(first, Syndrome.NAK_PSN_SEQ)
        assert fault.wait() == w.memory.addr
        w.post("SEND", page, 6, wr_id=2)
        w.check_silent()
        w.ack(first)
        expect_done(w, 1)
        second = expect_message(w, "SEND", b"second", psn_add(first, 1))
        w.ack(second)
        expect_done(w, 2)
        # the page comes, and no direction waits for it
        fault.fill(w.memory.addr, b"late")
        w.psn = psn_add(second, 1)
        w.post("SEND", 0, 4, wr_id=3)
        third = expect_message(w, "SEND", b"late", w.psn)
        w.ack(third)
        expect_done(w, 3)
        w.check_silent()


def first_and_fault(w):
    """
    A message is sent, and the page of a second one is missing. Returns the first
    one's PSN and the fault.
    """
    page = mmap.PAGESIZE
    w.memory.put(0, b"first")
    fault = Fault(w.memory.addr + page, page)
    w.post("SEND", 0, 5, wr_id=1)
    first = expect_message(w, "SEND", b"first", w.psn)
    w.post("SEND", page, 6, wr_id=2)
    assert fault.wait() == w.memory.addr + page
    return first, fault


def first_done_then_second(w, first, fault):
    """The first one is acknowledged, and the page comes."""
    w.ack(first)
    expect_done(w, 1)
    fault.fill(w.memory.addr + mmap.PAGESIZE, b"second")
    second = expect_message(w, "SEND", b"second", psn_add(first, 1))
    w.ack(second)
    expect_done(w, 2)


def lost_while_it_faults():
    """A lost message is sent again while the page of a later one is missing."""
    page = mmap.PAGESIZE
    with Wire(odp=True) as w:
        w.memory.put(page, b"page")
        w.memory.drop(page, page)
        first, fault = first_and_fault(w)
        w.check_silent()
        w.ack(first, Syndrome.NAK_PSN_SEQ)
        expect_message(w, "SEND", b"first", w.psn)
        first_done_then_second(w, first, fault)
        w.check_silent()


def unanswered_while_it_faults():
    """A message that nothing answers, likewise, until the retries are used up."""
    for answered in (True, False):
        at(f"answered {answered}")
        with Wire(odp=True, timeout=RETRY_TIMEOUT, retry_cnt=2) as w:
            first, fault = first_and_fault(w)
            for _ in range(2):
                expect_message(w, "SEND", b"first", w.psn)
            if answered:
                first_done_then_second(w, first, fault)
            else:
                w.wait_cqe(w.send_cq, e.IBV_WC_RETRY_EXC_ERR)
                fault.fill(w.memory.addr + mmap.PAGESIZE, b"second")


def repetitions_while_it_faults():
    """
    A peer asks for repetitions again and again while the page of a later message is
    missing: other queue pairs of the program have page faults, too.
    """
    page = mmap.PAGESIZE
    packets = page // MTU
    with Wire(odp=True) as w, Wire(odp=True) as other:
        data = pattern(page, 1)
        w.memory.put(0, data)
        fault = Fault(w.memory.addr + page, page)
        w.post("SEND", 0, page, wr_id=1)
        last = expect_message(w, "SEND", data, w.psn)
        w.post("SEND", page, 6, wr_id=2)
        assert fault.wait() == w.memory.addr + page
        for i in range(packets):
            w.ack(psn_add(w.psn, i), Syndrome.NAK_PSN_SEQ)
            # it is answered behind the NAK
            other.check_alive()
        with Wire(odp=True) as another:
            another.check_alive()
        fault.fill(w.memory.addr + page, b"second")
        while w.receive().psn != psn_add(last, 1):
            pass
        w.ack(psn_add(last, 1))
        expect_done(w, 1, 2)


def response_fault():
    """
    Responses that come while an earlier one waits for memory, in disorder and
    more than once: none is lost, and none is executed twice.
    """
    length = 4 * MTU
    good, bad = pattern(length, 1), pattern(length, 2)
    with Wire(odp=True) as w:
        w.memory.fill(bytes(w.memory.size))
        w.post("RDMA_READ", 0, length, remote=REMOTE, wr_id=1)
        w.post("ATOMIC_FETCH_AND_ADD", length, remote=REMOTE, wr_id=2)
        expect_read(w, w.psn, length)
        atomic = psn_add(w.psn, 4)
        expect_atomic(w, atomic, Op.FETCH_ADD, 0, 0)
        # discarded since the read was requested
        fault = Fault(w.memory.addr, mmap.PAGESIZE)
        w.memory.drop()
        respond_read(w, w.psn, good, {0})
        assert fault.wait() == w.memory.addr
        respond_read(w, w.psn, bad, {0})
        respond_read(w, w.psn, good, {1})
        respond_read(w, w.psn, bad, {1, 0})
        respond_read(w, w.psn, good, {2, 3})
        respond_atomic(w, atomic, 77)
        respond_atomic(w, atomic, 78)
        respond_read(w, w.psn, bad)
        fault.fill(w.memory.addr, b"")
        expect_done(w, 1, 2)
        w.memory.expected[:length] = good
        w.memory.expected[length:length + 8] = struct.pack("Q", 77)
        w.memory.check()
        w.psn = psn_add(atomic, 1)
        finish(w)


def too_many_responses():
    """
    One queue pair holds a bounded amount of responses, and drops the rest. What it has
    dropped it asks for again, though no timer runs.
    """
    with Wire(odp=True, mtu=1024) as w:
        length = 2 * w.mtu
        data = pattern(length, 1)
        w.memory.fill(bytes(w.memory.size))
        w.post("RDMA_READ", 0, length, remote=REMOTE, wr_id=1)
        expect_read(w, w.psn, length)
        fault = Fault(w.memory.addr, mmap.PAGESIZE)
        w.memory.drop()
        frame = w.frame(Op.RDMA_READ_RESPONSE_FIRST,
                        AETH(syndrome=int(Syndrome.ACK)), psn=w.psn,
                        payload=data[:w.mtu])
        w.inject(frame)
        assert fault.wait() == w.memory.addr
        # each takes more memory than its length
        for _ in range((8 << 20) // w.mtu):
            w.inject(frame)
        check_waiting(8 << 20)
        fault.fill(w.memory.addr, b"")
        wait_until(lambda: not counter("parked_bytes"), "parked responses stay")
        expect_read(w, w.psn, length, skip=1)
        respond_read(w, w.psn, data, {1})
        expect_done(w, 1)
        w.memory.expected[:length] = data
        w.memory.check()
        w.psn = psn_add(w.psn, 2)
        finish(w)


def nothing_while_it_faults():
    """
    A response that answers nothing that was sent does not wait with those that do
    answer something, not even between two of them.
    """
    length = 4 * MTU
    good = pattern(length, 1)
    with Wire(odp=True) as w:
        w.memory.fill(bytes(w.memory.size))
        w.post("RDMA_READ", 0, length, remote=REMOTE, wr_id=1)
        expect_read(w, w.psn, length)
        fault = Fault(w.memory.addr, mmap.PAGESIZE)
        w.memory.drop()
        respond_read(w, w.psn, good, {0})
        assert fault.wait() == w.memory.addr
        wait_until(lambda: counter("parked_bytes"), "nothing waits")
        waiting = counter("parked_bytes")
        unexpected = counter("unexpected_response")
        aheads = (-1, 4, 1000, 1 << 22)
        for ahead in aheads:
            w.respond(Op.RDMA_READ_RESPONSE_MIDDLE, psn_add(w.psn, ahead),
                      bytes(MTU))
        check_still_waiting(waiting)
        assert counter("unexpected_response") == unexpected + len(aheads)
        w.inject_together(counted_up([
            w.frame(Op.RDMA_READ_RESPONSE_MIDDLE, psn=psn_add(w.psn, i),
                    payload=good[i * MTU:][:MTU] or bytes(MTU))
            for i in (1, 4, 2)]))
        respond_read(w, w.psn, good, {3})
        fault.fill(w.memory.addr, b"")
        expect_done(w, 1)
        w.memory.expected[:length] = good
        w.memory.check()
        w.psn = psn_add(w.psn, 4)
        finish(w)


TESTS = {
    "sends and writes": messages,
    "packets sent with and without GSO": together,
    "the ICRC as scapy computes it": icrc_of_scapy,
    "reads": reads,
    "atomics": atomics,
    "the result of an atomic is lost": atomic_lost,
    "acknowledgments": acks,
    "reserved syndromes and stale NAKs": strange_acks,
    "NAKs of sequence errors": sequence_naks,
    "RNR NAKs": not_ready,
    "NAKs of fatal errors": refusals,
    "a read's response is lost in part": read_lost_in_part,
    "the end of a read's response is lost": read_lost_at_its_end,
    "a read's response is lost again": read_lost_again,
    "an atomic's result is lost again": atomic_lost_again,
    "acknowledgments of repeated requests": acks_of_repeated,
    "an answer to a request first sent behind a repetition":
        answered_behind_a_repetition,
    "RNR NAKs of a read and of the request behind it": not_ready_twice,
    "responses while the expected one stays missing": last_retry,
    "a read's response is overtaken": read_overtaken,
    "the credit of reads and atomics": read_limit,
    "the window of unacknowledged packets": window,
    "a fence behind a read": fenced,
    "duplicate responses": repeated_responses,
    "bad responses": bad_responses,
    "a silent peer": silent_peer,
    "a late peer": late_peer,
    "progress restores the retries": retries,
    "data to be sent is faulted in": send_fault,
    "a late acknowledgment of a message that is faulted in":
        acknowledged_while_it_faults,
    "a loss while a later message is faulted in": lost_while_it_faults,
    "no answer while a later message is faulted in": unanswered_while_it_faults,
    "repetitions while a later message is faulted in": repetitions_while_it_faults,
    "memory is gone when the response comes": response_fault,
    "too many responses to memory that is gone": too_many_responses,
    "responses to nothing while memory is faulted in": nothing_while_it_faults,
}

if __name__ == "__main__":
    roce_wire.run_tests(TESTS)
