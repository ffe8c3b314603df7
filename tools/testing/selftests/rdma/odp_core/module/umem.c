// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The calls that a driver makes.
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "test.h"

static bool may_zap(struct odp_umem *umem, bool blockable)
{
	if (blockable && preempt_count())
		return false;
	/* in the tests that check this no other thread holds the lock */
	if (!spin_trylock(&umem->ctx->lock))
		return false;
	spin_unlock(&umem->ctx->lock);
	return true;
}

static void test_zap(struct odp_umem *umem, unsigned long start,
		     unsigned long end, bool blockable)
{
	struct test_umem *tu = container_of(umem->ops, struct test_umem, ops);

	if (!may_zap(umem, blockable))
		atomic64_inc(&tu->bad_zaps);
	atomic64_inc(&tu->zaps);
	tu->zap_start = start;
	tu->zap_end = end;
	/* never sleep in atomic context, whatever @blockable says */
	odp_umem_zap(umem, start, end, blockable && !preempt_count());
}

static unsigned int fault_flags(const struct odp_test_cmd *cmd)
{
	return (cmd->flags & ODP_TEST_WRITE ? ODP_FAULT_WRITE : 0) |
	       (cmd->flags & ODP_TEST_PREFETCH ? ODP_FAULT_PREFETCH : 0) |
	       (cmd->flags & ODP_TEST_PRESENT ? ODP_FAULT_PRESENT : 0) |
	       (cmd->flags & ODP_TEST_NOWAIT ? ODP_FAULT_NOWAIT : 0);
}

static void test_umem_put(struct test_umem *tu)
{
	if (!refcount_dec_and_test(&tu->refs))
		return;

	odp_umem_put(tu->umem);
	kfree(tu);
}

static void async_work(struct work_struct *work)
{
	struct test_umem *tu = container_of(work, struct test_umem, work);

	tu->result = odp_umem_fault(tu->umem, tu->async.start, tu->async.len,
				    fault_flags(&tu->async), NULL);
	complete_all(&tu->done);
	test_umem_put(tu);
}

struct test_umem *test_umem_find(struct test_file *file, u32 number)
{
	return xa_load(&file->umems, number);
}

long test_register(struct test_file *file, struct odp_test_cmd *cmd)
{
	struct odp_umem *umem;
	struct test_umem *tu;
	int err;

	tu = kzalloc(sizeof(*tu), GFP_KERNEL);
	if (!tu)
		return -ENOMEM;
	tu->ops.zap = test_zap;
	refcount_set(&tu->refs, 1);
	mutex_init(&tu->lock);
	INIT_WORK(&tu->work, async_work);
	init_completion(&tu->done);

	umem = odp_umem_register(&file->owner, cmd->start, cmd->len,
				 cmd->flags & ODP_TEST_WRITE, &tu->ops,
				 &file->totals);
	if (IS_ERR(umem)) {
		err = PTR_ERR(umem);
		goto free_tu;
	}
	odp_umem_get(umem);
	tu->umem = umem;

	err = xa_alloc(&file->umems, &cmd->umem, tu, xa_limit_31b, GFP_KERNEL);
	if (err)
		goto destroy_umem;
	return 0;

destroy_umem:
	odp_umem_destroy(umem);
	odp_umem_put(umem);
free_tu:
	kfree(tu);
	return err;
}

static void destroy_once(struct test_umem *tu)
{
	bool destroyed;

	mutex_lock(&tu->lock);
	destroyed = tu->destroyed;
	tu->destroyed = true;
	mutex_unlock(&tu->lock);

	if (!destroyed)
		odp_umem_destroy(tu->umem);
}

long test_destroy(struct test_file *file, struct odp_test_cmd *cmd)
{
	struct test_umem *tu = test_umem_find(file, cmd->umem);

	if (!tu)
		return -ENOENT;
	destroy_once(tu);
	return 0;
}

void test_umems_free(struct test_file *file)
{
	struct test_umem *tu;
	unsigned long i;

	xa_for_each(&file->umems, i, tu)
		destroy_once(tu);
	odp_owner_destroy(&file->owner);

	/* faults may sleep for as long as a program likes: do not wait for them */
	xa_for_each(&file->umems, i, tu)
		test_umem_put(tu);
	xa_destroy(&file->umems);
}

long test_fault(struct test_file *file, struct odp_test_cmd *cmd)
{
	struct test_umem *tu = test_umem_find(file, cmd->umem);

	if (!tu)
		return -ENOENT;
	return odp_umem_fault(tu->umem, cmd->start, cmd->len,
			      fault_flags(cmd), NULL);
}

long test_fault_async(struct test_file *file, struct odp_test_cmd *cmd)
{
	struct test_umem *tu = test_umem_find(file, cmd->umem);

	if (!tu)
		return -ENOENT;
	flush_work(&tu->work);
	reinit_completion(&tu->done);
	tu->async = *cmd;
	refcount_inc(&tu->refs);
	queue_work(test_wq, &tu->work);
	return 0;
}

long test_join(struct test_file *file, struct odp_test_cmd *cmd)
{
	struct test_umem *tu = test_umem_find(file, cmd->umem);

	if (!tu)
		return -ENOENT;
	if (!wait_for_completion_timeout(&tu->done, msecs_to_jiffies(cmd->ms)))
		return -EBUSY;
	return tu->result;
}

struct test_copy {
	char *at;
	u64 ms;
	bool write;
	u64 done;
};

/*
 * Only a broken core hands out a free page, or the zero page for writing. Refuse
 * them: the test has to fail, not the machine.
 */
static bool harmless(void *kaddr, bool write)
{
	struct page *page = virt_to_page(kaddr);

	return page_count(page) && !(write && is_zero_pfn(page_to_pfn(page)));
}

static int copy_actor(void *kaddr, size_t len, void *arg)
{
	struct test_copy *copy = arg;
	u64 i;

	if (!harmless(kaddr, copy->write))
		return -EIO;
	/* before the copy, which shows if the page is taken away meanwhile */
	for (i = 0; i < copy->ms; i++)
		mdelay(1);
	if (copy->write)
		memcpy(kaddr, copy->at, len);
	else
		memcpy(copy->at, kaddr, len);
	copy->at += len;
	/* here, where notifiers are still kept waiting */
	copy->done = ktime_get_ns();
	return 0;
}

/* With softirqs off, as in the softirq that receives packets. */
static int access(struct odp_umem *umem, struct odp_test_cmd *cmd, void *buf)
{
	struct test_copy copy = {
		.at = buf,
		.ms = cmd->ms,
		.write = cmd->flags & ODP_TEST_WRITE,
	};
	int err;

	local_bh_disable();
	err = odp_umem_access(umem, cmd->start, cmd->len, copy.write,
			      copy_actor, &copy);
	local_bh_enable();
	cmd->at = copy.done;
	return err;
}

long test_access(struct test_file *file, struct odp_test_cmd *cmd)
{
	struct test_umem *tu = test_umem_find(file, cmd->umem);
	void __user *user = u64_to_user_ptr(cmd->buf);
	void *buf;
	long err;

	if (!tu)
		return -ENOENT;
	if (!cmd->len || cmd->len > SZ_64K)
		return -EINVAL;
	buf = kmalloc(cmd->len, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;

	err = -EINVAL;
	if (cmd->flags & ODP_TEST_WRITE && copy_from_user(buf, user, cmd->len))
		goto free_buf;

	err = access(tu->umem, cmd, buf);
	if (!err && !(cmd->flags & ODP_TEST_WRITE) &&
	    copy_to_user(user, buf, cmd->len))
		err = -EINVAL;
free_buf:
	kfree(buf);
	return err;
}

static int refs_actor(void *kaddr, size_t len, void *arg)
{
	struct page *page = virt_to_page(kaddr);
	int *refs = arg;

	*refs = page_count(page);
	return 0;
}

long test_page_refs(struct test_file *file, struct odp_test_cmd *cmd)
{
	struct test_umem *tu = test_umem_find(file, cmd->umem);
	int refs = 0, err;

	if (!tu)
		return -ENOENT;
	err = odp_umem_access(tu->umem, cmd->start, 1, false, refs_actor,
			      &refs);
	return err ? err : refs;
}

long test_reap(struct test_file *file, struct odp_test_cmd *cmd)
{
	struct test_umem *tu = test_umem_find(file, cmd->umem);

	if (!tu)
		return -ENOENT;
	flush_delayed_work(&tu->umem->reap);
	return 0;
}

long test_state(struct test_file *file, struct odp_test_state *state)
{
	struct test_umem *tu = test_umem_find(file, state->umem);
	const struct odp_counters *counters;
	struct odp_leaf *leaf;
	unsigned long i;

	if (!tu)
		return -ENOENT;
	counters = odp_umem_counters(tu->umem);
	state->page_faults = atomic64_read(&counters->page_faults);
	state->page_invalidations =
		atomic64_read(&counters->page_invalidations);
	state->page_prefetch = atomic64_read(&counters->page_prefetch);
	state->retries = atomic64_read(&counters->retries);
	state->mapped = atomic64_read(&counters->mapped);
	state->zaps = atomic64_read(&tu->zaps);
	state->bad_zaps = atomic64_read(&tu->bad_zaps);
	state->zap_start = tu->zap_start;
	state->zap_end = tu->zap_end;
	state->total_faults = atomic64_read(&file->totals.page_faults);
	state->leaves = 0;
	xa_for_each(&tu->umem->leaves, i, leaf)
		state->leaves++;
	return 0;
}
