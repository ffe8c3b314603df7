// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/errno.h>

#include "base/limit.h"
#include "base/rule.h"

static const u32 rxe_object_maxes[RXE_OBJECT_NUM] = {
	[RXE_OBJECT_AH] = 0x400000,
	[RXE_OBJECT_CQ] = 0x100000,
	[RXE_OBJECT_MR] = 0x400000,
	[RXE_OBJECT_MW] = 0x400000,
	[RXE_OBJECT_PD] = 0x100000,
	[RXE_OBJECT_QP] = 0x100000,
	[RXE_OBJECT_SRQ] = 0x100000,
};

/**
 * rxe_object_max - how many objects a device may have
 * @kind: of the objects
 *
 * Context: any.
 * Return: the number, which the device announces.
 */
u32 rxe_object_max(enum rxe_object kind)
{
	return rxe_most(rxe_object_maxes[kind]);
}

/**
 * rxe_object_begin - count an object that is about to be made
 * @objects: of the device
 * @kind: of the object
 *
 * Context: any.
 * Return: 0, and rxe_object_end() is to be called when the object is gone, or was
 * not made; -ENOMEM: the device has as many as it announces (IBTA 11.2: insufficient
 * resources).
 */
int rxe_object_begin(struct rxe_objects *objects, enum rxe_object kind)
{
	atomic_t *num = &objects->num[kind];
	int n = atomic_read(num);

	do {
		if (n >= rxe_object_max(kind) && !rxe_broken(object_max))
			return -ENOMEM;
	} while (!atomic_try_cmpxchg(num, &n, n + 1));
	return 0;
}

/**
 * rxe_object_end - an object is gone
 * @objects: of the device
 * @kind: of the object
 *
 * Context: any.
 */
void rxe_object_end(struct rxe_objects *objects, enum rxe_object kind)
{
	atomic_dec(&objects->num[kind]);
}
