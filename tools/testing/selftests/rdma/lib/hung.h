/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What a test that reached its limit was doing: a limit alone explains nothing. */
#ifndef HUNG_H
#define HUNG_H

#include <sys/types.h>

/**
 * hung_report - print where the threads of a process group are
 * @group: the test's processes, which still run
 *
 * For each thread its state, what it waits for, and, where the caller may read it,
 * its kernel stack; then the devices' counters that are not zero.
 */
void hung_report(pid_t group);

#endif
