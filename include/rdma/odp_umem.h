/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * On-demand paging of user memory for RDMA drivers: ranges of a process's
 * address space that a driver may read and write, at any time and from
 * softirq, without pinning any page of them.
 *
 * A driver embeds a struct odp_owner in its user context, registers ranges as
 * struct odp_umem, and then needs two calls: odp_umem_access() uses memory that
 * is present, in process context or softirq; odp_umem_fault() makes it present,
 * in a worker, when an access returns -EAGAIN.
 */
#ifndef RDMA_ODP_UMEM_H
#define RDMA_ODP_UMEM_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/interval_tree.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct odp_umem;
struct task_struct;

/**
 * struct odp_hold - pages that a task is about to use: odp_umem_hold()
 * @node: the pages
 * @umem: their umem
 * @task: the task
 * @waiting: it waits for notifiers that run over them
 * @since: when the hold began, or @waiting last changed, in jiffies
 */
struct odp_hold {
	struct interval_tree_node node;
	struct odp_umem *umem;
	struct task_struct *task;
	bool waiting;
	unsigned long since;
};

/**
 * struct odp_owner - the ODP contexts of one ucontext
 * @lock: serialises the making of contexts; never taken in a notifier
 * @contexts: one ODP context for each mm that registers through the owner
 */
struct odp_owner {
	/* around subscription, which takes all locks of a mm */
	struct mutex lock;
	struct list_head contexts;
};

/**
 * struct odp_counters - statistics of one umem
 * @page_faults: pages looked up and published because an access missed them
 * @page_invalidations: published pages that a notifier zapped
 * @page_prefetch: pages looked up and published ahead of any access
 * @retries: look-ups thrown away because a notifier moved the sequence
 * @mapped: pages published now
 */
struct odp_counters {
	atomic64_t page_faults;
	atomic64_t page_invalidations;
	atomic64_t page_prefetch;
	atomic64_t retries;
	atomic64_t mapped;
};

/**
 * struct odp_umem_ops - what the core asks of the driver
 * @zap: stop using [start, end) of @umem, a part of its pages: when it returns
 *	 no CPU reads or writes through an entry of the range. Called from
 *	 notifiers, for one umem on several CPUs at once, and not after
 *	 odp_umem_destroy() has returned. Must not allocate, fail, or take a
 *	 mutex, nor sleep unless @blockable. Drivers whose only page table is
 *	 the umem's own use odp_umem_zap().
 */
struct odp_umem_ops {
	void (*zap)(struct odp_umem *umem, unsigned long start,
		    unsigned long end, bool blockable);
};

/* odp_umem_fault(): for writing, else for reading only */
#define ODP_FAULT_WRITE		BIT(0)
/* odp_umem_fault(): ahead of any access; decides which counter grows */
#define ODP_FAULT_PREFETCH	BIT(1)
/* odp_umem_fault(): publish what the CPU has present, and skip the rest */
#define ODP_FAULT_PRESENT	BIT(2)
/* odp_umem_fault(): give up when a notifier takes away what is looked up */
#define ODP_FAULT_TRY		BIT(3)
/* odp_umem_fault(): give up where the memory's owner could let us wait */
#define ODP_FAULT_NOWAIT	BIT(4)

/*
 * One contiguous run of accessible memory. Runs in the context of the access,
 * under a spinlock: must not sleep. Non-zero stops the walk.
 */
typedef int (*odp_actor_t)(void *kaddr, size_t len, void *arg);

void odp_owner_init(struct odp_owner *owner);
void odp_owner_destroy(struct odp_owner *owner);

struct odp_umem *odp_umem_register(struct odp_owner *owner,
				   unsigned long start, size_t length,
				   bool writable, const struct odp_umem_ops *ops,
				   struct odp_counters *totals);
void odp_umem_destroy(struct odp_umem *umem);
void odp_umem_allow_write(struct odp_umem *umem);

void odp_umem_get(struct odp_umem *umem);
void odp_umem_put(struct odp_umem *umem);

pid_t odp_umem_pid(const struct odp_umem *umem);
const struct odp_counters *odp_umem_counters(const struct odp_umem *umem);
void odp_umem_zap(struct odp_umem *umem, unsigned long start,
		  unsigned long end, bool blockable);

void odp_umem_hold(struct odp_hold *hold, struct odp_umem *umem,
		   unsigned long addr, size_t len);
void odp_umem_unhold(struct odp_hold *hold);
int odp_umem_fault(struct odp_umem *umem, unsigned long addr, size_t len,
		   unsigned int flags, struct odp_hold *hold);
int odp_umem_access(struct odp_umem *umem, unsigned long addr, size_t len,
		    bool write, odp_actor_t actor, void *arg);

#endif
