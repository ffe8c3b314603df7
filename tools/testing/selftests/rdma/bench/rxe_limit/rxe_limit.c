// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The least cost of a RoCEv2 driver in software: each side copies every byte once
 * and computes its CRC once. This module measures both on one CPU of this machine,
 * with the kernel's own functions, when it is loaded; its parameters have the
 * results.
 */
#include <linux/crc32.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

/* more than the caches of one core hold, as traffic is */
#define LIMIT_BYTES	(8U << 20)
#define LIMIT_ROUNDS	4

enum { LIMIT_1024, LIMIT_4096, LIMIT_NUM };

static const unsigned int payloads[LIMIT_NUM] = { 1024, 4096 };

static unsigned int copy_ns[LIMIT_NUM];
module_param_array(copy_ns, uint, NULL, 0444);
MODULE_PARM_DESC(copy_ns, "nanoseconds to copy 1024 and 4096 bytes");

static unsigned int crc_ns[LIMIT_NUM];
module_param_array(crc_ns, uint, NULL, 0444);
MODULE_PARM_DESC(crc_ns, "nanoseconds to sum 1024 and 4096 bytes");

static u32 sink;
static u8 *from, *to;

static void copy_one(unsigned int at, unsigned int len)
{
	memcpy(to + at, from + at, len);
	barrier_data(to);
}

static void sum_one(unsigned int at, unsigned int len)
{
	sink ^= crc32_le(~0, from + at, len);
}

/* The fastest of some rounds: disturbances only make a round slower. */
static unsigned int measure(void (*one)(unsigned int at, unsigned int len),
			    unsigned int len)
{
	u64 began, ns, best = U64_MAX;
	unsigned int round, at;

	for (round = 0; round < LIMIT_ROUNDS; round++) {
		cond_resched();
		began = ktime_get_ns();
		for (at = 0; at < LIMIT_BYTES; at += len)
			one(at, len);
		ns = ktime_get_ns() - began;
		best = min(best, ns);
	}
	return div_u64(best, LIMIT_BYTES / len);
}

static int __init limit_init(void)
{
	int i, err = -ENOMEM;

	from = vmalloc(LIMIT_BYTES);
	if (!from)
		return err;

	to = vmalloc(LIMIT_BYTES);
	if (!to)
		goto free_from;

	memset(from, 0x5a, LIMIT_BYTES);
	memset(to, 0, LIMIT_BYTES);
	for (i = 0; i < LIMIT_NUM; i++) {
		copy_ns[i] = measure(copy_one, payloads[i]);
		crc_ns[i] = measure(sum_one, payloads[i]);
	}
	err = 0;

	vfree(to);
free_from:
	vfree(from);
	return err;
}

static void __exit limit_exit(void)
{
}

module_init(limit_init);
module_exit(limit_exit);

MODULE_DESCRIPTION("How fast this machine copies and sums");
MODULE_LICENSE("Dual BSD/GPL");
