#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""
rdma-core's own tests, unmodified, without those of one vendor. RDMA_CORE_ROOT
is a root file system that has a newer rdma-core than the host may have, with
its python tests in /tests.
"""

import collections
import os
import platform
import re
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
import ktap_test  # pylint: disable=wrong-import-position

ROOT = os.environ.get("RDMA_CORE_ROOT", "")
PORT = "/sys/class/infiniband/rxe0/ports/1"
HUGE_PAGES = "/proc/sys/vm/nr_hugepages"
OF_VENDORS = re.compile(r"test_(mlx5|efa|irdma|cuda)")
# limit of a module, so that one that hangs does not end the others
MODULE_SECONDS = 300
# tests that need a newer kernel's core, and its version
NEEDS_KERNEL = {
    "test_rdmacm.CMTestCase.test_rdmacm_async_resolve_addrinfo": (6, 18),
}
# older ones of the kernel's own driver have no links in net namespaces
FIRST_WITH_NETNS = (7, 0)
# in hosta's namespace, and in a mount namespace that ends with the command
ENTER = """
mount -t proc proc "$0/proc" && mount -t sysfs sysfs "$0/sys" &&
mount --rbind /dev "$0/dev" && mount -t tmpfs tmpfs "$0/tmp" || exit
cd "$0" && exec chroot "$0" "$@"
"""
# As rdma-core's run_tests.py, which loads all modules of tests for each that it runs:
# that takes longer than most tests. Load them once, and run each that is named in a
# child, so that nothing but the output is left of one that hangs, or crashes at its
# exit. They may poll for a minute, as a host may stand still. The first argument is the limit of each, in seconds.
RUN_EACH = """
import os, signal, sys, unittest
from importlib.machinery import SourceFileLoader

seconds = int(sys.argv.pop(1))
signal.alarm(seconds)
sys.path[0] = "/tests"
from args_parser import parser
tests = SourceFileLoader("tests", "/tests/__init__.py").load_module()
sys.modules["tests.utils"].POLL_CQ_TIMEOUT = 60
parser.parse_args()
signal.alarm(0)
*modules, verbose = sys.argv[1:]
for module in modules:
    print(f"\\n@@ {module}", flush=True)
    pid = os.fork()
    if not pid:
        os.setpgid(0, 0)
        signal.alarm(seconds)
        unittest.main(module=tests, argv=["run_tests.py", verbose, "tests." + module])
    os.waitpid(pid, 0)
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


def inside(*command):
    """Run a command in the root, and return its output."""
    return subprocess.run(["ip", "netns", "exec", "hosta", "sh", "-c", ENTER,
                           ROOT, *command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True,
                          check=False).stdout


def modules():
    """The names of all modules of tests."""
    names = sorted(os.path.splitext(file)[0]
                   for file in os.listdir(f"{ROOT}/tests"))
    return [name for name in names
            if name.startswith("test_") and not OF_VENDORS.match(name)]


def names_of(module):
    """The tests of a module, in the order of its text."""
    names = []
    with open(f"{ROOT}/tests/{module}.py", encoding="utf-8") as file:
        text = file.read()
    for kind, name in re.findall(r"^(class|    def) (\w+)", text, flags=re.M):
        if kind == "class":
            test_case = name
        elif name.startswith("test_"):
            names.append(f"{module}.{test_case}.{name}")
    return names


def first_gid():
    """
    The index of the first GID that is set. rdma-core's tests take that, too, but look
    for it before each test, by a thousand queries and two processes for each GID.
    """
    for index in range(len(os.listdir(f"{PORT}/gids"))):
        with open(f"{PORT}/gids/{index}", encoding="ascii") as gid:
            # the half that they look at
            if gid.read().strip()[-19:] != "0000:0000:0000:0000":
                return str(index)
    return "0"


def run_all():
    """Run all modules' tests; returns the output of each module, by name."""
    seconds = str(MODULE_SECONDS * ktap_test.LIMIT_FACTOR)
    said = inside("python3", "-c", RUN_EACH, seconds, "--dev", "rxe0",
                  "--gid", first_gid(), "-v", *modules())
    at_load, *parts = re.split(r"\n@@ (\w+)\n", said)
    of_module = dict(zip(parts[::2], parts[1::2]))
    # where they cannot be loaded, that is what each has to say
    return {module: at_load + of_module.get(module, "") for module in modules()}


def ends_of(said):
    """The results in a module's output, by the test's name."""
    return dict(re.findall(r"^test_\w+ \(tests\.([\w.]+)\).*?"
                           r"(?:\.\.\. |^)(ok|FAIL|ERROR|skipped [^\n]*)$",
                           said, flags=re.M | re.S))


def release():
    """The kernel's version, as a pair of numbers."""
    return tuple(int(n) for n in re.findall(r"\d+", platform.release())[:2])


def look_at(name, ends):
    """One test has passed, is skipped, or fails here."""
    end = ends.get(name, "never ended")
    needs = NEEDS_KERNEL.get(name)
    if end.startswith("skipped"):
        raise ktap_test.Skip(end[len("skipped "):])
    if end != "ok" and needs and release() < needs:
        raise ktap_test.Skip("needs a newer kernel's core")
    assert end == "ok", end


def set_huge_pages(number):
    """Reserve huge pages; returns their previous number."""
    with open(HUGE_PAGES, encoding="utf-8") as pages:
        before = pages.read()
    with open(HUGE_PAGES, "w", encoding="utf-8") as pages:
        pages.write(str(number))
    return before


def show_trouble(names, said, ends):
    """Print a module's output, unless all of its tests passed or were skipped."""
    if any(ends.get(name) not in ("ok", None) and
           not ends[name].startswith("skipped") for name in names) or \
            len(ends) < len(names):
        print("\n".join(f"# {line}" for line in said.splitlines()))


def two_hosts(what):
    subprocess.run([os.path.join(ktap_test.HERE, "two_hosts.sh"), what],
                   check=True)


def load(driver):
    """Load the kernel's own driver, or the one under test."""
    two_hosts("down")
    # the modules that it depends on stay, for the other one
    subprocess.run(["rmmod", "rdma_rxe"], check=True)
    subprocess.run(["modprobe", "rdma_rxe"] if driver == "intree" else
                   ["insmod", os.environ["RXE_KO"]], check=True)
    two_hosts("up")


Own = collections.namedtuple("Own", "ends counters")


def counters():
    """The names of a port's counters."""
    return {f"{kind}/{name}" for kind in ("counters", "hw_counters")
            for name in os.listdir(f"{PORT}/{kind}")}


def the_kernels_own():
    """
    The results of all tests on the kernel's own driver, and its counters; None if
    they cannot be had here.
    """
    if os.environ.get("LONG_TESTS") != "yes" or release() < FIRST_WITH_NETNS:
        return None
    load("intree")
    ends = {}
    for said in run_all().values():
        ends |= ends_of(said)
    names = counters()
    load("ours")
    return Own(ends, names)


def need(own):
    """The results on the kernel's own driver; skips without."""
    if own is None:
        raise ktap_test.Skip("with LONG_TESTS, where the kernel's own driver "
                             "knows net namespaces")
    return own


def none_is_missing(ends, own):
    """Each test that passes on the kernel's own driver passes here."""
    passed = [name for name, end in need(own).ends.items() if end == "ok"]
    missing = [name for name in passed if ends.get(name) != "ok"]
    print(f"# {len(passed)} tests pass on the kernel's own driver, "
          f"{list(ends.values()).count('ok')} here; missing: {missing}")
    assert passed and not missing


def all_counters(own):
    """Each counter of the kernel's own driver exists here, too."""
    missing = need(own).counters - counters()
    print(f"# {len(own.counters)} counters there, {len(counters())} here; "
          f"missing: {missing}")
    assert own.counters and not missing


def main():
    """Run the tests, with huge pages reserved, as some of them need these."""
    if not os.path.exists(f"{ROOT}/tests/test_odp.py") or \
            not os.path.exists("/run/netns/hosta"):
        ktap_test.skip_all("needs two_hosts.sh up, and RDMA_CORE_ROOT")
    subprocess.run(["modprobe", "-a", "rdma_ucm"], check=True)
    before = set_huge_pages(64)
    own = the_kernels_own()
    ends = {}
    tests = {}
    for module, said in run_all().items():
        names = names_of(module)
        of_module = ends_of(said)
        show_trouble(names, said, of_module)
        ends |= of_module
        for name in names:
            tests[name] = lambda name=name: look_at(name, ends)
    set_huge_pages(before)
    tests["each test that passes on the kernel's own driver"] = \
        lambda: none_is_missing(ends, own)
    tests["each counter of the kernel's own driver"] = \
        lambda: all_counters(own)
    ktap_test.run_tests(tests)


main()
