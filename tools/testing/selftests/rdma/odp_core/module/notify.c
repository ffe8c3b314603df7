// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The core's notifier callbacks, called as the mm calls them, with ranges and
 * at moments of the test's choice.
 */
#include <linux/sched.h>

#include "test.h"

/* The context stays until the file is closed, as the mm is alive. */
static struct odp_context *my_context(struct test_file *file)
{
	struct odp_context *ctx, *mine = NULL;

	mutex_lock(&file->owner.lock);
	list_for_each_entry(ctx, &file->owner.contexts, owner_link)
		if (ctx->mm == current->mm)
			mine = ctx;
	mutex_unlock(&file->owner.lock);
	return mine;
}

static void init_range(struct mmu_notifier_range *range,
		       const struct odp_test_cmd *cmd)
{
	*range = (struct mmu_notifier_range) {
		.mm = current->mm,
		.start = cmd->start,
		.end = cmd->start + cmd->len,
		.event = MMU_NOTIFY_CLEAR,
	};
	if (!(cmd->flags & ODP_TEST_NON_BLOCKABLE))
		range->flags = MMU_NOTIFIER_RANGE_BLOCKABLE;
}

long test_notify_start(struct test_file *file, struct odp_test_cmd *cmd)
{
	struct odp_context *ctx = my_context(file);
	struct mmu_notifier_range range;
	long ret;

	if (!ctx)
		return -ENOENT;
	init_range(&range, cmd);

	/* a debug kernel warns if the callback sleeps */
	if (cmd->flags & ODP_TEST_NON_BLOCKABLE)
		preempt_disable();
	ret = ctx->mn.ops->invalidate_range_start(&ctx->mn, &range);
	if (cmd->flags & ODP_TEST_NON_BLOCKABLE)
		preempt_enable();
	return ret;
}

long test_notify_end(struct test_file *file, struct odp_test_cmd *cmd)
{
	struct odp_context *ctx = my_context(file);
	struct mmu_notifier_range range;

	if (!ctx)
		return -ENOENT;
	init_range(&range, cmd);
	ctx->mn.ops->invalidate_range_end(&ctx->mn, &range);
	return 0;
}

long test_young(struct test_file *file, struct odp_test_cmd *cmd)
{
	struct odp_context *ctx = my_context(file);
	const struct mmu_notifier_ops *ops;
	bool young;

	if (!ctx)
		return -ENOENT;

	ops = ctx->mn.ops;
	/* the mm holds the page-table lock */
	preempt_disable();
	if (cmd->flags & ODP_TEST_CLEAR)
		young = ops->clear_flush_young(&ctx->mn, current->mm,
					       cmd->start,
					       cmd->start + cmd->len);
	else
		young = ops->test_young(&ctx->mn, current->mm, cmd->start);
	preempt_enable();
	return young;
}

long test_release(struct test_file *file, struct odp_test_cmd *cmd)
{
	struct odp_context *ctx = my_context(file);

	if (!ctx)
		return -ENOENT;
	ctx->mn.ops->release(&ctx->mn, current->mm);
	return 0;
}
