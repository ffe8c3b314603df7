/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The order of memory accesses, for a program that polls memory instead of
 * waiting for a completion.
 *
 * IBTA volume 1, 9.5: requests of a queue pair are executed in the order of their
 * PSNs. RDMA hardware gives more than that, and programs rely on it. They poll
 *
 *   - memory that one message changes, and then read what earlier messages did;
 *   - the last bytes of a message, and then read the rest of it.
 *
 * So rxe_order_stores() comes ahead of the payload of each packet that begins or
 * ends a message, and ahead of the last bytes of a message, which are stored by
 * one instruction: rxe_copy_payload() does both, for what peers send and for
 * their responses. It pairs with the acquire, or the barrier for loads, that the
 * program has between its two reads.
 *
 * It is only needed between stores under one hold of the queue's lock. The lock
 * orders stores of an earlier hold, by whichever CPU, before those of a later
 * one, for CPUs that do not take it, too. Completions need no barrier either,
 * as the index of a completion queue's ring is stored by a release; nor do
 * atomic operations that change memory, which are full barriers.
 *
 * A request must also not read memory before the stores and reads of requests
 * ahead of it are done. Where a peer writes and then reads, and a program
 * stores and then looks at what the peer has written, at least one sees the
 * other's store. Where a peer reads a flag and then the data behind it, the data
 * is not older than the flag. So rxe_order_loads() comes ahead of each read and
 * of each atomic operation: a compare that fails is no barrier by itself. It
 * pairs with the program's full barrier, or with that between the program's
 * stores.
 *
 * Documentation/litmus checks all this against the kernel's memory model. There is no
 * rule in base/rule.h for rxe_order_stores(), as no test notices that it is left out:
 * x86 keeps stores in order, and there it only keeps the compiler from moving them,
 * which compilers do not do around the copies of payloads as they are now.
 */
#ifndef RXE_ORDER_H
#define RXE_ORDER_H

#include <asm/barrier.h>

static inline void rxe_order_stores(void)
{
	/* pairs with the program's acquire: see above */
	smp_wmb();
}

static inline void rxe_order_loads(void)
{
	/* pairs with the program's full barrier: see above */
	smp_mb();
}

#endif
