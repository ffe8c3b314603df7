// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Regions of dma-bufs that other drivers export: udmabuf, or vgem if the kernel has
 * no udmabuf. librxe has no call for them: the test sends the command that other
 * providers send.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dmabuf.h"
#include "pair.h"

#define LEN	BUFFER_BYTES
#define R	IBV_WR_RDMA_READ
#define W	IBV_WR_RDMA_WRITE

/**
 * struct registration - a registration to be tried
 * @fd: of the buffer
 * @offset: into it
 * @len: bytes
 * @iova: address of the first byte for peers
 * @access: enum ibv_access_flags
 */
struct registration {
	int fd;
	uint64_t offset;
	uint64_t len;
	uint64_t iova;
	uint32_t access;
};

#define IN_IDR(id, value)	{ .attr_id = (id), .data = (value),	\
				  .flags = UVERBS_ATTR_F_MANDATORY }
#define IN(id, value)		{ .attr_id = (id), .len = sizeof(value), \
				  .data = (value),			\
				  .flags = UVERBS_ATTR_F_MANDATORY }
#define OUT(id, value)		{ .attr_id = (id), .len = sizeof(value), \
				  .data = (uintptr_t)&(value),		\
				  .flags = UVERBS_ATTR_F_MANDATORY }

/* returns an errno */
static int try_reg(struct host *host, struct ibv_mr *mr,
		   const struct registration *reg)
{
	struct {
		struct ib_uverbs_ioctl_hdr hdr;
		struct ib_uverbs_attr attrs[9];
	} request = {
		.hdr = {
			.length = sizeof(request),
			.object_id = UVERBS_OBJECT_MR,
			.method_id = UVERBS_METHOD_REG_DMABUF_MR,
			.num_attrs = NUM(request.attrs),
			.driver_id = RDMA_DRIVER_RXE,
		},
		.attrs = {
			IN_IDR(UVERBS_ATTR_REG_DMABUF_MR_HANDLE, 0),
			IN_IDR(UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE,
			       host->pd->handle),
			IN(UVERBS_ATTR_REG_DMABUF_MR_OFFSET, reg->offset),
			IN(UVERBS_ATTR_REG_DMABUF_MR_LENGTH, reg->len),
			IN(UVERBS_ATTR_REG_DMABUF_MR_IOVA, reg->iova),
			IN(UVERBS_ATTR_REG_DMABUF_MR_FD, (uint32_t)reg->fd),
			IN(UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, reg->access),
			OUT(UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY, mr->lkey),
			OUT(UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY, mr->rkey),
		},
	};

	if (ioctl(host->ctx->cmd_fd, RDMA_VERBS_IOCTL, &request))
		return errno;
	mr->context = host->ctx;
	mr->handle = request.attrs[0].data;
	return 0;
}

static int try_dereg(struct ibv_mr *mr)
{
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_dereg_mr cmd;
	} request = {
		.hdr = {
			.command = IB_USER_VERBS_CMD_DEREG_MR,
			.in_words = sizeof(request) / 4,
		},
		.cmd = { .mr_handle = mr->handle },
	};

	return write(mr->context->cmd_fd, &request, sizeof(request)) < 0 ?
	       errno : 0;
}

static int try_rereg(struct ibv_mr *mr, int access)
{
	return try_rereg_mr(mr, &(struct rereg){
		.flags = IBV_REREG_MR_CHANGE_ACCESS,
		.access = access,
	});
}

/**
 * struct side - a buffer that a host has registered
 * @buffer: the buffer
 * @mr: a region of all of it, with the addresses of this process
 * @buf: the same, in the form that post_one() takes
 */
struct side {
	struct buffer buffer;
	struct ibv_mr mr;
	struct buf buf;
};

/**
 * struct moved - a connection between two buffers
 * @pair: the connection
 * @a: of end a
 * @b: of end b
 */
struct moved {
	struct pair pair;
	struct side a;
	struct side b;
};

static void side_up(struct side *side, struct host *host, uint32_t access)
{
	struct registration reg = { .len = LEN, .access = access };

	buffer_get(&side->buffer);
	reg.fd = side->buffer.fd;
	reg.iova = (uintptr_t)side->buffer.addr;
	CHECK_EQ(try_reg(host, &side->mr, &reg), 0);
	side->buf.addr = side->buffer.addr;
	side->buf.mr = &side->mr;
}

static void side_down(struct side *side)
{
	CHECK_EQ(try_dereg(&side->mr), 0);
	buffer_put(&side->buffer);
}

static void up(struct moved *m, uint32_t access)
{
	struct pair_config config = {};

	memset(m, 0, sizeof(*m));
	pair_up(&m->pair, &config);
	side_up(&m->a, &m->pair.hosts[0], ALL_ACCESS);
	side_up(&m->b, &m->pair.hosts[1], access);
}

static void down(struct moved *m)
{
	side_down(&m->a);
	side_down(&m->b);
	pair_down(&m->pair);
}

static void reconnect(struct moved *m)
{
	struct pair_config config = {};

	end_destroy(&m->pair.a);
	end_destroy(&m->pair.b);
	connect_ends(&m->pair.a, &m->pair.hosts[0], &m->pair.b,
		     &m->pair.hosts[1], &config);
}

static void is_refused(struct moved *m, enum ibv_wr_opcode opcode, size_t offset,
		       size_t len)
{
	post_one(&m->pair.a, opcode, buf_sge(&m->a.buf, 0, len), &m->b.buf, offset);
	wait_status(m->pair.a.send_cq, IBV_WC_REM_ACCESS_ERR);
	reconnect(m);
}

/* @len bytes arrive at @to, and nothing else changes */
static void check_only(const unsigned char *addr, size_t to, size_t len,
		       unsigned int seed)
{
	check_bytes(addr, to, 0xa5);
	check_pattern(addr + to, len, seed);
	check_bytes(addr + to + len, LEN - to - len, 0xa5);
}

static void moves(struct moved *m, size_t from, size_t to, size_t len,
		  unsigned int seed)
{
	unsigned char *a = m->a.buffer.addr, *b = m->b.buffer.addr;

	test_at("%zu bytes from %zu to %zu", len, from, to);
	fill_pattern(a + from, len, seed);
	memset(b, 0xa5, LEN);
	do_one(&m->pair.a, W, buf_sge(&m->a.buf, from, len), &m->b.buf, to);
	check_only(b, to, len, seed);

	fill_pattern(b + from, len, seed + 1);
	memset(a, 0xa5, LEN);
	do_one(&m->pair.a, R, buf_sge(&m->a.buf, to, len), &m->b.buf, from);
	check_only(a, to, len, seed + 1);

	fill_pattern(a + from, len, seed + 2);
	memset(b, 0xa5, LEN);
	post_recv(&m->pair.b, &m->b.buf, to, len, seed);
	do_one(&m->pair.a, IBV_WR_SEND, buf_sge(&m->a.buf, from, len), NULL, 0);
	CHECK_EQ(wait_ok(m->pair.b.recv_cq).byte_len, len);
	check_only(b, to, len, seed + 2);
}

static void data(void)
{
	struct moved m;

	up(&m, ALL_ACCESS);
	moves(&m, 0, 0, LEN, 10);
	moves(&m, 4095, 4093, 3, 20);
	moves(&m, 1, 4097, 50001, 30);
	moves(&m, LEN - 5000, 0, 5000, 40);
	moves(&m, 7, LEN - 1, 1, 50);
	down(&m);
}

static uint64_t atomic(struct moved *m, enum ibv_wr_opcode opcode, size_t at,
		       uint64_t compare_add, uint64_t swap)
{
	struct ibv_sge sge = buf_sge(&m->a.buf, 16, 8);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.atomic.remote_addr = (uintptr_t)m->b.buf.addr + at,
		.wr.atomic.rkey = m->b.mr.rkey,
		.wr.atomic.compare_add = compare_add,
		.wr.atomic.swap = swap,
	};
	uint64_t before;

	post_send(&m->pair.a, &wr);
	wait_ok(m->pair.a.send_cq);
	memcpy(&before, m->a.buffer.addr + 16, 8);
	return before;
}

static void atomics(void)
{
	size_t at = 4096 - 8;
	struct moved m;
	uint64_t now;

	up(&m, ALL_ACCESS);
	memset(m.b.buffer.addr, 0xa5, LEN);
	memset(m.b.buffer.addr + at, 0, 8);
	CHECK_EQ(atomic(&m, IBV_WR_ATOMIC_FETCH_AND_ADD, at, 1ULL << 40, 0), 0);
	CHECK_EQ(atomic(&m, IBV_WR_ATOMIC_CMP_AND_SWP, at, 5, 6), 1ULL << 40);
	CHECK_EQ(atomic(&m, IBV_WR_ATOMIC_CMP_AND_SWP, at, 1ULL << 40, 7),
		 1ULL << 40);
	memcpy(&now, m.b.buffer.addr + at, 8);
	CHECK_EQ(now, 7);
	check_bytes(m.b.buffer.addr, at, 0xa5);
	check_bytes(m.b.buffer.addr + at + 8, LEN - at - 8, 0xa5);
	down(&m);
}

/* A part of the buffer, with an iova that is no address of the process. */
static void part(void)
{
	struct registration reg = {
		.offset = 4096 + 100,
		.len = 10000,
		.iova = 0xfedcba9876543000 + 100,
		.access = ALL_ACCESS,
	};
	struct moved m;

	up(&m, ALL_ACCESS);
	CHECK_EQ(try_dereg(&m.b.mr), 0);
	reg.fd = m.b.buffer.fd;
	CHECK_EQ(try_reg(&m.pair.hosts[1], &m.b.mr, &reg), 0);
	m.b.buf.addr = (unsigned char *)reg.iova;
	fill_pattern(m.a.buffer.addr, 10001, 1);
	memset(m.b.buffer.addr, 0xa5, LEN);
	do_one(&m.pair.a, W, buf_sge(&m.a.buf, 0, 10000), &m.b.buf, 0);
	check_only(m.b.buffer.addr, 4096 + 100, 10000, 1);
	is_refused(&m, W, 0, 10001);
	is_refused(&m, W, 9999, 2);
	is_refused(&m, R, 10000, 1);
	is_refused(&m, W, -1UL, 1);
	check_only(m.b.buffer.addr, 4096 + 100, 10000, 1);
	down(&m);
}

static void rights(void)
{
	int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ;
	struct ibv_mw_bind bind = { .send_flags = IBV_SEND_SIGNALED };
	unsigned int old;
	struct ibv_mw *mw;
	struct moved m;

	up(&m, access);
	memset(m.b.buffer.addr, 0xa5, LEN);
	is_refused(&m, W, 0, 8);
	check_bytes(m.b.buffer.addr, LEN, 0xa5);

	/* the same buffer by another key */
	old = m.b.mr.rkey;
	CHECK_EQ(try_rereg(&m.b.mr, ALL_ACCESS | IBV_ACCESS_MW_BIND), 0);
	CHECK(m.b.mr.rkey != old);
	moves(&m, 0, 100, 5000, 1);
	CHECK_EQ(try_rereg(&m.b.mr, ODP_ACCESS), EOPNOTSUPP);
	moves(&m, 0, 100, 5000, 4);

	mw = ibv_alloc_mw(m.pair.hosts[1].pd, IBV_MW_TYPE_1);
	CHECK(mw);
	m.b.mr.pd = m.pair.hosts[1].pd;
	m.b.mr.addr = m.b.buffer.addr;
	m.b.mr.length = LEN;
	bind.bind_info.mr = &m.b.mr;
	bind.bind_info.addr = (uintptr_t)m.b.buffer.addr + 4000;
	bind.bind_info.length = 3000;
	bind.bind_info.mw_access_flags = IBV_ACCESS_REMOTE_WRITE;
	CHECK_EQ(ibv_bind_mw(m.pair.b.qp, mw, &bind), 0);
	wait_ok(m.pair.b.send_cq);
	CHECK_EQ(try_dereg(&m.b.mr), EBUSY);
	m.b.mr.rkey = mw->rkey;
	memset(m.b.buffer.addr, 0xa5, LEN);
	fill_pattern(m.a.buffer.addr, 3000, 7);
	do_one(&m.pair.a, W, buf_sge(&m.a.buf, 0, 3000), &m.b.buf, 4000);
	check_only(m.b.buffer.addr, 4000, 3000, 7);
	is_refused(&m, W, 3999, 1);
	is_refused(&m, W, 6999, 2);
	CHECK_EQ(ibv_dealloc_mw(mw), 0);
	down(&m);
}

static int try_with(struct host *host, int fd, uint64_t offset, uint64_t len,
		    uint64_t iova, uint32_t access)
{
	struct registration reg = { fd, offset, len, iova, access };
	struct ibv_mr mr;
	int err;

	err = try_reg(host, &mr, &reg);
	if (!err)
		CHECK_EQ(try_dereg(&mr), 0);
	return err;
}

static void refused(void)
{
	struct buffer buffer, read_only;
	struct host host;
	int fd, other, dev;

	host_open(&host, 0);
	buffer_get(&buffer);
	fd = buffer.fd;
	CHECK_EQ(try_with(&host, fd, 0, LEN, 0, ALL_ACCESS), 0);
	CHECK_EQ(try_with(&host, fd, LEN - 1, 1, 4095, ALL_ACCESS), 0);
	CHECK_EQ(try_with(&host, fd, 0, LEN + 1, 0, ALL_ACCESS), EINVAL);
	CHECK_EQ(try_with(&host, fd, 1, LEN, 1, ALL_ACCESS), EINVAL);
	CHECK_EQ(try_with(&host, fd, LEN, 1, 0, ALL_ACCESS), EINVAL);
	CHECK_EQ(try_with(&host, fd, -4096UL, 8192, 0, ALL_ACCESS), EINVAL);
	CHECK_EQ(try_with(&host, fd, 4096, -1UL, 0, ALL_ACCESS), EINVAL);
	CHECK_EQ(try_with(&host, fd, 0, 0, 0, ALL_ACCESS), EINVAL);
	CHECK_EQ(try_with(&host, fd, 0, 8192, -4096UL, ALL_ACCESS), EINVAL);
	CHECK_EQ(try_with(&host, fd, 1, 1, 2, ALL_ACCESS), EINVAL);
	CHECK_EQ(try_with(&host, fd, 0, LEN, 0, IBV_ACCESS_REMOTE_WRITE),
		 EINVAL);
	CHECK_EQ(try_with(&host, -1, 0, LEN, 0, ALL_ACCESS), EBADF);
	other = open("/dev/zero", O_RDWR);
	CHECK_EQ(try_with(&host, other, 0, LEN, 0, ALL_ACCESS), EINVAL);

	/* a buffer that its owner exports read-only */
	dev = open_vgem();
	if (dev >= 0) {
		buffer_from_vgem(&read_only, dev, O_CLOEXEC);
		CHECK_EQ(try_with(&host, read_only.fd, 0, LEN, 0,
				  ALL_ACCESS), EACCES);
		CHECK_EQ(try_with(&host, read_only.fd, 0, LEN, 0,
				  IBV_ACCESS_REMOTE_READ), 0);
	}
	buffer_put(&buffer);
	host_close(&host);
}

/* the number of dma-bufs in the system */
static int buffers(void)
{
	FILE *file = fopen("/sys/kernel/debug/dma_buf/bufinfo", "r");
	char line[500];
	int n = -1;

	if (!file)
		skip("no dma_buf in debugfs");
	while (fgets(line, sizeof(line), file))
		if (strstr(line, " objects, "))
			sscanf(line, "Total %d", &n);
	fclose(file);
	CHECK(n >= 0);
	return n;
}

static void until_buffers(int n)
{
	UNTIL(buffers() == n);
}

/* The region holds the buffer, whatever the program closes, until it is gone. */
static void held(void)
{
	int before = buffers();
	struct moved m;

	up(&m, ALL_ACCESS);
	CHECK_EQ(close(m.b.buffer.fd), 0);
	moves(&m, 0, 0, LEN, 1);
	CHECK_EQ(munmap(m.b.buffer.addr, LEN), 0);
	fill_pattern(m.a.buffer.addr, LEN, 4);
	do_one(&m.pair.a, W, buf_sge(&m.a.buf, 0, LEN), &m.b.buf, 0);
	memset(m.a.buffer.addr, 0, LEN);
	do_one(&m.pair.a, R, buf_sge(&m.a.buf, 0, LEN), &m.b.buf, 0);
	check_pattern(m.a.buffer.addr, LEN, 4);
	CHECK_EQ(buffers(), before + 2);
	CHECK_EQ(try_dereg(&m.b.mr), 0);
	until_buffers(before + 1);
	side_down(&m.a);
	pair_down(&m.pair);
	until_buffers(before);
}

/* The RDMA device drops its reference; the buffer stays its owner's. */
static void device_gone(void)
{
	int before = buffers();
	struct moved m;

	up(&m, ALL_ACCESS);
	moves(&m, 0, 0, LEN, 1);
	CHECK_EQ(close(m.b.buffer.fd), 0);
	command("rdma link delete rxe1");
	check_pattern(m.b.buffer.addr, LEN, 3);
	CHECK_EQ(munmap(m.b.buffer.addr, LEN), 0);
	until_buffers(before + 1);
	command("ip netns exec hostb rdma link add rxe1 type rxe netdev vb");
	side_down(&m.a);
	check_works();
}

static const struct test tests[] = {
	{ "writes, reads and sends between dma-bufs", data },
	{ "atomics on a dma-buf", atomics },
	{ "a region of a part of a dma-buf, and its bounds", part },
	{ "rights, re-registration and windows of a dma-buf", rights },
	{ "dma-buf registrations that are refused", refused },
	{ "a registered dma-buf whose file is closed", held },
	{ "a link is deleted while a dma-buf is registered", device_gone },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
