// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait_bit.h>

#include "base/compat.h"
#include "base/rule.h"
#include "base/share.h"
#include "base/work.h"
#include "wait/fault.h"

/* jobs of a program that run at once on a CPU: besides those that sleep, some */
#define RXE_FAULT_ACTIVE	(RXE_ASLEEP_PROGRAM + 8)
/* so often are jobs that wait for their turn tried, and so many of a program */
#define RXE_AGAIN_DELAY		msecs_to_jiffies(100)
#define RXE_AGAIN_BUDGET	8

/**
 * struct rxe_fault_user - a user, as far as programs have opened devices
 * @owner: who it is
 * @programs: these, under rxe_fault_lock
 * @entry: in rxe_fault_users, under rxe_fault_lock
 * @asleep: jobs that may sleep now, under rxe_turns_lock
 * @queues: programs with jobs that wait for their turn, the next one first
 * @turn: in rxe_turns, while there are such
 */
struct rxe_fault_user {
	kuid_t owner;
	unsigned int programs;
	struct list_head entry;
	unsigned int asleep;
	struct list_head queues;
	struct list_head turn;
};

static atomic_t rxe_fault_queues;

/* around the search for a program or a user, until it is in its list */
static DEFINE_MUTEX(rxe_fault_lock);
static LIST_HEAD(rxe_fault_programs);
static LIST_HEAD(rxe_fault_users);

/* guards what says whose turn it is; taken under the locks of QPs' queues */
static DEFINE_SPINLOCK(rxe_turns_lock);
/* users with jobs that wait for their turn, the next one first */
static LIST_HEAD(rxe_turns);
static unsigned int rxe_asleep;

/* waits for faults: not on rxe_wq, which serves memory reclaim */
static struct workqueue_struct *rxe_fault_reaper;

static struct rxe_fault_user *rxe_fault_user_get(void)
{
	kuid_t owner = rxe_current_user();
	struct rxe_fault_user *user;

	lockdep_assert_held(&rxe_fault_lock);
	list_for_each_entry(user, &rxe_fault_users, entry)
		if (uid_eq(user->owner, owner))
			goto found;

	user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);
	if (!user)
		return NULL;
	user->owner = owner;
	INIT_LIST_HEAD(&user->queues);
	INIT_LIST_HEAD(&user->turn);
	list_add(&user->entry, &rxe_fault_users);
found:
	user->programs++;
	return user;
}

static void rxe_fault_user_put(struct rxe_fault_user *user)
{
	lockdep_assert_held(&rxe_fault_lock);
	if (--user->programs)
		return;
	list_del(&user->entry);
	kfree(user);
}

/* A program without jobs that wait has no place among those that take turns. */
static void rxe_place_leave(struct rxe_fault_queue *queue)
{
	lockdep_assert_held(&rxe_turns_lock);
	if (!list_empty(&queue->waiting) || queue->trying)
		return;
	list_del_init(&queue->turn);
	if (list_empty(&queue->user->queues))
		list_del_init(&queue->user->turn);
}

/* Take a job out that waits for its turn. */
static void rxe_turn_leave(struct rxe_fault_job *job)
{
	lockdep_assert_held(&rxe_turns_lock);
	list_del_init(&job->entry);
	rxe_place_leave(job->queue);
}

/*
 * On the CPU that missed the page, as the first time: the QP goes on there, under
 * the holds of its places.
 */
static void rxe_fault_job_queue(struct rxe_fault_job *job)
{
	int cpu = cpu_online(job->cpu) ? job->cpu : WORK_CPU_UNBOUND;

	queue_work_on(cpu, job->queue->wq, &job->work);
}

/* A user's first job does not wait, however many of others sleep. */
static bool rxe_user_may_sleep(const struct rxe_fault_user *user)
{
	lockdep_assert_held(&rxe_turns_lock);
	if (rxe_broken(fault_turns))
		return true;
	return !user->asleep || (user->asleep < RXE_ASLEEP_USER &&
				 rxe_asleep < RXE_ASLEEP_ALL);
}

static struct rxe_fault_queue *rxe_next_turn(void)
{
	struct rxe_fault_queue *queue;
	struct rxe_fault_user *user;

	lockdep_assert_held(&rxe_turns_lock);
	list_for_each_entry(user, &rxe_turns, turn) {
		if (!rxe_user_may_sleep(user))
			continue;
		list_for_each_entry(queue, &user->queues, turn)
			if (!list_empty(&queue->waiting) &&
			    (queue->asleep < RXE_ASLEEP_PROGRAM ||
			     rxe_broken(fault_turns)))
				return queue;
	}
	return NULL;
}

static void rxe_count_asleep(struct rxe_fault_queue *queue, int change)
{
	lockdep_assert_held(&rxe_turns_lock);
	queue->asleep += change;
	queue->user->asleep += change;
	/* pairs with rxe_faults_asleep() */
	WRITE_ONCE(rxe_asleep, rxe_asleep + change);
}

/* Users have turns, and each user's programs have turns of these. */
static void rxe_give_turns(void)
{
	struct rxe_fault_queue *queue;
	struct rxe_fault_job *job;

	lockdep_assert_held(&rxe_turns_lock);
	while ((queue = rxe_next_turn())) {
		job = list_first_entry(&queue->waiting, struct rxe_fault_job,
				       entry);
		list_move_tail(&queue->turn, &queue->user->queues);
		list_move_tail(&queue->user->turn, &rxe_turns);
		rxe_turn_leave(job);
		rxe_count_asleep(rxe_fault_queue_get(queue), 1);
		job->may_sleep = true;
		rxe_fault_job_queue(job);
	}
}

/* Tell whether the job waits now; else it was cancelled. */
static bool rxe_await_turn(struct rxe_fault_job *job)
{
	struct rxe_fault_queue *queue = job->queue;
	bool waits;

	spin_lock_bh(&rxe_turns_lock);
	waits = !job->cancelled;
	if (!waits)
		goto unlock;
	list_add_tail(&job->entry, &queue->waiting);
	if (list_empty(&queue->turn))
		list_add_tail(&queue->turn, &queue->user->queues);
	if (list_empty(&queue->user->turn))
		list_add_tail(&queue->user->turn, &rxe_turns);
	/* if it is its turn, it runs when the caller, its worker, has returned */
	rxe_give_turns();
	if (!list_empty(&queue->waiting))
		queue_delayed_work(queue->wq, &queue->again, RXE_AGAIN_DELAY);
unlock:
	spin_unlock_bh(&rxe_turns_lock);
	return waits;
}

static void rxe_end_turn(struct rxe_fault_queue *queue)
{
	spin_lock_bh(&rxe_turns_lock);
	rxe_count_asleep(queue, -1);
	rxe_give_turns();
	spin_unlock_bh(&rxe_turns_lock);
	rxe_fault_queue_put(queue);
}

/* Returns whether the job has ended; else it waits for its turn. */
static bool rxe_fault_job_try(struct rxe_fault_job *job)
{
	if (!rxe_broken(fault_nowait) && likely(job->run(job, false)))
		return true;
	if (rxe_await_turn(job))
		return false;
	job->run(job, true);
	return true;
}

static void rxe_fault_job_try_again(struct rxe_fault_job *job)
{
	struct rxe_fault_queue *queue = job->queue;
	bool ended;

	/* it may be started anew as it runs, and be gone afterwards */
	job->trying = false;
	ended = rxe_fault_job_try(job);

	spin_lock_bh(&rxe_turns_lock);
	/* so may all others, as when the program is dead: each ended one has some tried */
	if (ended && !list_empty(&queue->waiting))
		mod_delayed_work(queue->wq, &queue->again, 0);
	queue->trying--;
	rxe_place_leave(queue);
	spin_unlock_bh(&rxe_turns_lock);
	rxe_fault_queue_put(queue);
}

static void rxe_fault_job_sleep(struct rxe_fault_job *job)
{
	struct rxe_fault_queue *queue = job->queue;

	/* as above */
	job->may_sleep = false;
	job->run(job, true);
	rxe_end_turn(queue);
}

static void rxe_fault_job_work(struct work_struct *work)
{
	struct rxe_fault_job *job = container_of(work, struct rxe_fault_job,
						 work);

	if (unlikely(job->may_sleep))
		rxe_fault_job_sleep(job);
	else if (unlikely(job->trying))
		rxe_fault_job_try_again(job);
	else
		rxe_fault_job_try(job);
}

/*
 * The pages of a job that waits for its turn may have come without it: others
 * have touched them, or a read has ended that the last try had begun. Its program
 * keeps its place meanwhile.
 */
static void rxe_fault_again(struct work_struct *work)
{
	struct rxe_fault_queue *queue =
		container_of(to_delayed_work(work), struct rxe_fault_queue,
			     again);
	int budget = RXE_AGAIN_BUDGET;
	struct rxe_fault_job *job;

	spin_lock_bh(&rxe_turns_lock);
	while (budget-- && !list_empty(&queue->waiting)) {
		job = list_first_entry(&queue->waiting, struct rxe_fault_job,
				       entry);
		list_del_init(&job->entry);
		job->trying = true;
		rxe_fault_queue_get(queue)->trying++;
		rxe_fault_job_queue(job);
	}
	if (!list_empty(&queue->waiting))
		queue_delayed_work(queue->wq, &queue->again, RXE_AGAIN_DELAY);
	spin_unlock_bh(&rxe_turns_lock);
}

static void rxe_fault_queue_free(struct work_struct *work)
{
	struct rxe_fault_queue *queue =
		container_of(work, struct rxe_fault_queue, free);

	cancel_delayed_work_sync(&queue->again);
	/* waits for the worker that has dropped the last reference to return */
	destroy_workqueue(queue->wq);

	mutex_lock(&rxe_fault_lock);
	list_del(&queue->entry);
	rxe_work_program_remove(queue->mm);
	rxe_fault_user_put(queue->user);
	mutex_unlock(&rxe_fault_lock);
	mmdrop(queue->mm);
	kfree(queue);
	if (atomic_dec_and_test(&rxe_fault_queues))
		wake_up_var(&rxe_fault_queues);
}

static struct rxe_fault_queue *rxe_fault_queue_create(void)
{
	unsigned int flags = WQ_CPU_INTENSIVE | RXE_WQ_PERCPU;
	struct rxe_fault_queue *queue;

	lockdep_assert_held(&rxe_fault_lock);
	queue = kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);
	if (!queue)
		return NULL;

	/* of ordinary priority, as the faults of the program's own threads are */
	if (rxe_broken(cpu_share))
		flags |= WQ_HIGHPRI;
	queue->wq = alloc_workqueue("rxe_fault", flags, RXE_FAULT_ACTIVE);
	if (!queue->wq)
		goto free_queue;

	queue->user = rxe_fault_user_get();
	if (!queue->user)
		goto destroy_wq;

	queue->mm = current->mm;
	if (rxe_work_program_add(queue->mm))
		goto put_user;

	refcount_set(&queue->refs, 1);
	mmgrab(queue->mm);
	INIT_LIST_HEAD(&queue->waiting);
	INIT_LIST_HEAD(&queue->turn);
	INIT_DELAYED_WORK(&queue->again, rxe_fault_again);
	INIT_WORK(&queue->free, rxe_fault_queue_free);
	list_add(&queue->entry, &rxe_fault_programs);
	atomic_inc(&rxe_fault_queues);
	return queue;

put_user:
	rxe_fault_user_put(queue->user);
destroy_wq:
	destroy_workqueue(queue->wq);
free_queue:
	kfree(queue);
	return NULL;
}

/**
 * rxe_fault_queue_open - get the calling program's workers
 *
 * All contexts of a program share them, however often it opens devices: this is
 * what the limit of sleeping jobs is for. Programs have workers of their own, so
 * that jobs of one do not wait behind those of another. A program is its address
 * space, which is not all that a user may have of: a context may be handed to
 * another process, or outlive an exec(). So users have a limit, too.
 *
 * A job runs on the CPU that missed the page, where the QP goes on, too: a
 * workqueue without CPUs of its own would have packets of a flow change them.
 *
 * Context: the program's; may sleep.
 * Return: the queue with a reference, or NULL: no memory.
 */
struct rxe_fault_queue *rxe_fault_queue_open(void)
{
	kuid_t owner = rxe_current_user();
	struct rxe_fault_queue *queue;

	mutex_lock(&rxe_fault_lock);
	list_for_each_entry(queue, &rxe_fault_programs, entry)
		if (queue->mm == current->mm &&
		    uid_eq(queue->user->owner, owner) &&
		    refcount_inc_not_zero(&queue->refs))
			goto unlock;
	queue = rxe_fault_queue_create();
unlock:
	mutex_unlock(&rxe_fault_lock);
	return queue;
}

/**
 * rxe_fault_queue_get - hold a program's workers
 * @queue: held by the caller in some way already
 *
 * Context: any.
 * Return: @queue.
 */
struct rxe_fault_queue *rxe_fault_queue_get(struct rxe_fault_queue *queue)
{
	refcount_inc(&queue->refs);
	return queue;
}

/**
 * rxe_fault_queue_put - drop a reference to a program's workers
 * @queue: held by the caller, which may be one of them
 *
 * Context: any.
 */
void rxe_fault_queue_put(struct rxe_fault_queue *queue)
{
	if (refcount_dec_and_test(&queue->refs))
		queue_work(rxe_fault_reaper, &queue->free);
}

/**
 * rxe_fault_job_init - initialise a job
 * @job: the job
 * @queue: the program's workers, held for as long as the job is
 * @run: see struct rxe_fault_job
 *
 * Context: any.
 */
void rxe_fault_job_init(struct rxe_fault_job *job,
			struct rxe_fault_queue *queue,
			bool (*run)(struct rxe_fault_job *job, bool may_sleep))
{
	INIT_WORK(&job->work, rxe_fault_job_work);
	INIT_LIST_HEAD(&job->entry);
	job->queue = queue;
	job->run = run;
	job->cpu = 0;
	job->may_sleep = false;
	job->trying = false;
	job->cancelled = false;
}

/**
 * rxe_fault_job_start - have a worker run a job
 * @job: the job, which does not run, unless its own run() is the caller
 *
 * Context: any.
 */
void rxe_fault_job_start(struct rxe_fault_job *job)
{
	job->cpu = raw_smp_processor_id();
	queue_work(job->queue->wq, &job->work);
}

/**
 * rxe_fault_job_cancel - let a job that was started not wait for its turn
 * @job: held by the caller; its run() returns at once from now on, unless it
 *	 sleeps already
 *
 * Context: BH disabled.
 */
void rxe_fault_job_cancel(struct rxe_fault_job *job)
{
	lockdep_assert_in_softirq();
	spin_lock(&rxe_turns_lock);
	job->cancelled = true;
	if (!list_empty(&job->entry)) {
		rxe_turn_leave(job);
		rxe_fault_job_queue(job);
	}
	spin_unlock(&rxe_turns_lock);
}

/**
 * rxe_faults_asleep - count the faults that may sleep
 *
 * Context: any.
 * Return: how many there are now, of all programs.
 */
unsigned int rxe_faults_asleep(void)
{
	return READ_ONCE(rxe_asleep);
}

/**
 * rxe_fault_queues_init - create the workqueue that destroys fault queues
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int rxe_fault_queues_init(void)
{
	rxe_fault_reaper = alloc_workqueue("rxe_fault_reaper", WQ_UNBOUND, 0);
	return rxe_fault_reaper ? 0 : -ENOMEM;
}

/**
 * rxe_fault_queues_exit - wait for the last worker
 *
 * Those of prefetches are left: rxe_anchors_wait() has waited for the others.
 *
 * Context: may sleep for as long as a fault may; no program is left.
 */
void rxe_fault_queues_exit(void)
{
	while (!wait_var_event_timeout(&rxe_fault_queues,
				       !atomic_read(&rxe_fault_queues),
				       RXE_UNLOAD_PATIENCE))
		pr_warn("unloading waits for prefetches of %d programs that nobody serves (%u faults)\n",
			atomic_read(&rxe_fault_queues), rxe_faults_asleep());
	/* the last one may be on its way out of rxe_fault_queue_free() */
	destroy_workqueue(rxe_fault_reaper);
}
