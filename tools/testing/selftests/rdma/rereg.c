// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A region is registered anew: with other rights, of another protection domain,
 * of other memory, or all of it.
 */
#include <errno.h>
#include <sys/mman.h>

#include "rc_pair.h"

#define LEN	(64 * 1024UL)

/* returns an errno */
static int reregister(struct rc_buf *buf, const struct rc_rereg *again)
{
	int err = rc_try_rereg(buf->mr, again);

	if (!err && (again->flags & IBV_REREG_MR_CHANGE_TRANSLATION))
		buf->addr = again->addr;
	return err;
}

/**
 * struct written - a connection, and memory that one end writes to
 * @pair: the connection
 * @from: of end a
 * @to: of end b
 */
struct written {
	struct rc_pair pair;
	struct rc_buf from;
	struct rc_buf to;
};

static void up(struct written *w, int access)
{
	struct rc_config config = {};

	rc_pair_up(&w->pair, &config);
	rc_buf_get(&w->from, &w->pair.hosts[0], LEN, RC_ALL_ACCESS);
	rc_buf_get(&w->to, &w->pair.hosts[1], LEN, access);
}

static void down(struct written *w)
{
	rc_buf_put(&w->from);
	rc_buf_put(&w->to);
	rc_pair_down(&w->pair);
}

static void writes(struct written *w, unsigned int seed)
{
	rc_fill(w->from.addr, LEN, seed);
	rc_do(&w->pair.a, IBV_WR_RDMA_WRITE, rc_sge(&w->from, 0, LEN), &w->to,
	      0);
	rc_check(w->to.addr, LEN, seed);
}

static void is_refused(struct written *w, unsigned int rkey)
{
	unsigned int now = w->to.mr->rkey;
	struct rc_config config = {};

	w->to.mr->rkey = rkey;
	rc_post(&w->pair.a, IBV_WR_RDMA_WRITE, rc_sge(&w->from, 0, LEN), &w->to,
		0);
	rc_wait_status(w->pair.a.send_cq, IBV_WC_REM_ACCESS_ERR);
	w->to.mr->rkey = now;
	rc_disconnect(&w->pair.a);
	rc_disconnect(&w->pair.b);
	rc_connect(&w->pair.a, &w->pair.hosts[0], &w->pair.b,
		   &w->pair.hosts[1], &config);
}

static void rights_of(int odp)
{
	struct rc_rereg less = {
		.flags = IBV_REREG_MR_CHANGE_ACCESS,
		.access = odp | IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ,
	};
	struct rc_rereg more = {
		.flags = IBV_REREG_MR_CHANGE_ACCESS,
		.access = odp | RC_ALL_ACCESS,
	};
	struct written w;
	unsigned int old;

	up(&w, odp | RC_ALL_ACCESS);
	writes(&w, 1);
	old = w.to.mr->rkey;
	CHECK_EQ(reregister(&w.to, &less), 0);
	is_refused(&w, w.to.mr->rkey);
	is_refused(&w, old);
	rc_check(w.to.addr, LEN, 1);
	CHECK_EQ(reregister(&w.to, &more), 0);
	writes(&w, 2);
	down(&w);
}

static void rights(void)
{
	rights_of(0);
	rights_of(IBV_ACCESS_ON_DEMAND);
}

static void memory_of(int odp)
{
	void *was, *other = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct rc_rereg again = {
		.flags = IBV_REREG_MR_CHANGE_TRANSLATION,
		.addr = other,
		.len = LEN,
	};
	struct written w;

	CHECK(other != MAP_FAILED);
	up(&w, odp | RC_ALL_ACCESS);
	writes(&w, 1);
	was = w.to.addr;
	CHECK_EQ(reregister(&w.to, &again), 0);
	writes(&w, 2);
	rc_check(was, LEN, 1);
	again.addr = was;
	CHECK_EQ(reregister(&w.to, &again), 0);
	writes(&w, 3);
	rc_check(other, LEN, 2);
	down(&w);
	munmap(other, LEN);
}

static void memory(void)
{
	memory_of(0);
	memory_of(IBV_ACCESS_ON_DEMAND);
}

/* pinned memory becomes memory that is paged, and the other way round */
static void kinds(void)
{
	struct rc_rereg again = { .flags = IBV_REREG_MR_CHANGE_ACCESS };
	struct written w;

	up(&w, RC_ALL_ACCESS);
	again.access = RC_ODP_ACCESS;
	CHECK_EQ(reregister(&w.to, &again), 0);
	CHECK_EQ(madvise(w.to.addr, LEN, MADV_DONTNEED), 0);
	writes(&w, 1);
	again.access = RC_ALL_ACCESS;
	CHECK_EQ(reregister(&w.to, &again), 0);
	writes(&w, 2);
	down(&w);
}

static void domains(void)
{
	struct rc_rereg again = { .flags = IBV_REREG_MR_CHANGE_PD };
	struct ibv_pd *other;
	struct written w;

	up(&w, RC_ALL_ACCESS);
	other = ibv_alloc_pd(w.pair.hosts[1].ctx);
	CHECK(other);
	again.pd = other;
	CHECK_EQ(reregister(&w.to, &again), 0);
	is_refused(&w, w.to.mr->rkey);
	again.pd = w.pair.hosts[1].pd;
	CHECK_EQ(reregister(&w.to, &again), 0);
	writes(&w, 1);
	/* nothing of it is left in the other one */
	CHECK_EQ(ibv_dealloc_pd(other), 0);
	down(&w);
}

static void refused(void)
{
	struct ibv_mw_bind bind = { .wr_id = 1, .send_flags = IBV_SEND_SIGNALED };
	struct rc_rereg again = { .flags = IBV_REREG_MR_CHANGE_ACCESS };
	struct ibv_mw *mw;
	struct written w;

	up(&w, RC_ALL_ACCESS | IBV_ACCESS_MW_BIND);
	again.access = IBV_ACCESS_REMOTE_WRITE;
	CHECK_EQ(reregister(&w.to, &again), EINVAL);
	again.flags = IBV_REREG_MR_CHANGE_TRANSLATION;
	again.addr = w.to.addr;
	CHECK_EQ(reregister(&w.to, &again), EINVAL);
	again.addr = mmap(NULL, LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	again.len = LEN;
	CHECK_EQ(reregister(&w.to, &again), EFAULT);
	munmap(again.addr, LEN);
	writes(&w, 1);

	/* whoever has a window would lose it unawares */
	mw = ibv_alloc_mw(w.pair.hosts[1].pd, IBV_MW_TYPE_1);
	CHECK(mw);
	bind.bind_info.mr = w.to.mr;
	bind.bind_info.addr = (unsigned long)w.to.addr;
	bind.bind_info.length = LEN;
	bind.bind_info.mw_access_flags = IBV_ACCESS_REMOTE_WRITE;
	CHECK_EQ(ibv_bind_mw(w.pair.b.qp, mw, &bind), 0);
	rc_wait_ok(w.pair.b.send_cq);
	again.flags = IBV_REREG_MR_CHANGE_ACCESS;
	again.access = RC_ALL_ACCESS;
	CHECK_EQ(reregister(&w.to, &again), EBUSY);
	writes(&w, 2);
	CHECK_EQ(ibv_dealloc_mw(mw), 0);
	CHECK_EQ(reregister(&w.to, &again), 0);
	writes(&w, 3);
	down(&w);
}

static const struct test tests[] = {
	{ "other rights", rights },
	{ "other memory", memory },
	{ "paged instead of pinned, and back", kinds },
	{ "another protection domain", domains },
	{ "what is refused, and changes nothing", refused },
	{}
};

int main(int argc, char **argv)
{
	rc_tests(tests, argv + 1);
}
