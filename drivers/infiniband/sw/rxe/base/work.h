/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_WORK_H
#define RXE_WORK_H

#include <linux/workqueue.h>

/* protocol work that may not stay in the context where it came up */
extern struct workqueue_struct *rxe_wq;

int rxe_work_init(void);
void rxe_work_exit(void);

#endif
