// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/hrtimer.h>
#include <linux/jiffies.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/sched/stat.h>
#include <linux/xarray.h>

#include "base/compat.h"
#include "base/rule.h"
#include "base/work.h"

/* so long works have a CPU before its other tasks have a turn */
#define RXE_WORK_SLICE		(2 * NSEC_PER_SEC / HZ)
/* that turn, if a task wants it; so often it is looked at which one has it */
#define RXE_WORK_PAUSE		(3 * NSEC_PER_SEC / HZ)
#define RXE_WORK_LOOK		(NSEC_PER_SEC / 2000)
/* so long what was seen is taken to be so */
#define RXE_WORK_SEEN		(10 * NSEC_PER_SEC / HZ)

/**
 * struct rxe_work_time - the time that a CPU has given to works of rxe_wq
 * @since: when it was first counted, by local_clock(), as the others
 * @used: nanoseconds since then
 * @pauses: works wait for other tasks
 * @waiter: the task of the work that waits
 * @timer: looks who runs meanwhile, and wakes it
 * @others: when a task was last seen that is no program's
 * @programs: until when only programs' tasks are taken to be there
 */
struct rxe_work_time {
	u64 since;
	u64 used;
	bool pauses;
	struct task_struct *waiter;
	struct hrtimer timer;
	u64 others;
	u64 programs;
};

static DEFINE_PER_CPU(struct rxe_work_time, rxe_work_time);

/* programs that have opened a device, by the address of their mm */
static DEFINE_XARRAY(rxe_work_programs);

struct workqueue_struct *rxe_wq;
struct workqueue_struct *rxe_flush_wq;

/**
 * rxe_work_program_add - works need not pause for the tasks of a program
 * @mm: its address space; the caller holds it until rxe_work_program_remove()
 * @by: the caller's object for it, in place of an earlier one
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int rxe_work_program_add(const struct mm_struct *mm, void *by)
{
	return xa_err(xa_store(&rxe_work_programs, (unsigned long)mm, by,
			       GFP_KERNEL_ACCOUNT));
}

/**
 * rxe_work_program_remove - the counterpart of rxe_work_program_add()
 * @mm: as there
 * @by: as there
 *
 * Context: may sleep.
 */
void rxe_work_program_remove(const struct mm_struct *mm, void *by)
{
	xa_cmpxchg(&rxe_work_programs, (unsigned long)mm, by, NULL, 0);
}

/*
 * The task that this interrupts has the CPU now. One of a program may poll for what
 * works do, and gets nothing from a pause. But beside it there may be others.
 */
static enum hrtimer_restart rxe_work_look(struct hrtimer *timer)
{
	struct rxe_work_time *time = container_of(timer, struct rxe_work_time,
						  timer);
	u64 now = local_clock();

	if (!(current->flags & PF_KTHREAD)) {
		if (!xa_load(&rxe_work_programs, (unsigned long)current->mm))
			time->others = now;
		else if (now - time->others >= RXE_WORK_SEEN)
			WRITE_ONCE(time->programs, now + RXE_WORK_SEEN);
	}
	wake_up_process(time->waiter);
	return HRTIMER_NORESTART;
}

/* Whether other tasks have had their part of the CPU, or do not want it. */
static bool rxe_work_may_go_on(const struct rxe_work_time *time)
{
	u64 enough = READ_ONCE(time->used) + RXE_WORK_PAUSE;
	u64 now = local_clock();

	return now - time->since >= enough ||
	       now < READ_ONCE(time->programs) || single_task_running() ||
	       rxe_broken(cpu_share);
}

static void rxe_work_wait(struct rxe_work_time *time)
{
	time->waiter = current;
	set_current_state(TASK_IDLE);
	hrtimer_start(&time->timer, ns_to_ktime(RXE_WORK_LOOK),
		      HRTIMER_MODE_REL_PINNED_HARD);
	schedule();
	hrtimer_cancel(&time->timer);
}

/**
 * rxe_work_account - count time that is a work's, but was taken by a program's call
 * @began: local_clock() when it began
 *
 * Context: BH disabled since then.
 */
void rxe_work_account(u64 began)
{
	this_cpu_add(rxe_work_time.used, local_clock() - began);
}

/**
 * rxe_work_end - account for the time that a work of rxe_wq has taken
 * @began: local_clock() when it began
 *
 * The workqueue's threads come before all ordinary tasks, so that packets are not
 * kept waiting by tasks that compute. For those to go on beside them, works that
 * have had the CPU for RXE_WORK_SLICE give up the next RXE_WORK_PAUSE if a task
 * wants it: two fifths of such a CPU's time are theirs. With softirqs, and what the
 * program does itself, a stream then has about half of it. As one work at a time is
 * active on a CPU, all of its works wait while this one sleeps.
 *
 * The pause ends if no task wants the CPU any more, as when a program sleeps until
 * its data is there, or if only programs do: these poll for what works are to do. A
 * work looks for that each time that RXE_WORK_SEEN has passed.
 *
 * Context: may sleep; at the end of a work, which may be freed.
 */
void rxe_work_end(u64 began)
{
	/* a work stays on its CPU, unless that goes offline: then it is a wrong one */
	struct rxe_work_time *time = raw_cpu_ptr(&rxe_work_time);

	this_cpu_add(rxe_work_time.used, local_clock() - began);
	if (READ_ONCE(time->used) < RXE_WORK_SLICE)
		return;

	/* softirqs of this CPU read it, and programs' calls on it add to @used */
	WRITE_ONCE(time->pauses, true);
	while (!rxe_work_may_go_on(time))
		rxe_work_wait(time);
	WRITE_ONCE(time->pauses, false);
	time->since = local_clock();
	WRITE_ONCE(time->used, 0);
}

/**
 * rxe_works_pause - ask whether the works of this CPU wait for other tasks
 *
 * Context: not preemptible.
 * Return: true: what they have to do is not to be done in their place.
 */
bool rxe_works_pause(void)
{
	return this_cpu_read(rxe_work_time.pauses);
}

/**
 * rxe_work_init - create the workqueues of the protocol
 *
 * Works of rxe_wq are bound to CPUs, as flows are, one at a time on each: see
 * rxe_work_end(). They do not sleep otherwise. That for flushes has one thread,
 * of ordinary priority: what programs make it do, each pass of each QP in its turn,
 * takes no more of the machine than that. Both serve memory reclaim, as a QP may
 * carry swap.
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int rxe_work_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		hrtimer_setup(&per_cpu(rxe_work_time, cpu).timer, rxe_work_look,
			      CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);

	rxe_wq = alloc_workqueue("rxe", WQ_HIGHPRI | WQ_MEM_RECLAIM |
				 RXE_WQ_PERCPU, 1);
	if (!rxe_wq)
		return -ENOMEM;

	rxe_flush_wq = alloc_workqueue("rxe_flush", WQ_UNBOUND | WQ_MEM_RECLAIM,
				       1);
	if (!rxe_flush_wq) {
		destroy_workqueue(rxe_wq);
		return -ENOMEM;
	}
	return 0;
}

/**
 * rxe_work_exit - the counterpart of rxe_work_init()
 *
 * Context: may sleep; no work is queued any more.
 */
void rxe_work_exit(void)
{
	destroy_workqueue(rxe_flush_wq);
	destroy_workqueue(rxe_wq);
}
