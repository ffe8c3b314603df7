// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Hold threads at the core's named points, and break its rules.
 */
#include <linux/module.h>
#include <linux/sysfs.h>
#include <linux/wait.h>

#include "test.h"

static_assert(ODP_TEST_LOOKED_UP == (int)ODP_POINT_LOOKED_UP);
static_assert(ODP_TEST_WAITING == (int)ODP_POINT_WAITING);
static_assert(ODP_TEST_STARTED == (int)ODP_POINT_STARTED);
static_assert(ODP_TEST_DYING == (int)ODP_POINT_DYING);
static_assert(ODP_TEST_BEGUN == (int)ODP_POINT_BEGUN);
static_assert(ODP_TEST_WOKEN == (int)ODP_POINT_WOKEN);
static_assert(ODP_TEST_HELD_BACK == (int)ODP_POINT_HELD_BACK);

static const char * const rules[] = {
	[ODP_RULE_NONE] = "none",
	[ODP_RULE_COUNT] = "count",
	[ODP_RULE_SEQUENCE] = "sequence",
	[ODP_RULE_DYING] = "dying",
	[ODP_RULE_DEAD] = "dead",
	[ODP_RULE_EXCLUDE_COPIES] = "exclude_copies",
	[ODP_RULE_NON_BLOCKABLE] = "non_blockable",
	[ODP_RULE_NO_PIN] = "no_pin",
	[ODP_RULE_WRITE_LOOKUP] = "write_lookup",
	[ODP_RULE_WAKE] = "wake",
	[ODP_RULE_WAKE_ONLY] = "wake_only",
	[ODP_RULE_RANGE] = "range",
	[ODP_RULE_OWN] = "own",
	[ODP_RULE_ONE_PAGE] = "one_page",
	[ODP_RULE_OVERFLOW] = "overflow",
	[ODP_RULE_COMPLETION] = "completion",
	[ODP_RULE_SPARSE] = "sparse",
	[ODP_RULE_EMPTY_LEAF] = "empty_leaf",
	[ODP_RULE_PROGRESS] = "progress",
	[ODP_RULE_GOES_FIRST] = "goes_first",
	[ODP_RULE_PATIENCE] = "patience",
	[ODP_RULE_OUTLAST] = "outlast",
	[ODP_RULE_HOLDS_BACK_LOOKUPS] = "holds_back_lookups",
	[ODP_RULE_YOUNG] = "young",
	[ODP_RULE_CHARGE] = "charge",
	[ODP_RULE_PRESENT] = "present",
};

static_assert(ARRAY_SIZE(rules) == ODP_RULE_NUM);

static int break_rule;

static int set_break_rule(const char *val, const struct kernel_param *kp)
{
	int rule = sysfs_match_string(rules, val);

	if (rule < 0)
		return rule;
	WRITE_ONCE(break_rule, rule);
	return 0;
}

/* List all rules, the broken one in brackets. */
static int get_break_rule(char *buf, const struct kernel_param *kp)
{
	int i, len = 0;

	for (i = 0; i < ODP_RULE_NUM; i++)
		len += sysfs_emit_at(buf, len, odp_broken(i) ? "[%s] " : "%s ",
				     rules[i]);
	return len + sysfs_emit_at(buf, len, "\n");
}

static const struct kernel_param_ops break_rule_ops = {
	.set = set_break_rule,
	.get = get_break_rule,
};

module_param_cb(break_rule, &break_rule_ops, NULL, 0600);
MODULE_PARM_DESC(break_rule, "the rule that the core breaks, to see its test fail");

/**
 * struct test_point - a point of the core
 * @ms: hold threads for so long at most; 0: do not
 * @held: threads that are held
 * @tickets: threads that were let go one by one
 * @passed: threads that have reached the point, held or not
 * @wait: both sides sleep here
 */
static struct test_point {
	u64 ms;
	atomic_t held;
	atomic_t tickets;
	atomic_t passed;
	wait_queue_head_t wait;
} points[ODP_TEST_POINTS];

bool odp_broken(enum odp_rule rule)
{
	return READ_ONCE(break_rule) == rule;
}

static u64 patience_ms;

unsigned long odp_patience(unsigned long ticks)
{
	u64 ms = READ_ONCE(patience_ms);

	return ms ? msecs_to_jiffies(ms) : ticks;
}

static bool may_go(struct test_point *point)
{
	return !READ_ONCE(point->ms) ||
	       atomic_dec_if_positive(&point->tickets) >= 0;
}

void odp_hook(enum odp_point nr, struct odp_umem *umem)
{
	struct test_point *point = &points[nr];
	u64 ms = READ_ONCE(point->ms);

	atomic_inc(&point->passed);
	if (!ms)
		return;

	might_sleep();
	atomic_inc(&point->held);
	wake_up_all(&point->wait);
	/* killable: a program that has failed its test ends at once */
	wait_event_killable_timeout(point->wait, may_go(point),
				    msecs_to_jiffies(ms));
	atomic_dec(&point->held);
}

static struct test_point *find_point(const struct odp_test_cmd *cmd)
{
	return cmd->start < ODP_TEST_POINTS ? &points[cmd->start] : NULL;
}

long test_hold(struct test_file *file, struct odp_test_cmd *cmd)
{
	struct test_point *point = find_point(cmd);

	if (!point)
		return -EINVAL;
	atomic_set(&point->tickets, 0);
	WRITE_ONCE(point->ms, cmd->ms);
	return 0;
}

long test_reached(struct test_file *file, struct odp_test_cmd *cmd)
{
	struct test_point *point = find_point(cmd);
	long left;

	if (!point)
		return -EINVAL;
	left = wait_event_killable_timeout(point->wait,
					   atomic_read(&point->held),
					   msecs_to_jiffies(cmd->ms));
	if (left < 0)
		return left;
	return left ? 0 : -ETIMEDOUT;
}

long test_next(struct test_file *file, struct odp_test_cmd *cmd)
{
	struct test_point *point = find_point(cmd);

	if (!point)
		return -EINVAL;
	atomic_inc(&point->tickets);
	wake_up_all(&point->wait);
	return 0;
}

long test_let_go(struct test_file *file, struct odp_test_cmd *cmd)
{
	struct test_point *point = find_point(cmd);

	if (!point)
		return -EINVAL;
	WRITE_ONCE(point->ms, 0);
	wake_up_all(&point->wait);
	return 0;
}

long test_passed(struct test_file *file, struct odp_test_cmd *cmd)
{
	struct test_point *point = find_point(cmd);

	return point ? atomic_read(&point->passed) : -EINVAL;
}

long test_patience(struct test_file *file, struct odp_test_cmd *cmd)
{
	WRITE_ONCE(patience_ms, cmd->ms);
	return 0;
}

void test_hooks_let_go(void)
{
	struct odp_test_cmd cmd = {};

	WRITE_ONCE(patience_ms, 0);
	for (; cmd.start < ODP_TEST_POINTS; cmd.start++)
		test_let_go(NULL, &cmd);
}

void test_hooks_init(void)
{
	int i;

	for (i = 0; i < ODP_TEST_POINTS; i++)
		init_waitqueue_head(&points[i].wait);
}
