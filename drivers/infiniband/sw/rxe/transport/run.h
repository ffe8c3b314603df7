/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Runs of packets, made or taken with one access to memory. */
#ifndef RXE_RUN_H
#define RXE_RUN_H

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/types.h>

struct rxe_qp;

/**
 * rxe_many_or_one - make, or take, many packets with one access to memory, or one
 * @work: does so; not 0: it is not possible, and what was done is done. Of @many
 *	  packets it only tries the memory; for one the direction parks
 * @qp: passed to @work
 * @arg: passed to @work
 *
 * A run of packets whose memory is not all there is not worth a fault as a whole:
 * what is missing, or wrong, is so for one of them, and those ahead go on.
 *
 * Context: BH disabled, the direction's lock is held.
 * Return: what @work returned for one; -ENOMEM: for many, when one fares no
 * better.
 */
static __always_inline int
rxe_many_or_one(int (*work)(struct rxe_qp *qp, void *arg, bool many),
		struct rxe_qp *qp, void *arg)
{
	int err = work(qp, arg, true);

	if (!err || err == -ENOMEM)
		return err;
	return work(qp, arg, false);
}

#endif
