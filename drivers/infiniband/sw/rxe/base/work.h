/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_WORK_H
#define RXE_WORK_H

#include <linux/types.h>
#include <linux/workqueue.h>

struct mm_struct;

/* runs protocol work that must not run in the context that found it */
extern struct workqueue_struct *rxe_wq;
/* flushes the requests of QPs that have failed, of all one after the other */
extern struct workqueue_struct *rxe_flush_wq;

int rxe_work_init(void);
void rxe_work_exit(void);

int rxe_work_program_add(const struct mm_struct *mm);
void rxe_work_program_remove(const struct mm_struct *mm);
void rxe_work_account(u64 began);
void rxe_work_end(u64 began);
bool rxe_works_pause(void);

#endif
