# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""The packets of RoCEv2's reliable connections, by scapy and as bytes."""

import enum
import struct
import sys
import zlib

sys.path.append(sys.path[0] + "/../lib")
import ktap_test  # pylint: disable=wrong-import-position

try:
    from scapy.contrib.roce import AETH, BTH, opcode
    from scapy.fields import IntField, XBitField, XByteField, XIntField, \
        XLongField
    from scapy.packet import Packet, bind_layers
    from scapy.utils import checksum
except ImportError as missing:
    ktap_test.skip_all(f"needs python3-scapy: {missing}")

PSN_MASK = 0xffffff
DEFAULT_PKEY = 0xffff

# opcodes that scapy does not know
LATER_OPS = {"SEND_LAST_WITH_INVALIDATE": 0x16,
             "SEND_ONLY_WITH_INVALIDATE": 0x17, "FLUSH": 0x1c,
             "ATOMIC_WRITE": 0x1d}

Op = enum.IntEnum("Op", {name: opcode("RC", name)[0] for name in """
    SEND_FIRST SEND_MIDDLE SEND_LAST SEND_LAST_WITH_IMMEDIATE SEND_ONLY
    SEND_ONLY_WITH_IMMEDIATE RDMA_WRITE_FIRST RDMA_WRITE_MIDDLE RDMA_WRITE_LAST
    RDMA_WRITE_LAST_WITH_IMMEDIATE RDMA_WRITE_ONLY
    RDMA_WRITE_ONLY_WITH_IMMEDIATE RDMA_READ_REQUEST RDMA_READ_RESPONSE_FIRST
    RDMA_READ_RESPONSE_MIDDLE RDMA_READ_RESPONSE_LAST RDMA_READ_RESPONSE_ONLY
    ACKNOWLEDGE ATOMIC_ACKNOWLEDGE COMPARE_SWAP FETCH_ADD""".split()} |
    LATER_OPS)


class Syndrome(enum.IntEnum):
    """Of an AETH, IBTA 9.7.5.2.1. The lower bits of RNR_NAK are the timer."""
    ACK = 0x1f
    RNR_NAK = 0x20
    NAK_PSN_SEQ = 0x60
    NAK_INV_REQ = 0x61
    NAK_REM_ACCESS = 0x62
    NAK_REM_OP = 0x63


# The headers behind the BTH, one class for all headers of an opcode; scapy lacks
# some.

class RETH(Packet):
    name = "RETH"
    fields_desc = [XLongField("va", 0), XIntField("rkey", 0),
                   IntField("len", 0)]


class ImmDt(Packet):
    name = "ImmDt"
    fields_desc = [XIntField("imm", 0)]


class RETHImmDt(Packet):
    name = "RETH and ImmDt"
    fields_desc = RETH.fields_desc + ImmDt.fields_desc


class IETH(Packet):
    name = "IETH"
    fields_desc = [XIntField("rkey", 0)]


class FlushETH(Packet):
    """IBTA A19.4: kind of placement, and selectivity: a range, or the whole region."""
    name = "FETH"
    fields_desc = [XBitField("reserved", 0, 26), XBitField("level", 0, 2),
                   XBitField("kind", 0, 4)]


class AtomicETH(Packet):
    name = "AtomicETH"
    fields_desc = [XLongField("va", 0), XIntField("rkey", 0),
                   XLongField("swap_add", 0), XLongField("compare", 0)]


class AtomicAckETH(Packet):
    name = "AETH and AtomicAckETH"
    fields_desc = [XByteField("syndrome", 0), XBitField("msn", 0, 24),
                   XLongField("orig", 0)]


HEADERS = {
    RETH: (Op.RDMA_WRITE_FIRST, Op.RDMA_WRITE_ONLY, Op.RDMA_READ_REQUEST),
    ImmDt: (Op.SEND_LAST_WITH_IMMEDIATE, Op.SEND_ONLY_WITH_IMMEDIATE,
            Op.RDMA_WRITE_LAST_WITH_IMMEDIATE),
    RETHImmDt: (Op.RDMA_WRITE_ONLY_WITH_IMMEDIATE,),
    AETH: (Op.RDMA_READ_RESPONSE_FIRST, Op.RDMA_READ_RESPONSE_LAST,
           Op.RDMA_READ_RESPONSE_ONLY, Op.ACKNOWLEDGE),
    AtomicETH: (Op.COMPARE_SWAP, Op.FETCH_ADD),
    AtomicAckETH: (Op.ATOMIC_ACKNOWLEDGE,),
}
for _header, _ops in HEADERS.items():
    for _op in _ops:
        bind_layers(BTH, _header, opcode=int(_op))


def icrc(packet):
    """
    The ICRC of a packet, IBTA annex A17.3.3, as it is on the wire.

    @packet begins with the IP header, which has no options, and ends where the
    ICRC is to be. scapy computes it for IPv4 only; a test compares both.
    """
    masked = bytearray(packet)
    if packet[0] >> 4 == 4:
        udp = 20
        masked[1] = masked[8] = 0xff                        # TOS, TTL
        masked[10:12] = b"\xff\xff"                         # checksum
    else:
        udp = 40
        masked[0] |= 0xf                                    # traffic class
        masked[1:4] = b"\xff\xff\xff"                       # and flow label
        masked[7] = 0xff                                    # hop limit
    masked[udp + 6:udp + 8] = b"\xff\xff"                   # checksum
    masked[udp + 12] = 0xff                                 # resv8a of the BTH
    return struct.pack("<I", zlib.crc32(b"\xff" * 8 + masked))


# Frames are edited as bytes.

ETH_LEN = 14


def udp_at(frame):
    """Offset of its UDP header."""
    return ETH_LEN + (20 if frame[ETH_LEN] >> 4 == 4 else 40)


def bth_at(frame):
    """Offset of its BTH."""
    return udp_at(frame) + 8


def put(frame, where, data):
    """A frame with bytes replaced at some offset."""
    return frame[:where] + data + frame[where + len(data):]


def fix_ip(frame):
    """A frame with its IP checksum corrected."""
    if frame[ETH_LEN] >> 4 != 4 or len(frame) < ETH_LEN + 20:
        return frame
    frame = put(frame, ETH_LEN + 10, bytes(2))
    return put(frame, ETH_LEN + 10, struct.pack(
        "!H", checksum(frame[ETH_LEN:ETH_LEN + 20])))


def seal(frame):
    """A frame with IP checksum and ICRC corrected, unless too short for an ICRC."""
    frame = fix_ip(frame)
    if len(frame) < bth_at(frame) + 9:
        return frame
    return frame[:-4] + icrc(frame[ETH_LEN:-4])


def set_lengths(frame):
    """A frame whose IP and UDP lengths are corrected; not yet sealed."""
    udp = udp_at(frame)
    length = struct.pack("!H", len(frame) - udp)
    frame = put(frame, udp + 4, length)
    if frame[ETH_LEN] >> 4 == 4:
        return put(frame, ETH_LEN + 2, struct.pack("!H", len(frame) - ETH_LEN))
    return put(frame, ETH_LEN + 4, length)


def counted_up(frames):
    """Frames with the identifications that segmentation gives them."""
    return [frame if frame[ETH_LEN] >> 4 == 6 else
            seal(put(frame, ETH_LEN + 4, struct.pack("!H", i)))
            for i, frame in enumerate(frames)]


def sealed(frame):
    """Whether its ICRC is right."""
    return frame[-4:] == icrc(frame[ETH_LEN:-4])


def segments(frame):
    """
    Segment a GSO frame as a netdev does: frames of one size, but for the last, and
    identifications that count up. The size is the one with which the first packet's
    ICRC is right.
    """
    bth = udp_at(frame) + 8
    headers, packets = frame[:bth], frame[bth:]
    sizes = (size for size in range(16, len(packets), 4)
             if sealed(set_lengths(headers + packets[:size])))
    size = len(packets) if sealed(frame) else next(sizes, len(packets))
    frames = []
    for i, part in enumerate(split(packets, size)):
        segment = set_lengths(headers + part)
        if frame[ETH_LEN] >> 4 == 4:
            ident, = struct.unpack_from("!H", frame, ETH_LEN + 4)
            segment = put(segment, ETH_LEN + 4,
                          struct.pack("!H", ident + i & 0xffff))
        frames.append(segment)
    return frames


def psn_add(psn, n):
    return (psn + n) & PSN_MASK


def split(data, mtu):
    """The payloads of a message's packets: one at least."""
    return [data[i:i + mtu] for i in range(0, len(data) or 1, mtu)]


def place(index, count):
    """The part of an opcode's name that tells which packet of a message."""
    if count == 1:
        return "ONLY"
    return {0: "FIRST", count - 1: "LAST"}.get(index, "MIDDLE")


def message(kind, data, mtu, remote=None, imm=None):
    """
    The packets of a SEND or an RDMA_WRITE: their opcodes, headers, payloads.

    @remote: address and key of a write
    """
    chunks = split(data, mtu)
    for i, chunk in enumerate(chunks):
        name = f"{kind}_{place(i, len(chunks))}"
        headers = ()
        if kind == "RDMA_WRITE" and i == 0:
            headers += (RETH(va=remote[0], rkey=remote[1], len=len(data)),)
        if imm is not None and i == len(chunks) - 1:
            name += "_WITH_IMMEDIATE"
            headers += (ImmDt(imm=imm),)
        yield Op[name], headers, chunk


def read_response(data, mtu):
    """The packets of a response to a read: opcodes and payloads."""
    chunks = split(data, mtu)
    for i, chunk in enumerate(chunks):
        yield Op[f"RDMA_READ_RESPONSE_{place(i, len(chunks))}"], chunk
