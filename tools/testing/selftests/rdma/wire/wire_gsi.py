#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
The general services interface: a peer played by hand sends management datagrams
to QP 1 of the device, and compares the port's counters with the traffic on the
wire. IBTA volume 1, 13.4 and 16.1.
"""

import struct
import subprocess

import roce_wire
from roce_packet import ETH_LEN, Op, put, seal
from roce_wire import Wire, counter, pattern

UD_SEND_ONLY = 0x64
GSI_QPN = 1
GSI_QKEY = 0x80010000
PERF_MGMT = 4
GET, SET, GET_RESP = 1, 2, 0x81
CLASS_PORT_INFO, PORT_COUNTERS, PORT_COUNTERS_EXT = 0x0001, 0x0012, 0x001d
BAD_METHOD_ATTRIB, BAD_VALUE = 0x000c, 0x001c
ALL_PORTS = 0xff
MAD_BYTES = 256
# bytes of a datagram with a MAD, from the BTH to the ICRC
PACKET_BYTES = 12 + 8 + MAD_BYTES + 4
FAMILIES = (False, True)
COUNTERS = ("xmit_data", "rcv_data", "xmit_packets", "rcv_packets")
# place and size of the counters in an attribute
FORMATS = {PORT_COUNTERS: "!24x4I", PORT_COUNTERS_EXT: "!8x4Q"}


def mad(method, attribute, port=1, tid=0x1122334455667788, base=1):
    """A datagram of performance management; its second byte of data is the port."""
    header = struct.pack("!BBBBHHQHHI", base, PERF_MGMT, 1, method, 0, 0, tid,
                         attribute, 0, 0)
    return (header + bytes(40) + bytes((0, port))).ljust(MAD_BYTES, b"\0")


def send(w, data, qkey=GSI_QKEY):
    """The peer sends a datagram to QP 1."""
    deth = struct.pack("!II", qkey, w.qpn)
    w.inject(w.frame(UD_SEND_ONLY, deth, psn=0, payload=data, dqpn=GSI_QPN))


def ask(w, method, attribute, **args):
    """The answer to a datagram: its status, and its data."""
    asked = mad(method, attribute, **args)
    send(w, asked)
    bth = w.receive()
    assert bth.opcode == UD_SEND_ONLY, bth.summary()
    qkey, qpn = struct.unpack("!II", bth.data[:8])
    answer = bth.data[8:]
    assert (qkey, qpn) == (GSI_QKEY, GSI_QPN), (hex(qkey), qpn)
    assert len(answer) == MAD_BYTES, len(answer)
    assert answer[:3] == asked[:3] and answer[3] == GET_RESP, answer[:4].hex()
    assert answer[8:18] == asked[8:18], answer[:24].hex()
    return struct.unpack("!H", answer[4:6])[0], answer[64:]


def get(w, attribute, **args):
    status, data = ask(w, GET, attribute, **args)
    assert not status, hex(status)
    return data


def get_counters(w, attribute, port=1):
    data = get(w, attribute, port=port)
    assert data[1] == port, data[1]
    return dict(zip(COUNTERS, struct.unpack_from(FORMATS[attribute], data)))


def sysfs(name):
    with open(f"/sys/class/infiniband/rxe0/ports/1/counters/port_{name}",
              encoding="ascii") as file:
        return int(file.read())


def exchange(w, writes=5, length=100):
    """
    Writes and their acknowledgments.

    Returns their share of the counters: data is counted in words of four bytes.
    """
    data = pattern(length, 1)
    for _ in range(writes):
        psn = w.request(Op.RDMA_WRITE_ONLY, w.reth(0, length), payload=data,
                        ack=True)
        w.msn += 1
        w.expect_ack(psn)
    return {"xmit_data": writes * (12 + 4 + 4) // 4,
            "rcv_data": writes * (12 + 16 + length + 4) // 4,
            "xmit_packets": writes, "rcv_packets": writes}


def class_port_info():
    """Class and base version, and the capabilities of counters."""
    for ipv6 in FAMILIES:
        with Wire(ipv6=ipv6) as w:
            base, version, caps = struct.unpack_from(
                "!BBH", get(w, CLASS_PORT_INFO))
            assert (base, version) == (1, 1), (base, version)
            # AllPortSelect, and extended counters
            assert caps == 0x0100 | 0x0200, hex(caps)


def counters():
    """Counters grow by the traffic, and by the datagrams that query them."""
    for ipv6 in FAMILIES:
        for attribute in FORMATS:
            for port in (1, ALL_PORTS):
                with Wire(ipv6=ipv6) as w:
                    before = get_counters(w, attribute, port)
                    added = exchange(w)
                    after = get_counters(w, attribute, port)
                # the first answer was sent, and the second question came
                asking = {"xmit_data": PACKET_BYTES // 4,
                          "rcv_data": PACKET_BYTES // 4,
                          "xmit_packets": 1, "rcv_packets": 1}
                for name in COUNTERS:
                    grown = after[name] - before[name]
                    assert grown == added[name] + asking[name], \
                        f"{name}: {grown}, expected {added[name]} and " \
                        f"{asking[name]}"


def counters_in_sysfs():
    """The core's counters in sysfs come from the same query."""
    with Wire() as w:
        before = {name: sysfs(name) for name in COUNTERS}
        added = exchange(w)
        for name in COUNTERS:
            grown = sysfs(name) - before[name]
            assert grown == added[name], \
                f"{name}: {grown}, expected {added[name]}"


def refusals():
    """Unknown attributes and ports get an error status, and nothing can be set."""
    with Wire() as w:
        for attribute in FORMATS:
            status, data = ask(w, GET, attribute, port=2)
            assert status == BAD_VALUE, hex(status)
            assert not any(data), data.hex()
            before = get_counters(w, attribute)
            status, _ = ask(w, SET, attribute)
            assert status == BAD_METHOD_ATTRIB, hex(status)
            after = get_counters(w, attribute)
            assert after["rcv_packets"] == before["rcv_packets"] + 2
        status, _ = ask(w, GET, 0x0015)
        assert status == BAD_METHOD_ATTRIB, hex(status)


def send_elsewhere(w, where, there):
    """
    A datagram with a wrong key to another address, which differs by some bytes at
    an offset of the IP header; and one to the device, whose key alone is counted.
    """
    before = counter("qkey_violations")
    deth = struct.pack("!II", GSI_QKEY + 1, w.qpn)
    frame = w.frame(UD_SEND_ONLY, deth, psn=0, dqpn=GSI_QPN,
                    payload=mad(GET, PORT_COUNTERS))
    w.inject(seal(put(frame, ETH_LEN + where, there)))
    w.inject(frame)
    get(w, PORT_COUNTERS)
    roce_wire.wait_until(lambda: counter("qkey_violations") > before,
                         "a wrong key is not counted")
    assert counter("qkey_violations") == before + 1, "it was accepted"


def other_addresses():
    """Datagrams to another address of the host are not for the device."""
    for ipv6, address, where, there in (
            (False, "10.0.9.9/32", 16, bytes((10, 0, 9, 9))),
            (True, "fd00::9/128", 39, b"\x09")):
        on_lo = address, "dev", "lo"
        subprocess.check_call(["ip", "-n", "hosta", "addr", "add", *on_lo])
        try:
            with Wire(ipv6=ipv6) as w:
                send_elsewhere(w, where, there)
        finally:
            subprocess.check_call(["ip", "-n", "hosta", "addr", "del", *on_lo])


def silence():
    """
    No answer to answers, to datagrams with a wrong key, of a wrong version or
    without one: the next that is answered is the one after them.
    """
    with Wire() as w:
        violations = counter("qkey_violations")
        good = mad(GET, PORT_COUNTERS)
        send(w, mad(GET_RESP, PORT_COUNTERS))
        send(w, good, qkey=GSI_QKEY + 1)
        send(w, mad(GET, PORT_COUNTERS, base=2))
        send(w, b"")
        get(w, PORT_COUNTERS, tid=1)
        w.check_silent()
        w.check_alive()
        roce_wire.wait_until(lambda: counter("qkey_violations") ==
                             violations + 1, "a wrong key is not counted")


TESTS = {
    "the agent's class port info": class_port_info,
    "counters over the wire": counters,
    "counters in sysfs": counters_in_sysfs,
    "requests that are refused": refusals,
    "datagrams that are not answered": silence,
    "datagrams to other addresses of the host": other_addresses,
}

if __name__ == "__main__":
    roce_wire.run_tests(TESTS)
