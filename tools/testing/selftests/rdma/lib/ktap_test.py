# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""Each test runs in a process of its own; results are printed as KTAP."""

import faulthandler
import os
import sys
import traceback

HERE = os.path.dirname(os.path.realpath(__file__))
# ksft.py is beside rdma/, in a kernel tree and where kselftests are installed
sys.path.append(os.path.join(os.environ.get("KSFT", f"{HERE}/../.."),
                             "kselftest"))
import ksft  # pylint: disable=wrong-import-position,import-error

TEST_SECONDS = 300
LIMIT_FACTOR = max(1, int(os.environ.get("LIMIT_FACTOR") or 1))

_at = ""


def at(where):
    """Note the current step, which a failure shows."""
    global _at  # pylint: disable=global-statement
    _at = where


class Skip(Exception):
    """The reason why a test cannot be done here."""


def skip_all(why):
    """Skip the whole program."""
    print(f"1..0 # SKIP {why}")
    sys.exit(ksft.KSFT_SKIP)


def _run(function):
    faulthandler.dump_traceback_later(TEST_SECONDS * LIMIT_FACTOR, exit=True)
    try:
        function()
    except Skip as why:
        ksft.print_msg(f"skipped: {why}")
        return ksft.KSFT_SKIP
    except Exception:  # pylint: disable=broad-except
        for line in traceback.format_exc().splitlines():
            ksft.print_msg(line)
        if _at:
            ksft.print_msg(f"  at {_at}")
        return ksft.KSFT_FAIL
    return ksft.KSFT_PASS


def _run_apart(function):
    pid = os.fork()
    if not pid:
        status = ksft.KSFT_FAIL
        try:
            status = _run(function)
        finally:
            sys.stdout.flush()
            # the kernel cleans up remaining queue pairs and memory
            os._exit(status)  # pylint: disable=protected-access
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status < 0:
        ksft.print_msg(f"killed by signal {-status}")
    return status


def _break_rule(rule):
    """Have the test build of the driver break a rule: see rules/broken.sh."""
    if rule:
        with open("/sys/module/rdma_rxe/parameters/broken", "w",
                  encoding="ascii") as file:
            file.write(rule)


def run_tests(tests):
    """
    Run functions by name, all or those that the command line names, and exit.

    A test fails by an exception, and is skipped by Skip. Its time limit is
    TEST_SECONDS times LIMIT_FACTOR of the environment, for slow kernels. For an
    argument rule=name the test runs with that rule of the driver broken.
    """
    sys.stdout.reconfigure(line_buffering=True)
    names = sys.argv[1:] or list(tests)
    ksft.print_header()
    ksft.set_plan(len(names))
    for name in names:
        rule, _, test = name.rpartition("=")
        _break_rule(rule)
        status = _run_apart(tests[test])
        _break_rule(rule and "none")
        if status == ksft.KSFT_SKIP:
            ksft.test_result_skip(name)
        else:
            ksft.test_result(status == ksft.KSFT_PASS, name)
    ksft.finished()
