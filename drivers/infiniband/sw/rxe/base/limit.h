/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* How many objects a device has, and how many it may have. */
#ifndef RXE_LIMIT_H
#define RXE_LIMIT_H

#include <linux/atomic.h>
#include <linux/types.h>

enum rxe_object {
	RXE_OBJECT_AH,
	RXE_OBJECT_CQ,
	RXE_OBJECT_MR,
	RXE_OBJECT_MW,
	RXE_OBJECT_PD,
	RXE_OBJECT_QP,
	RXE_OBJECT_SRQ,
	RXE_OBJECT_NUM,
};

/**
 * struct rxe_objects - the objects of a device
 * @num: how many there are, by kind; the kernel's own count
 */
struct rxe_objects {
	atomic_t num[RXE_OBJECT_NUM];
};

u32 rxe_object_max(enum rxe_object kind);
int rxe_object_begin(struct rxe_objects *objects, enum rxe_object kind);
void rxe_object_end(struct rxe_objects *objects, enum rxe_object kind);

#endif
