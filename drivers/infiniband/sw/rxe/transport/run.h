/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* How packets get at memory: without waiting first, runs of them at once. */
#ifndef RXE_RUN_H
#define RXE_RUN_H

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/types.h>

#include "obj/qp.h"

/**
 * rxe_try_then_park - access memory that is there, or wait for what is missing
 * @work: does it. On @try it takes as many packets as there are with one access, and
 *	  parks nothing; else it takes one packet, and a missing page parks the
 *	  direction. If it fails, what was done before counts
 * @qp: whose direction it is, passed to @work
 * @arg: passed to @work
 *
 * A page that is missing in a run is left to its own packet: those ahead of it go
 * on one by one, and that one waits. Errors likewise. The extent of a fault is
 * looked for only on the second call, when it is known that there is one.
 *
 * Context: BH disabled, the direction's lock is held.
 * Return: 0 or -ENOMEM from a try, after which one packet would fare no better;
 * otherwise what @work returned for one packet.
 */
static __always_inline int
rxe_try_then_park(int (*work)(struct rxe_qp *qp, void *arg, bool try),
		  struct rxe_qp *qp, void *arg)
{
	int err;

	lockdep_assert_in_softirq();
	rxe_qp_assert_held(qp);
	err = work(qp, arg, true);
	if (!err || err == -ENOMEM)
		return err;
	return work(qp, arg, false);
}

#endif
