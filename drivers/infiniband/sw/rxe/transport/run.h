/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Runs of packets, made or taken with one access to memory. */
#ifndef RXE_RUN_H
#define RXE_RUN_H

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/types.h>

struct rxe_qp;

/**
 * rxe_many_or_one - process a run of packets with one access to memory, or one packet
 * @work: processes them. If it fails, what was done before counts. Of @many
 *	  packets it only tries the memory; for one packet the direction parks
 * @qp: passed to @work
 * @arg: passed to @work
 *
 * A run does not fault for a page that is missing: the packets ahead of it go
 * on one by one, and the one that needs the page waits. Errors likewise.
 *
 * Context: BH disabled, the direction's lock is held.
 * Return: 0 or -ENOMEM from a run, after which one packet would fare no better;
 * otherwise what @work returned for one packet.
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
