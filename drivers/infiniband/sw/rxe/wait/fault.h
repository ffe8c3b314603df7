/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The workers that fault memory in on behalf of programs.
 *
 * A program's jobs are tried without any wait for the memory's owner first:
 * that is all of a minor fault. A job that has to wait takes a kernel thread for
 * as long as the owner of the memory likes, which may be for ever. So many may
 * sleep at once, of a program, of a user and of all; others wait for their turn,
 * and are tried without a wait now and then.
 */
#ifndef RXE_FAULT_H
#define RXE_FAULT_H

#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/workqueue.h>

struct mm_struct;
struct rxe_fault_user;

/* jobs that sleep: of a program, of a user's programs, of all but users' first */
#define RXE_ASLEEP_PROGRAM	32
#define RXE_ASLEEP_USER		96
#define RXE_ASLEEP_ALL		256
/* interval at which unloading the module tells the log what it waits for */
#define RXE_UNLOAD_PATIENCE	msecs_to_jiffies(10000)

/**
 * struct rxe_fault_queue - a program's own workers for page faults
 * @wq: runs its jobs
 * @abandoned: faults under way that no direction waits for any more
 * @refs: the program's contexts, and each object that may still fault for it
 * @mm: the program's, held; not the one whose memory is faulted in, if a child
 *	has inherited the context
 * @user: whose program it is
 * @entry: in the list of all
 * @asleep: jobs that may sleep now
 * @waiting: jobs that wait for their turn to sleep
 * @trying: those that are being tried without a wait meanwhile
 * @turn: in the user's list, while there are such
 * @again: tries these without a wait
 * @free: destroys it, as one of its own workers may drop the last of @refs
 */
struct rxe_fault_queue {
	struct workqueue_struct *wq;
	atomic_t abandoned;
	refcount_t refs;
	struct mm_struct *mm;
	struct rxe_fault_user *user;
	struct list_head entry;
	unsigned int asleep;
	struct list_head waiting;
	unsigned int trying;
	struct list_head turn;
	struct delayed_work again;
	struct work_struct free;
};

/**
 * struct rxe_fault_job - memory that is to be faulted in
 * @work: the worker
 * @queue: the program's workers, held by the job's owner
 * @run: faults it in. Unless it may sleep, it waits for nobody, and returns
 *	 false if it has to: then it runs again. Otherwise the job may be gone when
 *	 it returns, or be started anew
 * @entry: in the program's list, while the job waits for its turn
 * @cpu: where it was started
 * @may_sleep: it is the job's turn
 * @trying: it waits for its turn, and is being tried without a wait
 * @cancelled: nobody wants the result: @run returns at once
 */
struct rxe_fault_job {
	struct work_struct work;
	struct rxe_fault_queue *queue;
	bool (*run)(struct rxe_fault_job *job, bool may_sleep);
	struct list_head entry;
	int cpu;
	bool may_sleep;
	bool trying;
	bool cancelled;
};

struct rxe_fault_queue *rxe_fault_queue_open(void);
struct rxe_fault_queue *rxe_fault_queue_get(struct rxe_fault_queue *queue);
void rxe_fault_queue_put(struct rxe_fault_queue *queue);
unsigned int rxe_faults_asleep(void);
int rxe_fault_queues_init(void);
void rxe_fault_queues_exit(void);

void rxe_fault_job_init(struct rxe_fault_job *job,
			struct rxe_fault_queue *queue,
			bool (*run)(struct rxe_fault_job *job, bool may_sleep));
void rxe_fault_job_start(struct rxe_fault_job *job);
void rxe_fault_job_cancel(struct rxe_fault_job *job);

#endif
