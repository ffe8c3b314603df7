// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Fast registration, as users in the kernel have it: memory is mapped to a
 * region in blocks of some size, which need not be that of a page, and a peer
 * writes and reads it. A read of /dev/rdma_fast_reg runs the tests and returns
 * their KTAP.
 */
#include <linux/log2.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/seq_file.h>

#include "fast_reg.h"

#define BLOCK_MIN	((u32)SZ_4K)
/* the most that ib_map_mr_sg() takes */
#define BLOCK_MAX	((u32)SZ_2G)
#define OUTPUT_BYTES	SZ_64K

static char *target = "rxe1";
module_param(target, charp, 0444);
MODULE_PARM_DESC(target, "device whose memory is registered");

static int target_gid = 1;
module_param(target_gid, int, 0444);
MODULE_PARM_DESC(target_gid, "GID index of its address");

static char *peer = "rxe0";
module_param(peer, charp, 0444);
MODULE_PARM_DESC(peer, "device that accesses it");

static int peer_gid = 1;
module_param(peer_gid, int, 0444);
MODULE_PARM_DESC(peer_gid, "GID index of its address");

/**
 * struct test - a run of the tests
 * @out: takes their KTAP
 * @pair: the hosts
 * @failures: of the test that runs
 * @number: of tests that have run
 */
struct test {
	struct seq_file *out;
	struct pair *pair;
	unsigned int failures;
	unsigned int number;
};

static struct pair the_pair;
/* of the pair's devices, and for one run at a time */
static DEFINE_MUTEX(run_lock);

static bool check(struct test *t, bool ok, const char *what)
{
	if (!ok) {
		seq_printf(t->out, "# not true: %s\n", what);
		t->failures++;
	}
	return ok;
}

static bool check_equal(struct test *t, s64 got, s64 want, const char *what)
{
	if (got != want) {
		seq_printf(t->out, "# %s: %lld instead of %lld\n", what, got,
			   want);
		t->failures++;
	}
	return got == want;
}

static void verdict(struct test *t, const char *name, u32 block)
{
	seq_printf(t->out, "%sok %u ", t->failures ? "not " : "", ++t->number);
	if (block)
		seq_printf(t->out, "blocks of %u bytes: ", block);
	seq_printf(t->out, "%s\n", name);
	t->failures = 0;
}

static int register_mr(struct test *t, struct ib_mr *mr)
{
	struct ib_reg_wr wr = {
		.wr.opcode = IB_WR_REG_MR,
		.mr = mr,
		.access = IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_READ |
			  IB_ACCESS_REMOTE_WRITE,
	};

	ib_update_fast_reg_key(mr, mr->rkey + 1);
	wr.key = mr->rkey;
	return end_do(&t->pair->target, &wr.wr);
}

static int invalidate_mr(struct test *t, struct ib_mr *mr)
{
	struct ib_send_wr wr = {
		.opcode = IB_WR_LOCAL_INV,
		.ex.invalidate_rkey = mr->rkey,
	};

	return end_do(&t->pair->target, &wr);
}

static void peer_writes(struct test *t, struct area *area,
			const struct ib_mr *mr, u64 offset, u32 len)
{
	int status;

	get_random_bytes(t->pair->bytes, len);
	area_write(area, offset, t->pair->bytes, len);
	status = pair_access(t->pair, IB_WR_RDMA_WRITE, mr, mr->iova + offset,
			     len);
	check_equal(t, status, IB_WC_SUCCESS, "status of a write");
}

static void peer_reads(struct test *t, struct area *area,
		       const struct ib_mr *mr, u64 offset, u32 len)
{
	int status;

	memset(t->pair->bytes, 0, len);
	status = pair_access(t->pair, IB_WR_RDMA_READ, mr, mr->iova + offset,
			     len);
	if (check_equal(t, status, IB_WC_SUCCESS, "status of a read"))
		check(t, area_holds(area, offset, t->pair->bytes, len),
		      "data that was read is right");
}

/* Write all, read all, and then a little around each border of pieces. */
static void peer_uses(struct test *t, struct area *area, const struct ib_mr *mr)
{
	u64 at, border = 0;
	int i;

	for (at = 0; at < area->bytes && !t->failures; at += PEER_BYTES) {
		peer_writes(t, area, mr, at,
			    min_t(u64, PEER_BYTES, area->bytes - at));
		peer_reads(t, area, mr, at,
			   min_t(u64, PEER_BYTES, area->bytes - at));
	}
	for (i = 0; i < area->num_pieces - 1 && !t->failures; i++) {
		border += area->pieces[i].len;
		peer_writes(t, area, mr, border - 7, 12);
		peer_reads(t, area, mr, border - 5, 9);
	}
	peer_writes(t, area, mr, 0, 1);
	peer_writes(t, area, mr, area->bytes - 1, 1);
	check(t, area_intact(area), "all memory has its expected content");
}

static void refused(struct test *t, enum ib_wr_opcode opcode,
		    const struct ib_mr *mr, u64 addr, u32 len)
{
	int status = pair_access(t->pair, opcode, mr, addr, len);

	check_equal(t, status, IB_WC_REM_ACCESS_ERR,
		    "status of an access that is not allowed");
	check_equal(t, pair_connect(t->pair), 0, "connecting again");
}

static void bounds_hold(struct test *t, struct area *area,
			const struct ib_mr *mr)
{
	u64 end = mr->iova + area->bytes;

	get_random_bytes(t->pair->bytes, 2);
	refused(t, IB_WR_RDMA_WRITE, mr, mr->iova - 1, 2);
	refused(t, IB_WR_RDMA_READ, mr, mr->iova - 1, 1);
	refused(t, IB_WR_RDMA_WRITE, mr, end - 1, 2);
	refused(t, IB_WR_RDMA_READ, mr, end, 1);
	check(t, area_intact(area), "nothing was written out of bounds");
}

/* Register a mapped area, use it, and invalidate its key. */
static void use_mapped(struct test *t, struct area *area, struct ib_mr *mr)
{
	if (!check_equal(t, register_mr(t, mr), IB_WC_SUCCESS,
			 "status of the registration"))
		return;

	peer_uses(t, area, mr);
	if (!t->failures)
		bounds_hold(t, area, mr);
	check_equal(t, invalidate_mr(t, mr), IB_WC_SUCCESS,
		    "status of the invalidation");
	refused(t, IB_WR_RDMA_READ, mr, mr->iova, 1);
}

static void map_and_use(struct test *t, struct area *area, struct ib_mr *mr,
			u32 block)
{
	u32 skip = block / 16 + 3;

	if (check_equal(t, area_map(area, mr, block, skip), area->num_pieces,
			"pieces mapped") &&
	    check_equal(t, mr->length, area->bytes, "length of the region"))
		use_mapped(t, area, mr);
}

/* Have a test use a region, and memory in blocks of some size. */
static void with_area(struct test *t, u32 memory_block, int blocks, u32 room,
		      void (*run)(struct test *t, struct area *area,
				  struct ib_mr *mr, u32 block), u32 block,
		      int cuts)
{
	struct area area;
	struct ib_mr *mr;

	if (!check_equal(t, area_alloc(&area, memory_block, blocks), 0,
			 "getting memory"))
		goto free_area;

	area_pieces(&area, memory_block, cuts);
	mr = ib_alloc_mr(t->pair->target.pd, IB_MR_TYPE_MEM_REG, room);
	if (!check(t, !IS_ERR(mr), "there is a region"))
		goto free_area;

	run(t, &area, mr, block);
	check_equal(t, pair_connect(t->pair), 0, "connecting again");
	check_equal(t, ib_dereg_mr(mr), 0, "deregistering");
free_area:
	area_free(&area);
}

static void sizes_are_taken(struct test *t)
{
	u32 block, skip;

	for (block = BLOCK_MIN; block <= SZ_2M; block *= 2) {
		with_area(t, block, AREA_BLOCKS, AREA_BLOCKS, map_and_use,
			  block, 1);
		verdict(t, "a peer's writes and reads", block);
		with_area(t, block, AREA_BLOCKS, AREA_BLOCKS, map_and_use,
			  block, 3);
		verdict(t, "lists in pieces", block);
	}
	skip = t->pair->target.dev->attrs.max_fast_reg_page_list_len;
	with_area(t, SZ_2M, 1, skip, map_and_use, BLOCK_MIN, 1);
	verdict(t, "as many blocks as a region has", BLOCK_MIN);
}

static void map_part_of_block(struct test *t, struct area *area,
			      struct ib_mr *mr, u32 block)
{
	if (check_equal(t, area_map(area, mr, block, 11), 1, "pieces mapped"))
		use_mapped(t, area, mr);
}

/* of which there is no memory in one piece */
static void large_sizes_are_taken(struct test *t)
{
	u32 block;

	/* BLOCK_MAX doubled is 0 */
	for (block = SZ_4M; block; block *= 2) {
		with_area(t, block, 1, 1, map_part_of_block, block, 1);
		verdict(t, "a part of a block", block);
	}
}

static void map_nothing(struct test *t, struct area *area, struct ib_mr *mr,
			u32 block)
{
	check_equal(t, area_map(area, mr, block, 0), -EINVAL,
		    "result of mapping");
}

static void sizes_are_refused(struct test *t)
{
	static const u32 blocks[] = { 0, 1, 1024, 2048, 12288, SZ_4K + 1,
				      3U << 30 };
	int i;

	for (i = 0; i < ARRAY_SIZE(blocks); i++)
		with_area(t, PAGE_SIZE, 1, AREA_BLOCKS, map_nothing, blocks[i],
			  1);
	verdict(t, "block sizes that are not supported are refused", 0);
}

static void sizes_are_told(struct test *t)
{
	u64 cap = t->pair->target.dev->attrs.page_size_cap;

	check_equal(t, cap, GENMASK_ULL(ilog2(BLOCK_MAX), ilog2(BLOCK_MIN)),
		    "page_size_cap");
	verdict(t, "block sizes that the device announces", 0);
}

static void map_two(struct test *t, struct area *area, struct ib_mr *mr,
		    u32 block)
{
	if (!check_equal(t, area_map(area, mr, block, 0), 2, "pieces mapped"))
		return;
	area->num_pieces = 2;
	area->bytes = area->pieces[0].len + area->pieces[1].len;
	if (check_equal(t, mr->length, area->bytes, "length of the region"))
		use_mapped(t, area, mr);
}

static void map_too_much(struct test *t, struct area *area, struct ib_mr *mr,
			 u32 block)
{
	check(t, area_map(area, mr, block, 0) < area->num_pieces,
	      "not all is mapped");
	check(t, register_mr(t, mr) > IB_WC_SUCCESS,
	      "a region without blocks is not registered");
}

static void room_is_kept_to(struct test *t)
{
	with_area(t, SZ_8K, AREA_BLOCKS, 2, map_two, SZ_8K, 1);
	verdict(t, "the pieces that fit into a region are mapped", SZ_8K);
	with_area(t, SZ_2M, 1, 1, map_too_much, PAGE_SIZE, 1);
	verdict(t, "a list whose first piece does not fit", 0);
}

static void room_is_bounded(struct test *t)
{
	u32 most = t->pair->target.dev->attrs.max_fast_reg_page_list_len;
	struct ib_mr *mr;

	check_equal(t, most, 512, "blocks that are announced");
	mr = ib_alloc_mr(t->pair->target.pd, IB_MR_TYPE_MEM_REG, most);
	if (check(t, !IS_ERR(mr), "there is a region of as many"))
		check_equal(t, ib_dereg_mr(mr), 0, "deregistering");
	mr = ib_alloc_mr(t->pair->target.pd, IB_MR_TYPE_MEM_REG, most + 1);
	check_equal(t, PTR_ERR_OR_ZERO(mr), -EINVAL, "one more");
	if (!IS_ERR(mr))
		ib_dereg_mr(mr);
	verdict(t, "as many blocks as there can be", 0);
}

static void run_tests(struct test *t)
{
	seq_puts(t->out, "TAP version 13\n1..36\n");
	sizes_are_taken(t);
	large_sizes_are_taken(t);
	sizes_are_refused(t);
	sizes_are_told(t);
	room_is_kept_to(t);
	room_is_bounded(t);
}

static int run_show(struct seq_file *out, void *v)
{
	struct test t = { .out = out, .pair = &the_pair };
	int err = -ENODEV;

	mutex_lock(&run_lock);
	if (!the_pair.target.dev || !the_pair.peer.dev)
		goto unlock;

	err = pair_open(&the_pair);
	if (!err)
		run_tests(&t);
	pair_close(&the_pair);
unlock:
	mutex_unlock(&run_lock);
	return err;
}

static int run_open(struct inode *inode, struct file *file)
{
	/* the miscdevice, as misc_open() leaves it */
	file->private_data = NULL;
	return single_open_size(file, run_show, NULL, OUTPUT_BYTES);
}

static const struct file_operations run_fops = {
	.owner = THIS_MODULE,
	.open = run_open,
	.read = seq_read,
	.release = single_release,
};

static struct miscdevice run_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "rdma_fast_reg",
	.fops = &run_fops,
	.mode = 0400,
};

static struct end *end_of(const struct ib_device *dev)
{
	if (!strcmp(dev_name(&dev->dev), target))
		return &the_pair.target;
	if (!strcmp(dev_name(&dev->dev), peer))
		return &the_pair.peer;
	return NULL;
}

static int device_added(struct ib_device *dev)
{
	struct end *end = end_of(dev);

	if (!end)
		return -EOPNOTSUPP;

	mutex_lock(&run_lock);
	end->dev = dev;
	mutex_unlock(&run_lock);
	return 0;
}

static void device_removed(struct ib_device *dev, void *client_data)
{
	mutex_lock(&run_lock);
	end_of(dev)->dev = NULL;
	mutex_unlock(&run_lock);
}

static struct ib_client client = {
	.name = "rdma_fast_reg",
	.add = device_added,
	.remove = device_removed,
};

static int __init fast_reg_init(void)
{
	int err;

	the_pair.target.gid_index = target_gid;
	the_pair.peer.gid_index = peer_gid;
	err = ib_register_client(&client);
	if (err)
		return err;

	err = misc_register(&run_dev);
	if (err)
		ib_unregister_client(&client);
	return err;
}

static void __exit fast_reg_exit(void)
{
	misc_deregister(&run_dev);
	ib_unregister_client(&client);
}

module_init(fast_reg_init);
module_exit(fast_reg_exit);

MODULE_DESCRIPTION("Tests of fast registration");
MODULE_LICENSE("Dual BSD/GPL");
