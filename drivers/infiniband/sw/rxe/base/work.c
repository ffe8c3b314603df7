// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/hrtimer.h>
#include <linux/minmax.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/sched/stat.h>
#include <linux/time64.h>
#include <linux/xarray.h>

#include "base/compat.h"
#include "base/rule.h"
#include "base/work.h"

/* so long works have a CPU before its other tasks have a turn, but for the last one */
#define RXE_WORK_SLICE		(2 * NSEC_PER_MSEC)
/* so much of that is made up for, at most: packets of others wait meanwhile */
#define RXE_WORK_USED_MAX	(8 * NSEC_PER_MSEC)
/* when it is first looked at who has it, and how often in the end */
#define RXE_WORK_LOOK		(50 * NSEC_PER_USEC)
#define RXE_WORK_LOOK_MAX	(500 * NSEC_PER_USEC)
/* so long a program that polls is taken to be the only task */
#define RXE_WORK_POLLS		(50 * NSEC_PER_MSEC)

/**
 * struct rxe_work_time - the time that a CPU has given to works of rxe_wq
 * @since: when it was first counted, by local_clock(), as the others
 * @used: nanoseconds since then
 * @pauses: a work waits for other tasks
 * @until: when it goes on
 * @timer: looks who runs meanwhile
 * @look: nanoseconds until it does so again
 * @waiter: the task of the work that waits
 * @polls: until when no work waits, since only a program that polls is there
 */
struct rxe_work_time {
	u64 since;
	u64 used;
	int pauses;
	u64 until;
	struct hrtimer timer;
	u64 look;
	struct task_struct *waiter;
	u64 polls;
};

static DEFINE_PER_CPU(struct rxe_work_time, rxe_work_time);

/* how often programs have opened devices, by the address of their mm */
static DEFINE_XARRAY(rxe_work_programs);

struct workqueue_struct *rxe_wq;
struct workqueue_struct *rxe_flush_wq;

static unsigned long rxe_work_opens(const struct mm_struct *mm)
{
	void *opens = xa_load(&rxe_work_programs, (unsigned long)mm);

	return opens ? xa_to_value(opens) : 0;
}

/**
 * rxe_work_program_add - works need not pause for a task of a program
 * @mm: its address space; the caller holds it until rxe_work_program_remove()
 *
 * Context: may sleep; one caller at a time.
 * Return: 0 or -ENOMEM.
 */
int rxe_work_program_add(const struct mm_struct *mm)
{
	return xa_err(xa_store(&rxe_work_programs, (unsigned long)mm,
			       xa_mk_value(rxe_work_opens(mm) + 1),
			       GFP_KERNEL_ACCOUNT));
}

/**
 * rxe_work_program_remove - the counterpart of rxe_work_program_add()
 * @mm: as there
 *
 * Context: may sleep; one caller at a time, of that, too.
 */
void rxe_work_program_remove(const struct mm_struct *mm)
{
	unsigned long opens = rxe_work_opens(mm) - 1;

	/* what is there is replaced without an allocation */
	if (opens)
		xa_store(&rxe_work_programs, (unsigned long)mm,
			 xa_mk_value(opens), GFP_KERNEL);
	else
		xa_erase(&rxe_work_programs, (unsigned long)mm);
}

/*
 * Whether a pause is of use to no task. The current one, which this interrupts, is the
 * only one that wants the CPU if single_task_running(); a program's may poll for what
 * the work that waits is to do.
 */
static bool rxe_work_pause_is_vain(struct rxe_work_time *time)
{
	if (is_idle_task(current))
		return true;
	if (!single_task_running() || !rxe_work_opens(current->mm))
		return false;

	WRITE_ONCE(time->polls, local_clock() + RXE_WORK_POLLS);
	return true;
}

static enum hrtimer_restart rxe_work_look(struct hrtimer *timer)
{
	struct rxe_work_time *time = container_of(timer, struct rxe_work_time,
						  timer);

	if (local_clock() >= time->until || rxe_work_pause_is_vain(time)) {
		/* the waiter, which reads it, goes on after what was written before */
		smp_store_release(&time->until, 0);
		wake_up_process(time->waiter);
		return HRTIMER_NORESTART;
	}
	time->look = min_t(u64, 2 * time->look, RXE_WORK_LOOK_MAX);
	hrtimer_forward_now(timer, ns_to_ktime(time->look));
	return HRTIMER_RESTART;
}

static void rxe_work_pause(struct rxe_work_time *time, u64 until)
{
	time->waiter = current;
	time->look = RXE_WORK_LOOK;
	time->until = until;
	hrtimer_start(&time->timer, ns_to_ktime(time->look),
		      HRTIMER_MODE_REL_PINNED_HARD);
	for (;;) {
		set_current_state(TASK_IDLE);
		/* pairs with rxe_work_look(), which wakes this task after it */
		if (!smp_load_acquire(&time->until))
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	/* on another CPU it may still be on its way out */
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
 * have had the CPU for RXE_WORK_SLICE give it up for 1.5 times as long if a task
 * wants it: two fifths of such a CPU's time are theirs. With softirqs, and what the
 * program does itself, a stream then has about half of it. As one work at a time is
 * active on a CPU, all of its works wait while this one sleeps.
 *
 * The pause ends if no task wants the CPU any more, as when a program sleeps until
 * its data is there, or if only one of a program's does, which may poll for what
 * works are to do. The next look for others is RXE_WORK_POLLS later.
 *
 * Context: may sleep; at the end of a work, which may be freed.
 */
void rxe_work_end(u64 began)
{
	/* where the CPU has gone offline, that of another one */
	struct rxe_work_time *time = raw_cpu_ptr(&rxe_work_time);
	u64 now = local_clock(), used, until;

	this_cpu_add(rxe_work_time.used, now - began);
	if (READ_ONCE(time->used) < RXE_WORK_SLICE)
		return;
	/* works of CPUs that are offline run here, too, and wait likewise */
	if (xchg(&time->pauses, true)) {
		schedule_timeout_idle(1);
		return;
	}

	/* what calls add to @used meanwhile does not count: others wait for this */
	used = min_t(u64, READ_ONCE(time->used), RXE_WORK_USED_MAX);
	until = min(time->since + used, now) + used * 3 / 2;
	if (now < until && now >= READ_ONCE(time->polls) &&
	    !single_task_running() && !rxe_broken(cpu_share))
		rxe_work_pause(time, until);
	time->since = local_clock();
	WRITE_ONCE(time->used, 0);
	/* pairs with the next xchg(): that work sees what was set here */
	smp_store_release(&time->pauses, false);
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
