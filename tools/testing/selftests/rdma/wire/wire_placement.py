#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
The responder of a reliable connection executes flushes, atomic writes and
invalidations: IBTA volume 1, annex A19 and 9.4.1.1. The requests come from a
peer that is played by hand.
"""

import itertools
import mmap

import roce_wire
from ktap_test import Skip, at
from pyverbs.pyverbs_error import PyverbsRDMAError
from roce_packet import FlushETH, IETH, Op, Syndrome, psn_add
from roce_wire import ALL_RIGHTS, Wire, e, pattern

# not yet in the pyverbs of Debian 12
FLUSH_GLOBAL = 1 << 8
GLOBAL, PERSISTENT = 1, 2
RANGE, REGION = 0, 1
SIZE = 4 * mmap.PAGESIZE
WITH_FLUSH = {"rights": ALL_RIGHTS | FLUSH_GLOBAL,
              "qp_rights": ALL_RIGHTS | FLUSH_GLOBAL}


def expect_done(w, psn):
    """Expect the request's answer: the response to a read of no bytes."""
    bth = w.expect(Op.RDMA_READ_RESPONSE_ONLY, psn, msn=w.msn)
    assert bth.syndrome >> 5 == 0, hex(bth.syndrome)


def write(w, offset, data, **where):
    return w.request(Op.ATOMIC_WRITE, w.reth(offset, 8), payload=data, **where)


def atomic_writes():
    """Eight bytes are written, without a change of byte order."""
    for ipv6, odp in itertools.product((False, True), repeat=2):
        with Wire(ipv6=ipv6, odp=odp) as w:
            w.memory.fill(pattern(SIZE, 0))
            for i, offset in enumerate((0, 8, mmap.PAGESIZE - 8, SIZE - 8)):
                at(f"ipv6 {ipv6}, ODP {odp}, offset {offset}")
                data = pattern(8, i + 1)
                psn = write(w, offset, data)
                w.memory.expected[offset:offset + 8] = data
                w.msn += 1
                expect_done(w, psn)
                w.memory.check()
            w.check_alive()


def repeated_atomic_writes():
    """Duplicates are answered again, up to the outstanding maximum, not executed."""
    with Wire(rd_atomic=4) as w:
        first = w.psn
        for i in range(6):
            write(w, 0, pattern(8, i))
            w.msn += 1
            expect_done(w, psn_add(first, i))
        w.memory.expected[:8] = pattern(8, 5)
        for i in (2, 5, 3, 2):
            at(f"atomic write {i}")
            write(w, 0, pattern(8, i), psn=psn_add(first, i))
            expect_done(w, psn_add(first, i))
            w.memory.check()
        at("one that is forgotten")
        write(w, 0, pattern(8, 1), psn=psn_add(first, 1))
        w.check_alive()
        w.memory.check()


def refused(syndrome, op, headers, payload=b"", **args):
    with Wire(**args) as w:
        w.post_recv(0, 64, 1)
        psn = w.request(op, *headers(w), payload=payload, ack=True)
        w.expect_nak(syndrome, psn)
        w.memory.check()
        assert w.state() == e.IBV_QPS_ERR, w.state()
        w.wait_cqe(w.recv_cq, e.IBV_WC_WR_FLUSH_ERR)


def wrong_atomic_writes():
    """Refused by the right NAK."""
    no_right = ALL_RIGHTS & ~e.IBV_ACCESS_REMOTE_WRITE
    for name, syndrome, reth, length, args in (
            ("not aligned", Syndrome.NAK_INV_REQ, (4, 8), 8, {}),
            ("four bytes", Syndrome.NAK_INV_REQ, (0, 4), 4, {}),
            ("sixteen bytes", Syndrome.NAK_INV_REQ, (0, 16), 16, {}),
            ("more than its RETH", Syndrome.NAK_INV_REQ, (0, 8), 12, {}),
            ("less than its RETH", Syndrome.NAK_INV_REQ, (0, 16), 8, {}),
            ("nothing", Syndrome.NAK_INV_REQ, (0, 8), 0, {}),
            ("not enabled", Syndrome.NAK_INV_REQ, (0, 8), 8,
             {"qp_rights": no_right}),
            ("none at a time", Syndrome.NAK_INV_REQ, (0, 8), 8,
             {"rd_atomic": 0}),
            ("beyond", Syndrome.NAK_REM_ACCESS, (SIZE, 8), 8, {}),
            ("before", Syndrome.NAK_REM_ACCESS, (-8, 8), 8, {}),
            ("no right", Syndrome.NAK_REM_ACCESS, (0, 8), 8,
             {"rights": no_right})):
        at(name)
        refused(syndrome, Op.ATOMIC_WRITE, lambda w, reth=reth: (w.reth(*reth),),
                bytes(length), **args)


def flush(w, offset, length, *, kind=GLOBAL, level=RANGE, psn=None):
    return w.request(Op.FLUSH, FlushETH(level=level, kind=kind),
                     w.reth(offset, length), psn=psn)


def can_flush():
    try:
        Wire(**WITH_FLUSH).__exit__()
    except PyverbsRDMAError:
        # the kernel's core refuses the access flag: before 6.3
        return False
    return True


def flushes():
    """Flushes of a range and of all; duplicates; in order with other requests."""
    if not can_flush():
        raise Skip("this kernel has no access flag for flushes")
    for odp in (False, True):
        with Wire(odp=odp, **WITH_FLUSH) as w:
            w.memory.fill(pattern(SIZE, 0))
            for offset, length, level in (
                    (0, SIZE, RANGE), (5, 7, RANGE), (SIZE - 1, 1, RANGE),
                    (8, 0, RANGE), (0, 0, REGION), (-100, 1 << 30, REGION)):
                at(f"ODP {odp}, {length} bytes at {offset}, level {level}")
                w.request(Op.RDMA_WRITE_ONLY, w.reth(0, 5), payload=b"write")
                w.memory.expected[:5] = b"write"
                psn = flush(w, offset, length, level=level)
                w.msn += 2
                expect_done(w, psn)
                w.memory.check()
                flush(w, offset, length, level=level, psn=psn)
                expect_done(w, psn)
            w.check_alive()


def wrong_flushes():
    """Wrong flushes are refused by the right NAK; without the right, all are."""
    cases = [("not enabled", Syndrome.NAK_INV_REQ, {}, {})]
    if can_flush():
        cases = [
            ("of no kind", Syndrome.NAK_INV_REQ, {"kind": 0}, WITH_FLUSH),
            ("of no level", Syndrome.NAK_INV_REQ, {"level": 3}, WITH_FLUSH),
            ("persistent", Syndrome.NAK_REM_ACCESS, {"kind": PERSISTENT},
             WITH_FLUSH),
            ("both", Syndrome.NAK_REM_ACCESS, {"kind": GLOBAL | PERSISTENT},
             WITH_FLUSH),
            ("no right", Syndrome.NAK_REM_ACCESS, {},
             {"qp_rights": ALL_RIGHTS | FLUSH_GLOBAL}),
            ("not enabled", Syndrome.NAK_INV_REQ, {},
             {"rights": ALL_RIGHTS | FLUSH_GLOBAL}),
        ]
        at("beyond")
        refused(Syndrome.NAK_REM_ACCESS, Op.FLUSH, lambda w: (
            FlushETH(kind=GLOBAL), w.reth(1, SIZE)), **WITH_FLUSH)
        at("no such key")
        refused(Syndrome.NAK_REM_ACCESS, Op.FLUSH, lambda w: (
            FlushETH(kind=GLOBAL, level=REGION), w.reth(0, 1, rkey=0x12345678)),
                **WITH_FLUSH)
    for name, syndrome, fields, args in cases:
        at(name)
        refused(syndrome, Op.FLUSH, lambda w, fields=fields: (
            FlushETH(**{"kind": GLOBAL, **fields}), w.reth(0, 8)), **args)


def invalidations():
    """A send that invalidates another key than a window of this QP's is refused."""
    for name, key in (("nothing", lambda w: 0x12345678),
                      ("a region", lambda w: w.memory.mr.rkey)):
        at(name)
        refused(Syndrome.NAK_REM_ACCESS, Op.SEND_ONLY_WITH_INVALIDATE,
                lambda w, key=key: (IETH(rkey=key(w)),))


TESTS = {
    "atomic writes": atomic_writes,
    "repeated atomic writes": repeated_atomic_writes,
    "wrong atomic writes": wrong_atomic_writes,
    "flushes": flushes,
    "wrong flushes": wrong_flushes,
    "wrong invalidations": invalidations,
}

if __name__ == "__main__":
    roce_wire.run_tests(TESTS)
