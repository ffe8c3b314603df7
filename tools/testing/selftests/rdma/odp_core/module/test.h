/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Shared by the files of the test module. */
#ifndef TEST_H
#define TEST_H

#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "../odp_core_test.h"
#include "odp/internal.h"

/**
 * struct test_file - an open file
 * @owner: the owner of its umems
 * @umems: struct test_umem by number; they stay until the file is closed
 * @totals: of all umems
 */
struct test_file {
	struct odp_owner owner;
	struct xarray umems;
	struct odp_counters totals;
};

/**
 * struct test_umem - a registered umem
 * @umem: held as long as this is, so that a broken core shows as a failed test
 *	  and not as a crash
 * @refs: the file's, and one of a fault in a kernel thread
 * @ops: its own, so that a zap finds the test_umem
 * @lock: guards @destroyed
 * @destroyed: odp_umem_destroy() has been called
 * @zaps: calls of the zap callback
 * @bad_zaps: calls that break a rule
 * @zap_start: of the last one
 * @zap_end: of the last one
 * @work: a fault in a kernel thread, by @async
 * @async: the command of that fault
 * @result: of it
 * @done: completed when @result is there
 */
struct test_umem {
	struct odp_umem *umem;
	refcount_t refs;
	struct odp_umem_ops ops;
	/* lets one destruction happen only */
	struct mutex lock;
	bool destroyed;
	atomic64_t zaps;
	atomic64_t bad_zaps;
	unsigned long zap_start;
	unsigned long zap_end;
	struct work_struct work;
	struct odp_test_cmd async;
	int result;
	struct completion done;
};

/* main.c: faults in kernel threads */
extern struct workqueue_struct *test_wq;

typedef long (*test_cmd_t)(struct test_file *file, struct odp_test_cmd *cmd);

/* umem.c */
struct test_umem *test_umem_find(struct test_file *file, u32 number);
void test_umems_free(struct test_file *file);
long test_register(struct test_file *file, struct odp_test_cmd *cmd);
long test_destroy(struct test_file *file, struct odp_test_cmd *cmd);
long test_fault(struct test_file *file, struct odp_test_cmd *cmd);
long test_fault_async(struct test_file *file, struct odp_test_cmd *cmd);
long test_join(struct test_file *file, struct odp_test_cmd *cmd);
long test_access(struct test_file *file, struct odp_test_cmd *cmd);
long test_page_refs(struct test_file *file, struct odp_test_cmd *cmd);
long test_reap(struct test_file *file, struct odp_test_cmd *cmd);
long test_state(struct test_file *file, struct odp_test_state *state);

/* notify.c */
long test_notify_start(struct test_file *file, struct odp_test_cmd *cmd);
long test_notify_end(struct test_file *file, struct odp_test_cmd *cmd);
long test_young(struct test_file *file, struct odp_test_cmd *cmd);
long test_release(struct test_file *file, struct odp_test_cmd *cmd);

/* hook.c */
void test_hooks_init(void);
void test_hooks_let_go(void);
long test_hold(struct test_file *file, struct odp_test_cmd *cmd);
long test_reached(struct test_file *file, struct odp_test_cmd *cmd);
long test_next(struct test_file *file, struct odp_test_cmd *cmd);
long test_let_go(struct test_file *file, struct odp_test_cmd *cmd);
long test_passed(struct test_file *file, struct odp_test_cmd *cmd);
long test_patience(struct test_file *file, struct odp_test_cmd *cmd);

#endif
