#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
Packets that no peer sends: cut, forged, damaged, or random. They change no
memory, and the next request is executed.

WIRE_SEED of the environment repeats the random packets of a run.
"""

import itertools
import os
import random
import struct

import roce_wire
from ktap_test import at, ksft
from roce_packet import AETH, ETH_LEN, HEADERS, AtomicAckETH, ImmDt, Op, \
    Syndrome, bth_at, checksum, counted_up, fix_ip, icrc, message, psn_add, \
    put, seal, set_lengths, udp_at
from roce_wire import IP, ROCE_PORT, SOURCE_PORT, UDP, Ether, IPv6, Raw, Wire, \
    counter, e, pattern, wait_until

FAMILIES = (False, True)
ACK = AETH(syndrome=int(Syndrome.ACK))
SEED = int(os.environ.get("WIRE_SEED") or random.randrange(1 << 32))


def write_frame(w, data=b"garbage!", **args):
    """A write that would be executed, and show in memory."""
    return w.frame(Op.RDMA_WRITE_ONLY, w.reth(0, len(data)), psn=w.psn,
                   payload=data, ack=True, **args)


def check_dropped(w, *frames):
    w.inject(*frames)
    w.check_alive()
    w.memory.check()


def bytes_at(where, data):
    """An edit of a frame, which is then sealed; @where is from the BTH on."""
    return lambda w, frame: [seal(put(frame, bth_at(frame) + where, data))]


def edit_ip(where, data):
    return lambda w, frame: [seal(put(frame, ETH_LEN + where, data))]


def edit_udp(where, data):
    return lambda w, frame: [seal(put(frame, udp_at(frame) + where, data))]


def other_qpn(w, frame):
    qpn = w.qp.qp_num
    return [seal(put(frame, bth_at(frame) + 5, n.to_bytes(3, "big")))
            for n in (qpn ^ 1, qpn ^ 0x800000, 0, 1, 0xffffff)]


def damaged_icrc(w, frame):
    return [frame[:-i] + bytes([frame[-i] ^ bit]) + frame[len(frame) - i + 1:]
            for i in range(1, 5) for bit in (1, 0x80)]


def no_icrc(w, frame):
    return [set_lengths(frame[:-4]), frame[:-4] + bytes(4),
            frame[:-4] + b"\xff" * 4, frame[:-4] + frame[:-5:-1]]


def cut_beside_headers(w, frame):
    return [frame[:n] for n in range(ETH_LEN, len(frame))]


def cut(w, frame):
    return [set_lengths(frame[:n]) for n in range(udp_at(frame) + 8,
                                                  len(frame))]


def udp_lengths(w, frame):
    right = len(frame) - udp_at(frame)
    return [put(frame, udp_at(frame) + 4, struct.pack("!H", length))
            for length in (*range(right), right + 1, right + 4, 0xffff)]


def udp_lengths_sealed(w, frame):
    """All cut lengths but the few that make a whole, shorter write."""
    headers = 8 + 12 + 16 + 4
    return [seal(put(frame, udp_at(frame) + 4, struct.pack("!H", length)))
            for length in (*range(headers), len(frame), 0xffff)]


def ip_lengths(w, frame):
    where = ETH_LEN + (4 if w.ipv6 else 2)
    right = len(frame) - ETH_LEN - (40 if w.ipv6 else 0)
    return [seal(put(frame, where, struct.pack("!H", length)))
            for length in (*range(0, right), right + 1, 0xffff)]


def other_family(w, frame):
    """To the right queue pair, over the other address family."""
    with Wire(ipv6=not w.ipv6) as other:
        frame = other.frame(Op.RDMA_WRITE_ONLY, w.reth(0, 8), psn=w.psn,
                            payload=b"garbage!", ack=True, dqpn=w.qp.qp_num)
    return [frame]


def with_options(w, frame):
    """IPv4 options, the ICRC with and without them."""
    at_udp = udp_at(frame)
    frames = []
    for options in (b"\x01\x01\x01\x00", b"\x01" * 40,
                    b"\x94\x04\x00\x00"):
        head = bytearray(frame[ETH_LEN:at_udp] + options)
        head[0] = 0x40 | len(head) // 4
        head[2:4] = struct.pack("!H", len(frame) - ETH_LEN + len(options))
        head[10:12] = bytes(2)
        head[10:12] = struct.pack("!H", checksum(bytes(head)))
        with_it = bytes(head) + frame[at_udp:-4]
        without = bytes(head[:20]) + frame[at_udp:-4]
        frames += [frame[:ETH_LEN] + with_it + icrc(with_it),
                   frame[:ETH_LEN] + with_it + icrc(without)]
    return frames


def with_extensions(w, frame):
    """IPv6 extension headers, the ICRC with and without them."""
    at_udp = udp_at(frame)
    frames = []
    for kind, body in ((0, b"\x01\x04\0\0\0\0"), (60, b"\x01\x04\0\0\0\0"),
                       (43, b"\x04\x00\0\0\0\0")):
        extension = bytes([17, 0]) + body
        head = bytearray(frame[ETH_LEN:at_udp])
        head[4:6] = struct.pack("!H", len(frame) - at_udp + len(extension))
        head[6] = kind
        whole = bytes(head) + extension + frame[at_udp:-4]
        without = bytes(head) + frame[at_udp:-4]
        frames += [frame[:ETH_LEN] + whole + icrc(whole),
                   frame[:ETH_LEN] + whole + icrc(without)]
    return frames


class Bad:
    """
    Frames that must be dropped: edits of one that would be executed.

    @families: of IP, that the edit is for
    """

    def __init__(self, name, edit, families=FAMILIES):
        self.name = name
        self.edit = edit
        self.families = families


IPV4 = (False,)
IPV6 = (True,)
BADS = (
    *(Bad(f"transport version {n}", bytes_at(1, bytes([0x40 | n])))
      for n in (1, 2, 4, 8, 15)),
    *(Bad(f"partition {key:#x}", bytes_at(2, struct.pack("!H", key)))
      for key in (0, 0x8000, 0x1234, 0x7ffe, 0xfffe)),
    Bad("other queue pairs", other_qpn),
    Bad("from another address", edit_ip(12, bytes([10, 0, 0, 3])), IPV4),
    Bad("from another address", edit_ip(23, b"\x03"), IPV6),
    Bad("from the host itself", edit_ip(12, bytes([10, 0, 0, 1])), IPV4),
    Bad("to the broadcast address", edit_ip(16, b"\xff" * 4), IPV4),
    Bad("to the subnet's broadcast address", edit_ip(19, b"\xff"), IPV4),
    Bad("to a multicast address", edit_ip(16, bytes([224, 0, 0, 1])), IPV4),
    Bad("to a multicast address",
        edit_ip(24, b"\xff\x02" + bytes(13) + b"\x01"), IPV6),
    Bad("over the other IP", other_family),
    Bad("to another port", edit_udp(2, struct.pack("!H", 4792))),
    Bad("no ICRC", no_icrc),
    Bad("cut, headers as before", cut_beside_headers),
    Bad("cut, headers that agree", cut),
    Bad("wrong UDP length", udp_lengths),
    Bad("wrong UDP length, sealed", udp_lengths_sealed),
    Bad("wrong IP length, sealed", ip_lengths),
    Bad("IP options", with_options, IPV4),
    Bad("IP extension headers", with_extensions, IPV6),
    *(Bad(f"IP header of {n} words", edit_ip(0, bytes([0x40 | n])), IPV4)
      for n in (0, 4, 6, 15)),
    Bad("IP version 6", edit_ip(0, b"\x65"), IPV4),
    Bad("IP version 4", edit_ip(0, b"\x45"), IPV6),
)


def forgeries():
    """Packets of other connections, or malformed ones, are dropped."""
    for ipv6 in FAMILIES:
        with Wire(ipv6=ipv6) as w:
            for bad in BADS:
                if ipv6 not in bad.families:
                    continue
                frames = len(bad.edit(w, write_frame(w)))
                for i in range(frames):
                    at(f"ipv6 {ipv6}, {bad.name}, frame {i}")
                    # made anew: it has to have the expected PSN
                    check_dropped(w, bad.edit(w, write_frame(w))[i])


def bad_icrc():
    """A packet with a wrong ICRC is dropped and counted."""
    for ipv6 in FAMILIES:
        with Wire(ipv6=ipv6) as w:
            frames = damaged_icrc(w, write_frame(w))
            before = counter("rcvd_icrc_err")
            w.inject(*frames)
            wait_until(lambda: counter("rcvd_icrc_err") ==
                       before + len(frames), "the counter does not count")
            w.memory.check()
            w.check_alive()


def bad_icrc_among_others():
    """Packets ahead of it are executed, the rest once they are retransmitted."""
    count = 42
    for ipv6, bad in itertools.product(FAMILIES, (None, 0, 1, 21, count - 3)):
        at(f"ipv6 {ipv6}, bad {bad}")
        with Wire(ipv6=ipv6) as w:
            data = pattern(count * w.mtu, 1)
            first, *middle, last = [
                w.frame(op, *headers, payload=chunk, psn=psn_add(w.psn, i),
                        ack=i == count - 1)
                for i, (op, headers, chunk) in enumerate(
                    message("RDMA_WRITE", data, w.mtu,
                            (w.memory.addr, w.memory.mr.rkey)))]
            together = counted_up(middle)
            if bad is not None:
                frame = together[bad]
                where = bth_at(frame) + 12 + w.mtu // 2
                together[bad] = put(frame, where, bytes([frame[where] ^ 1]))
            before = counter("rcvd_icrc_err")
            w.inject(first)
            w.inject_together(together)
            w.inject(last)
            if bad is not None:
                taken = (1 + bad) * w.mtu
                w.memory.expected[:taken] = data[:taken]
                w.expect_nak(Syndrome.NAK_PSN_SEQ, psn_add(w.psn, 1 + bad))
                w.memory.check()
                w.inject(*middle[bad:], last)
            w.psn = psn_add(w.psn, count - 1)
            w.msn += 1
            w.expect_ack(w.psn)
            w.psn = psn_add(w.psn, 1)
            w.memory.expected[:len(data)] = data
            w.memory.check()
            w.check_alive()
            wait_until(lambda: counter("rcvd_icrc_err") ==
                       before + (bad is not None), "the counter is wrong")


def masked_by_icrc(frame, where):
    """Whether routers may change a byte (A17.3.3), or UDP or IP checks it."""
    udp = udp_at(frame)
    ip = {1, 8, 10, 11} if udp == ETH_LEN + 20 else {0, 1, 2, 3, 7}
    return where - ETH_LEN in ip or where in (udp + 6, udp + 7, udp + 12)


def flipped_bits():
    """Flip each bit of a packet, one at a time."""
    for ipv6 in FAMILIES:
        with Wire(ipv6=ipv6) as w:
            length = len(write_frame(w))
            for where, bit in itertools.product(range(ETH_LEN, length),
                                                range(8)):
                frame = write_frame(w)
                if masked_by_icrc(frame, where):
                    continue
                at(f"ipv6 {ipv6}, bit {bit} of byte {where}")
                bad = put(frame, where, bytes([frame[where] ^ 1 << bit]))
                # the IP checksum is right again, the ICRC is not
                check_dropped(w, fix_ip(bad))


def tolerated():
    """Good packets may differ in these fields: they are executed."""
    def bth(**fields):
        return lambda w: write_frame(w, **fields)

    def edited(edit):
        return lambda w: edit(w, write_frame(w))[0]

    def udp_checksum(w):
        frame = write_frame(w)
        ip = IPv6 if w.ipv6 else IP
        udp = UDP(sport=SOURCE_PORT, dport=ROCE_PORT) / Raw(frame[bth_at(frame):])
        return bytes(Ether(frame[:ETH_LEN]) /
                     ip(frame[ETH_LEN:udp_at(frame)]) / udp)

    variants = (
        ("FECN and BECN", bth(fecn=1, becn=1), FAMILIES),
        ("resv8a", bth(resv6=0x3f), FAMILIES),
        ("resv7", bth(resv7=0x7f), FAMILIES),
        ("solicited", bth(solicited=1), FAMILIES),
        ("migration state", bth(migreq=0), FAMILIES),
        ("limited partition member", bth(pkey=0x7fff), FAMILIES),
        ("UDP source port", edited(edit_udp(0, b"\x12\x34")), FAMILIES),
        ("UDP checksum", udp_checksum, FAMILIES),
        ("TOS", edited(edit_ip(1, b"\xb9")), IPV4),
        ("TTL", edited(edit_ip(8, b"\x01")), IPV4),
        ("identification", edited(edit_ip(4, b"\xab\xcd")), IPV4),
        ("no DF", edited(edit_ip(6, b"\0\0")), IPV4),
        ("traffic class and flow label",
         edited(edit_ip(0, b"\x6a\xbc\xde\xf0")), IPV6),
        ("hop limit", edited(edit_ip(7, b"\x01")), IPV6),
        ("bytes behind the packet", lambda w: write_frame(w) + b"trailer",
         FAMILIES),
    )
    for ipv6 in FAMILIES:
        with Wire(ipv6=ipv6) as w:
            for name, frame, families in variants:
                if ipv6 not in families:
                    continue
                at(f"ipv6 {ipv6}, {name}")
                w.memory.fill(pattern(w.memory.size, 1))
                w.inject(frame(w))
                w.memory.expected[:8] = b"garbage!"
                w.msn += 1
                w.expect_ack(w.psn)
                w.psn = psn_add(w.psn, 1)
                w.memory.check()


def header_len(op):
    classes = [header for header, ops in HEADERS.items() if op in ops]
    return 12 + sum(len(header()) for header in classes)


def cut_headers():
    """All opcodes, sealed, with truncated headers."""
    for ipv6 in FAMILIES:
        with Wire(ipv6=ipv6) as w:
            frame = w.frame(Op.SEND_ONLY, psn=0, payload=bytes(100), ack=True)
            for op in Op:
                for n in range(header_len(op) + 4):
                    at(f"ipv6 {ipv6}, {op.name}, {n} bytes")
                    bad = put(frame, bth_at(frame), bytes([op]))
                    bad = put(bad, bth_at(frame) + 9, w.psn.to_bytes(3, "big"))
                    bad = set_lengths(bad[:bth_at(frame) + n])
                    check_dropped(w, seal(bad))
                at(f"ipv6 {ipv6}, {op.name}, padding without payload")
                for pad, length in ((3, 0), (3, 2), (1, 0)):
                    bad = put(frame, bth_at(frame),
                              bytes([op, 0x40 | pad << 4]))
                    bad = put(bad, bth_at(frame) + 9, w.psn.to_bytes(3, "big"))
                    bad = bad[:bth_at(frame) + header_len(op) + length + 4]
                    check_dropped(w, seal(set_lengths(bad)))


DATAGRAMS = itertools.count(1)


def fragments_of(w, sizes):
    """
    A request as IP fragments with payloads of these sizes, multiples of 8, and
    the rest. The ICRC is of the whole, as if a router had cut it.
    """
    datagram = next(DATAGRAMS)
    frame = write_frame(w)
    if not w.ipv6:
        frame = seal(put(frame, ETH_LEN + 4, struct.pack("!HH", datagram, 0)))
    start = udp_at(frame)
    payload = frame[start:]
    offsets = [0, *itertools.accumulate(sizes), len(payload)]
    for offset, end in itertools.pairwise(offsets):
        more = end < len(payload)
        head, part = frame[:start], payload[offset:end]
        if w.ipv6:
            head = put(head, ETH_LEN + 6, b"\x2c") + \
                struct.pack("!BBHI", 17, 0, offset | more, datagram)
            head = put(head, ETH_LEN + 4, struct.pack("!H", 8 + len(part)))
        else:
            head = put(head, ETH_LEN + 2, struct.pack("!H", 20 + len(part)))
            head = fix_ip(put(head, ETH_LEN + 6, struct.pack(
                "!H", more << 13 | offset // 8)))
        yield head + part


def fragments():
    """
    IP fragments. Some of a packet are dropped; all of them are the packet, or are
    dropped.
    """
    for ipv6 in FAMILIES:
        with Wire(ipv6=ipv6) as w:
            for sizes in ((8,), (16,), (24,), (32,), (8, 16), (8, 8, 8, 8)):
                for i in range(len(sizes) + 1):
                    at(f"ipv6 {ipv6}, fragments {sizes} without {i}")
                    parts = list(fragments_of(w, sizes))
                    check_dropped(w, *(parts[:i] + parts[i + 1:]))
            at(f"ipv6 {ipv6}, all fragments")
            w.inject(*fragments_of(w, (16, 16)))
            if w.memory.get(0, 8) == b"garbage!":
                w.memory.expected[:8] = b"garbage!"
                w.msn += 1
                w.expect_ack(w.psn)
                w.psn = psn_add(w.psn, 1)
            w.check_alive()
            w.memory.check()


def big_payloads():
    """Payloads of the maximum length, and above."""
    roce_wire.HOSTS.set_mtu(9000)
    try:
        for ipv6 in FAMILIES:
            with Wire(ipv6=ipv6, mtu=4096, size=4 << 12) as w:
                for length in (4097, 4100, 8192, 8900):
                    at(f"ipv6 {ipv6}, {length} bytes")
                    for op in (Op.RDMA_WRITE_ONLY, Op.RDMA_WRITE_FIRST):
                        check_dropped(w, w.frame(
                            op, w.reth(0, length), psn=w.psn,
                            payload=bytes(length), ack=True))
                    check_dropped(w, w.frame(Op.SEND_ONLY, psn=w.psn,
                                             payload=bytes(length), ack=True))
                data = pattern(4096, 1)
                w.inject(write_frame(w, data))
                w.memory.expected[:4096] = data
                w.msn += 1
                w.expect_ack(w.psn)
                w.psn = psn_add(w.psn, 1)
                w.memory.check()
                w.check_alive()
    finally:
        roce_wire.HOSTS.set_mtu(1500)


class Fuzz:
    """Random damage to frames."""

    def __init__(self, salt):
        ksft.print_msg(f"WIRE_SEED={SEED}")
        self.rng = random.Random(SEED + salt)

    def damage(self, frame, start):
        """Change a frame from some byte on, by some steps."""
        frame = bytearray(frame)
        for _ in range(self.rng.choice((1, 1, 2, 3, 8))):
            self.rng.choice((self._flip, self._byte, self._number, self._cut,
                             self._insert, self._repeat))(frame, start)
        return bytes(frame[:1400])

    def _where(self, frame, start):
        return self.rng.randrange(start, max(len(frame), start + 1))

    def _flip(self, frame, start):
        where = self._where(frame, start)
        frame[where:where + 1] = bytes(
            b ^ 1 << self.rng.randrange(8) for b in frame[where:where + 1])

    def _byte(self, frame, start):
        where = self._where(frame, start)
        frame[where:where + 1] = self.rng.randbytes(1)

    def _number(self, frame, start):
        size = self.rng.choice((1, 2, 3, 4, 8))
        number = self.rng.choice((0, 1, (1 << 8 * size) - 1,
                                  1 << 8 * size - 1))
        where = self._where(frame, start)
        frame[where:where + size] = number.to_bytes(size, "big")

    def _cut(self, frame, start):
        where = self._where(frame, start)
        del frame[where:where + self.rng.choice((1, 2, 4, 8, 2000))]

    def _insert(self, frame, start):
        where = self._where(frame, start)
        frame[where:where] = self.rng.randbytes(self.rng.choice((1, 4, 300)))

    def _repeat(self, frame, start):
        where = self._where(frame, start)
        frame[where:where] = frame[where:where + self.rng.randrange(64)]


# requests and responses of all kinds, with the expected PSN
VALID = (
    write_frame,
    lambda w: w.frame(Op.RDMA_WRITE_FIRST, w.reth(0, 3 * w.mtu), psn=w.psn,
                      payload=bytes(w.mtu)),
    lambda w: w.frame(Op.RDMA_WRITE_ONLY_WITH_IMMEDIATE, w.reth(9, 3),
                      ImmDt(imm=1), psn=w.psn, payload=b"abc"),
    lambda w: w.frame(Op.SEND_ONLY, psn=w.psn, payload=b"send", ack=True),
    lambda w: w.frame(Op.SEND_FIRST, psn=w.psn, payload=bytes(w.mtu)),
    lambda w: w.frame(Op.RDMA_READ_REQUEST, w.reth(0, 3 * w.mtu), psn=w.psn),
    lambda w: w.frame(Op.FETCH_ADD, w.atomic_eth(0, 1), psn=w.psn),
    lambda w: w.frame(Op.COMPARE_SWAP, w.atomic_eth(8, 1, 1), psn=w.psn),
    lambda w: w.frame(Op.ACKNOWLEDGE, ACK, psn=w.psn),
    lambda w: w.frame(Op.RDMA_READ_RESPONSE_ONLY, ACK,
                      psn=w.psn, payload=b"response"),
    lambda w: w.frame(Op.ATOMIC_ACKNOWLEDGE, AtomicAckETH(),
                      psn=w.psn),
)


def with_psn(frame, psn):
    return put(frame, bth_at(frame) + 9, psn.to_bytes(3, "big"))


def unsealed_garbage():
    """Random damage that the ICRC, IP or UDP finds."""
    fuzz = Fuzz(1)
    for ipv6 in FAMILIES:
        with Wire(ipv6=ipv6) as w:
            frames = [frame(w) for frame in VALID]
            for i in range(1500):
                at(f"ipv6 {ipv6}, round {i}, seed {SEED}")
                frame = seal(with_psn(fuzz.rng.choice(frames), w.psn))
                bad = fuzz.damage(frame, ETH_LEN)
                if is_valid(bad, frame):
                    continue
                if fuzz.rng.randrange(2) and len(bad) > ETH_LEN:
                    # corrected, so that IP does not drop it
                    bad = fix_ip(bad)
                check_dropped(w, bad)


def is_valid(bad, frame):
    """Whether damage hit nothing that the ICRC protects."""
    return len(bad) >= len(frame) and all(
        bad[i] == frame[i] or masked_by_icrc(frame, i)
        for i in range(len(frame)))


def recover(w):
    """
    The connection may have failed, or be within a message, but it may not hang.
    Returns one that works.
    """
    if w.state() == e.IBV_QPS_RTS:
        w.psn = w.qp.query(e.IBV_QP_RQ_PSN)[0].rq_psn
        w.inject(w.frame(Op.RDMA_WRITE_ONLY, w.reth(0, 0), psn=w.psn,
                         ack=True))
        while True:
            bth = w.receive()
            # neither an RNR NAK nor a sequence NAK
            if bth.opcode == Op.ACKNOWLEDGE and bth.psn == w.psn and \
                    bth.syndrome >> 5 in (0, 3) and \
                    bth.syndrome != Syndrome.NAK_PSN_SEQ:
                break
        if bth.syndrome >> 5 == 0:
            w.psn = psn_add(w.psn, 1)
            w.msn = bth.msn
            return w
    wait_until(lambda: w.state() == e.IBV_QPS_ERR, "neither alive nor failed")
    w.__exit__()
    return Wire(ipv6=w.ipv6)


def sealed_garbage():
    """
    Random damage with the right ICRC, so that it reaches the transport. Memory that
    the peer may not access does not change.
    """
    fuzz = Fuzz(2)
    for ipv6 in FAMILIES:
        with Wire(ipv6=ipv6) as bystander:
            w = Wire(ipv6=ipv6)
            for i in range(300):
                at(f"ipv6 {ipv6}, round {i}, seed {SEED}")
                if i % 5 == 0:
                    w.post_recv(w.mtu, w.mtu)
                frame = fuzz.rng.choice(VALID)(w)
                bad = fuzz.damage(frame, bth_at(frame))
                if len(bad) > bth_at(frame) + 16:
                    bad = put(bad, bth_at(frame) + 5,
                              w.qp.qp_num.to_bytes(3, "big"))
                w.inject(seal(set_lengths(bad)))
                w.memory.check_guards()
                w.probe.check()
                w = recover(w)
                bystander.check_alive()
            bystander.memory.check()
            w.__exit__()


def garbage_for_requester():
    """Damaged responses complete nothing and store nothing."""
    fuzz = Fuzz(3)
    for ipv6 in FAMILIES:
        with Wire(ipv6=ipv6) as w:
            data = pattern(8, 1)
            for i in range(100):
                w.post("RDMA_READ", 0, 8, wr_id=i)
                w.receive()
                good = w.frame(Op.RDMA_READ_RESPONSE_ONLY, ACK,
                               psn=psn_add(w.psn, i), payload=data)
                before = bytes(w.memory.expected)
                for n in range(10):
                    at(f"ipv6 {ipv6}, round {i}.{n}, seed {SEED}")
                    bad = fuzz.damage(good, ETH_LEN)
                    if not is_valid(bad, good):
                        w.inject(bad)
                w.check_idle(w.send_cq)
                assert w.memory.get() == before, "damage was stored"
                w.inject(good)
                assert w.wait_cqe(w.send_cq).wr_id == i
                w.memory.expected[:8] = data
                w.memory.check()
                w.memory.put(0, bytes(8))
                w.memory.expected[:8] = bytes(8)


TESTS = {
    "malformed packets, and packets of other connections": forgeries,
    "a bad ICRC": bad_icrc,
    "a bad ICRC within a batch": bad_icrc_among_others,
    "single-bit errors": flipped_bits,
    "fields that may differ between good packets": tolerated,
    "truncated headers": cut_headers,
    "IP fragments": fragments,
    "payloads too large": big_payloads,
    "random damage": unsealed_garbage,
    "random damage with the right ICRC": sealed_garbage,
    "random damage to responses": garbage_for_requester,
}

if __name__ == "__main__":
    roce_wire.run_tests(TESTS)
