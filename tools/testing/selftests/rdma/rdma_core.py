#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
rdma-core's own tests of on-demand paging, unmodified. RDMA_CORE_ROOT is a root
file system that has a newer rdma-core than the host may have, with its python
tests in /tests.
"""

import os
import re
import subprocess

import ktap_test

ROOT = os.environ.get("RDMA_CORE_ROOT", "")
HUGE_PAGES = "/proc/sys/vm/nr_hugepages"
# in hosta's namespace, and in a mount namespace that ends with the command
ENTER = """
mount -t proc proc "$0/proc" && mount -t sysfs sysfs "$0/sys" &&
mount --rbind /dev "$0/dev" && mount -t tmpfs tmpfs "$0/tmp" || exit
cd "$0" && exec chroot "$0" "$@"
"""


def inside(*command):
    """Run a command in the root, and return its status and what it says."""
    done = subprocess.run(["ip", "netns", "exec", "hosta", "sh", "-c", ENTER,
                           ROOT, *command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def names_of(module):
    """The tests of a module, in the order of its text."""
    with open(f"{ROOT}/tests/{module}.py", encoding="utf-8") as file:
        text = file.read()
    return re.findall(r"^    def (test_\w+)", text, flags=re.M)


def run_all(module):
    """Run a module's tests; what became of each, by name."""
    status, said = inside("python3", "tests/run_tests.py", "--dev", "rxe0",
                          "-v", f"tests.{module}")
    ends = re.findall(r"^(test_\w+) \(.*?\.\.\. (ok|FAIL|ERROR|skipped [^\n]*)$",
                      said, flags=re.M | re.S)
    return status, said, dict(ends)


def look_at(name, ends):
    """One test has passed, is skipped, or fails here."""
    end = ends.get(name, "never ended")
    if end.startswith("skipped"):
        raise ktap_test.Skip(end[len("skipped "):])
    assert end == "ok", end


def set_huge_pages(number):
    """Reserve so many; returns how many there were."""
    with open(HUGE_PAGES, encoding="utf-8") as pages:
        before = pages.read()
    with open(HUGE_PAGES, "w", encoding="utf-8") as pages:
        pages.write(str(number))
    return before


def main():
    """All of test_odp, with the huge pages that some of it wants."""
    if not os.path.exists(f"{ROOT}/tests/test_odp.py") or \
            not os.path.exists("/run/netns/hosta"):
        ktap_test.skip_all("needs two_hosts.sh up, and RDMA_CORE_ROOT")
    before = set_huge_pages(64)
    status, said, ends = run_all("test_odp")
    set_huge_pages(before)
    if status:
        print("\n".join(f"# {line}" for line in said.splitlines()))
    tests = {name: lambda name=name: look_at(name, ends)
             for name in names_of("test_odp")}

    def ended_well():
        assert not status, f"exit status {status}"
    ktap_test.run_tests({**tests, "the program ended well": ended_well})


main()
