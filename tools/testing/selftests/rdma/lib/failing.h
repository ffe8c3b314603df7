/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Allocations that fail, and copies from and to the program, by the kernel's fault
 * injection. It counts those of one thread: the first that makes something fail.
 */
#ifndef FAILING_H
#define FAILING_H

#include <stdbool.h>

/* get ready; skips if the kernel has no fault injection */
void failing_up(void);
/* the @nth from now on fails, once */
void fail_nth(unsigned int nth);
/* none fails any more; whether one has */
bool fail_over(void);
/*
 * Have each packet of the host fail for lack of memory, or not any more: the next 200
 * allocations, as a test that fails says nothing. Skips where that cannot be had.
 */
void fail_packets(bool fail);
/* whether a call may end so because of that */
bool fails_so(int err);

#endif
