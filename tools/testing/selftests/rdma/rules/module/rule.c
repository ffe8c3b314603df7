// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The rule that this build of the driver breaks now: its parameter "broken"; and what
 * it lowers limits to: "most".
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "base/rule.h"

#define RULE(name, meaning)	{ #name, meaning },

/* by enum rxe_rule; behind them the name of none */
static const struct {
	const char *name;
	const char *meaning;
} rules[] = {
	RXE_RULES(RULE)
	{ "none", "all are kept" },
};

static_assert(ARRAY_SIZE(rules) == RXE_RULE_NUM + 1);

static int broken = RXE_RULE_NUM;

bool rxe_rule_broken(enum rxe_rule rule)
{
	return READ_ONCE(broken) == rule;
}

static int set_broken(const char *val, const struct kernel_param *kp)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		if (!sysfs_streq(rules[i].name, val))
			continue;
		pr_info("rdma_rxe: broken: %s (%s)\n", rules[i].name,
			rules[i].meaning);
		WRITE_ONCE(broken, i);
		return 0;
	}
	return -EINVAL;
}

/* List all rules, the broken one in brackets. */
static int get_broken(char *buf, const struct kernel_param *kp)
{
	int i, len = 0;

	for (i = 0; i < ARRAY_SIZE(rules); i++)
		len += sysfs_emit_at(buf, len, i == READ_ONCE(broken) ?
				     "[%s] " : "%s ", rules[i].name);
	return len + sysfs_emit_at(buf, len, "\n");
}

static const struct kernel_param_ops broken_ops = {
	.set = set_broken,
	.get = get_broken,
};

static unsigned int most = UINT_MAX;

u32 rxe_most(u32 limit)
{
	return min(READ_ONCE(most), limit);
}

module_param(most, uint, 0600);
MODULE_PARM_DESC(most, "what limits are lowered to that are out of a test's reach");

module_param_cb(broken, &broken_ops, NULL, 0600);
MODULE_PARM_DESC(broken, "the rule that is broken, to see its test fail");
