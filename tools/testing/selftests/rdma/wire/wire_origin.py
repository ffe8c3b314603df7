#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
Packets that have a peer's addresses, and are not from where the peer is: from a
program's own UDP socket.

The driver takes a packet for the peer's by its addresses and its numbers, and
everybody on a host may know these.
"""

import ctypes
import errno
import os
import socket
import subprocess

import roce_wire
from roce_packet import Op, bth_at, counted_up
from roce_wire import ROCE_PORT, SOURCE_PORT, Wire, pattern

ROOT, NOBODY = 0, 65534
FAMILIES = (False, True)
IPV6_FREEBIND = 78
UDP_SEGMENT = 103
LENGTH = 65


def enter(host):
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{host}", "rb") as namespace:
        assert not libc.setns(namespace.fileno(), 0), ctypes.get_errno()


def udp_socket(source, port):
    """Of an address that need not be the host's, as IPv6 lets everybody do."""
    ipv6 = ":" in source
    sock = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET,
                         socket.SOCK_DGRAM)
    if ipv6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    else:
        # not fragmented, nor connected: the first identification is 0
        sock.setsockopt(socket.IPPROTO_IP, 10, 2)  # MTU_DISCOVER: DO
    sock.bind((source, port))
    return sock


def send_as(user, host, source, to, data, *, segment=0):
    """Have a user of a host send; says with which errno."""
    pid = os.fork()
    if not pid:
        status = 255
        try:
            enter(host)
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            with udp_socket(source, SOURCE_PORT) as sock:
                if segment:
                    sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, segment)
                sock.sendto(data, to)
            status = 0
        except OSError as error:
            status = error.errno
        finally:
            os._exit(status)  # pylint: disable=protected-access
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def sends(w, seed, count=1):
    """Packets as the peer would send them, of one size, and what is in them."""
    datas = [pattern(LENGTH, seed + i) for i in range(count)]
    frames = counted_up([w.frame(Op.SEND_ONLY, psn=w.psn + i, payload=data)
                         for i, data in enumerate(datas)])
    return b"".join(frame[bth_at(frame):] for frame in frames), datas


def check_forged(w, host, count=1):
    """
    Packets that an ordinary user sends in the peer's name are not taken for the
    peer's. The same from a socket of root's are: the forged ones were right in all.
    """
    to = (w.addrs[0], ROCE_PORT)
    for i in range(count):
        w.post_recv(i * 100, 100, i)
    forged, _ = sends(w, 1, count)
    right, datas = sends(w, 11, count)
    segment = len(forged) // count if count > 1 else 0
    error = send_as(NOBODY, host, w.addrs[1], to, forged, segment=segment)
    sent = send_as(ROOT, host, w.addrs[1], to, right, segment=segment)
    assert not sent, os.strerror(sent)
    for i, data in enumerate(datas):
        assert w.wait_cqe(w.recv_cq).byte_len == LENGTH
        assert w.memory.get(i * 100, LENGTH) == data, \
            "what the ordinary user has sent has arrived"
    w.check_idle(w.recv_cq)
    # it is told so
    assert error == errno.EPERM, os.strerror(error)


def own_wire(ipv6):
    """Both ends are of hosta."""
    return Wire(addrs=(roce_wire.HOSTS.addrs[ipv6][0],) * 2)


def same_host():
    for ipv6 in FAMILIES:
        with own_wire(ipv6) as w:
            check_forged(w, "hosta")


def aggregates():
    for ipv6 in FAMILIES:
        with own_wire(ipv6) as w:
            check_forged(w, "hosta", 5)


def other_address():
    """The peer is another host. Its address is not this one's, but may be used."""
    with Wire(ipv6=True) as w:
        check_forged(w, "hosta")


def other_host():
    """The receiver cannot tell who on the peer's host has sent a packet."""
    for ipv6 in FAMILIES:
        with Wire(ipv6=ipv6) as w:
            check_forged(w, "hostb")


def arrives(host, address, port):
    """What an ordinary user sends there arrives there."""
    pid = os.fork()
    if not pid:
        status = 255
        try:
            enter(host)
            with udp_socket(address, port) as sock:
                sock.settimeout(roce_wire.HUNG_SECONDS)
                status = send_as(NOBODY, host, address, (address, port), b"data")
                if not status:
                    assert sock.recv(100) == b"data"
        finally:
            os._exit(status)  # pylint: disable=protected-access
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert not status, os.strerror(status)


def other_ports():
    for ipv6 in FAMILIES:
        arrives("hosta", roce_wire.HOSTS.addrs[ipv6][0], ROCE_PORT + 1)


def no_link():
    """Where the port is nobody's, programs may use it."""
    subprocess.check_call(["ip", "netns", "add", "no_link"])
    try:
        subprocess.check_call(
            ["ip", "-n", "no_link", "link", "set", "lo", "up"])
        for address in ("127.0.0.1", "::1"):
            arrives("no_link", address, ROCE_PORT)
    finally:
        subprocess.check_call(["ip", "netns", "del", "no_link"])


TESTS = {
    "an ordinary user's packets to a connection of the same host": same_host,
    "an ordinary user's aggregates to a connection of the same host": aggregates,
    "an ordinary user's packets with the address of another host": other_address,
    "an ordinary user's packets to a connection of another host": other_host,
    "an ordinary user's datagrams to other ports": other_ports,
    "an ordinary user's datagrams where there is no link": no_link,
}

if __name__ == "__main__":
    roce_wire.run_tests(TESTS)
