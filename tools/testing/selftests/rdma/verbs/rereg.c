// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Re-registration with other rights, another protection domain, other memory, or
 * all three. Properties that do not change stay as they are.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "pair.h"

#define LEN	(64 * 1024UL)
#define MUCH	(8UL << 20)
#define READ_ONLY	IBV_ACCESS_REMOTE_READ

/* returns an errno */
static int reregister(struct buf *buf, const struct rereg *again)
{
	int err = try_rereg_mr(buf->mr, again);

	if (!err && (again->flags & IBV_REREG_MR_CHANGE_TRANSLATION))
		buf->addr = again->addr;
	return err;
}

static int change_access(struct buf *buf, int access)
{
	return reregister(buf, &(struct rereg) {
		.flags = IBV_REREG_MR_CHANGE_ACCESS,
		.access = access,
	});
}

static int change_pd(struct buf *buf, struct ibv_pd *pd)
{
	return reregister(buf, &(struct rereg) {
		.flags = IBV_REREG_MR_CHANGE_PD,
		.pd = pd,
	});
}

static void *map_at(void *addr, int prot)
{
	void *at = mmap(addr, LEN, prot, MAP_PRIVATE | MAP_ANONYMOUS |
			(addr ? MAP_FIXED : 0), -1, 0);

	CHECK(at != MAP_FAILED);
	return at;
}

/**
 * struct written - a connection, and memory that one end writes to
 * @pair: the connection
 * @from: of end a
 * @to: of end b
 */
struct written {
	struct pair pair;
	struct buf from;
	struct buf to;
};

static void up(struct written *w, int access)
{
	struct pair_config config = {};

	pair_up(&w->pair, &config);
	buf_get(&w->from, &w->pair.hosts[0], LEN, ALL_ACCESS);
	buf_get(&w->to, &w->pair.hosts[1], LEN, access);
}

static void down(struct written *w)
{
	buf_put(&w->from);
	buf_put(&w->to);
	pair_down(&w->pair);
}

static void writes(struct written *w, unsigned int seed)
{
	fill_pattern(w->from.addr, LEN, seed);
	do_one(&w->pair.a, IBV_WR_RDMA_WRITE, buf_sge(&w->from, 0, LEN), &w->to,
	       0);
	check_pattern(w->to.addr, LEN, seed);
}

/* check the region's content, which may differ from the mapping at its addresses */
static void has(struct written *w, unsigned int seed)
{
	do_one(&w->pair.a, IBV_WR_RDMA_READ, buf_sge(&w->from, 0, LEN), &w->to, 0);
	check_pattern(w->from.addr, LEN, seed);
}

static void gets(struct written *w, unsigned int seed)
{
	fill_pattern(w->from.addr, LEN, seed);
	do_one(&w->pair.a, IBV_WR_RDMA_WRITE, buf_sge(&w->from, 0, LEN), &w->to,
	       0);
	has(w, seed);
}

static void is_refused(struct written *w, unsigned int rkey)
{
	unsigned int now = w->to.mr->rkey;
	struct pair_config config = {};

	w->to.mr->rkey = rkey;
	post_one(&w->pair.a, IBV_WR_RDMA_WRITE, buf_sge(&w->from, 0, LEN), &w->to,
		 0);
	wait_status(w->pair.a.send_cq, IBV_WC_REM_ACCESS_ERR);
	w->to.mr->rkey = now;
	end_destroy(&w->pair.a);
	end_destroy(&w->pair.b);
	connect_ends(&w->pair.a, &w->pair.hosts[0], &w->pair.b,
		     &w->pair.hosts[1], &config);
}

static void rights_of(int odp)
{
	struct rereg less = {
		.flags = IBV_REREG_MR_CHANGE_ACCESS,
		.access = odp | IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ,
	};
	struct rereg more = {
		.flags = IBV_REREG_MR_CHANGE_ACCESS,
		.access = odp | ALL_ACCESS,
	};
	struct written w;
	unsigned int old;

	up(&w, odp | ALL_ACCESS);
	writes(&w, 1);
	old = w.to.mr->rkey;
	CHECK_EQ(reregister(&w.to, &less), 0);
	is_refused(&w, w.to.mr->rkey);
	is_refused(&w, old);
	check_pattern(w.to.addr, LEN, 1);
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
	struct rereg again = {
		.flags = IBV_REREG_MR_CHANGE_TRANSLATION,
		.addr = other,
		.len = LEN,
	};
	struct written w;

	CHECK(other != MAP_FAILED);
	up(&w, odp | ALL_ACCESS);
	writes(&w, 1);
	was = w.to.addr;
	CHECK_EQ(reregister(&w.to, &again), 0);
	writes(&w, 2);
	check_pattern(was, LEN, 1);
	again.addr = was;
	CHECK_EQ(reregister(&w.to, &again), 0);
	writes(&w, 3);
	check_pattern(other, LEN, 2);
	down(&w);
	munmap(other, LEN);
}

static void memory(void)
{
	memory_of(0);
	memory_of(IBV_ACCESS_ON_DEMAND);
}

/* pinned memory becomes on-demand, and the other way round */
static void kinds(void)
{
	struct rereg again = {
		.flags = IBV_REREG_MR_CHANGE_ACCESS |
			 IBV_REREG_MR_CHANGE_TRANSLATION,
		.len = LEN,
	};
	struct written w;

	up(&w, ALL_ACCESS);
	again.addr = w.to.addr;
	again.access = ODP_ACCESS;
	/* not without a new translation */
	CHECK_EQ(change_access(&w.to, ODP_ACCESS), EINVAL);
	CHECK_EQ(change_access(&w.to, ALL_ACCESS | IBV_ACCESS_HUGETLB),
		 EOPNOTSUPP);
	writes(&w, 1);
	CHECK_EQ(reregister(&w.to, &again), 0);
	CHECK_EQ(madvise(w.to.addr, LEN, MADV_DONTNEED), 0);
	writes(&w, 2);
	again.access = ALL_ACCESS;
	CHECK_EQ(change_access(&w.to, ALL_ACCESS), EINVAL);
	/* the memory is not of huge pages */
	CHECK_EQ(change_access(&w.to, ODP_ACCESS | IBV_ACCESS_HUGETLB),
		 EINVAL);
	writes(&w, 3);
	CHECK_EQ(reregister(&w.to, &again), 0);
	writes(&w, 4);
	down(&w);
}

static void domains_of(int odp)
{
	struct pair_config config = {};
	struct host there;
	struct ibv_pd *other;
	struct written w;

	up(&w, odp | ALL_ACCESS);
	other = ibv_alloc_pd(w.pair.hosts[1].ctx);
	CHECK(other);
	CHECK_EQ(change_pd(&w.to, other), 0);
	is_refused(&w, w.to.mr->rkey);

	/* a queue pair of the other one */
	there = w.pair.hosts[1];
	there.pd = other;
	end_destroy(&w.pair.a);
	end_destroy(&w.pair.b);
	connect_ends(&w.pair.a, &w.pair.hosts[0], &w.pair.b, &there, &config);
	writes(&w, 1);
	CHECK_EQ(change_pd(&w.to, w.pair.hosts[1].pd), 0);
	is_refused(&w, w.to.mr->rkey);
	writes(&w, 2);
	/* the region is not in the other one any more */
	CHECK_EQ(ibv_dealloc_pd(other), 0);
	down(&w);
}

static void domains(void)
{
	domains_of(0);
	domains_of(IBV_ACCESS_ON_DEMAND);
}

/* other pages come to its addresses, or none: a pinned region keeps its own */
static void pages_stay(void)
{
	struct ibv_pd *other;
	struct written w;

	up(&w, ALL_ACCESS);
	other = ibv_alloc_pd(w.pair.hosts[1].ctx);
	CHECK(other);
	writes(&w, 1);
	map_at(w.to.addr, PROT_READ | PROT_WRITE);
	fill_pattern(w.to.addr, LEN, 2);
	CHECK_EQ(change_access(&w.to, ALL_ACCESS | IBV_ACCESS_MW_BIND), 0);
	has(&w, 1);
	gets(&w, 3);
	CHECK_EQ(change_pd(&w.to, other), 0);
	CHECK_EQ(change_pd(&w.to, w.pair.hosts[1].pd), 0);
	has(&w, 3);
	gets(&w, 4);
	check_pattern(w.to.addr, LEN, 2);

	CHECK_EQ(munmap(w.to.addr, LEN), 0);
	CHECK_EQ(change_access(&w.to, ALL_ACCESS), 0);
	CHECK_EQ(change_pd(&w.to, other), 0);
	CHECK_EQ(change_pd(&w.to, w.pair.hosts[1].pd), 0);
	has(&w, 4);
	gets(&w, 5);
	CHECK_EQ(ibv_dealloc_pd(other), 0);
	down(&w);
}

/* kB */
static long pinned_now(void)
{
	char line[200];
	long kb = -1;
	FILE *file = fopen("/proc/self/status", "r");

	CHECK(file);
	while (kb < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "VmPin: %ld", &kb);
	fclose(file);
	CHECK(kb >= 0);
	return kb;
}

/* A program that may pin 12 MiB, and pins eight. */
static void counted_once(void)
{
	struct rlimit limit = { MUCH * 3 / 2, MUCH * 3 / 2 };
	struct host host;
	struct ibv_pd *other;
	struct buf buf;
	long pinned;

	CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	CHECK_EQ(setgid(65534), 0);
	CHECK_EQ(setuid(65534), 0);
	host_open(&host, 1);
	other = ibv_alloc_pd(host.ctx);
	CHECK(other);
	buf_get(&buf, &host, MUCH, READ_ONLY);
	pinned = pinned_now();
	CHECK_EQ(pinned, MUCH / 1024);
	/* only here the pages are looked up again */
	CHECK_EQ(change_access(&buf, ALL_ACCESS), 0);
	CHECK_EQ(pinned_now(), pinned);
	CHECK_EQ(change_access(&buf, READ_ONLY), 0);
	CHECK_EQ(pinned_now(), pinned);
	CHECK_EQ(change_pd(&buf, other), 0);
	CHECK_EQ(pinned_now(), pinned);
	buf_put(&buf);
	CHECK_EQ(pinned_now(), 0);
	CHECK_EQ(ibv_dealloc_pd(other), 0);
	host_close(&host);
}

/**
 * struct by_child - a forked child's change of the region
 * @access: its new rights
 * @err: the expected errno
 */
struct by_child {
	int access;
	int err;
};

/* The child's own memory at the region's addresses is other memory. */
static void child_changes(struct written *w, const struct by_child *by)
{
	struct rereg trans = {
		.flags = IBV_REREG_MR_CHANGE_TRANSLATION,
		.addr = w->to.addr,
		.len = LEN,
	};
	atomic_uint *rkey = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	CHECK(rkey != MAP_FAILED);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		memset(w->to.addr, 0x77, LEN);
		CHECK_EQ(reregister(&w->to, &trans), EPERM);
		CHECK_EQ(change_access(&w->to, by->access), by->err);
		*rkey = w->to.mr->rkey;
		/* stay until the parent has checked the region */
		pause();
	}
	UNTIL(*rkey || waitpid(pid, &status, WNOHANG));
	CHECK(*rkey);
	CHECK_EQ(by->err ? *rkey == w->to.mr->rkey : *rkey != w->to.mr->rkey, 1);
	w->to.mr->rkey = *rkey;
	has(w, 1);
	if (by->access == READ_ONLY || by->err)
		is_refused(w, w->to.mr->rkey);
	else
		writes(w, 2);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	munmap(rkey, PAGE_BYTES);
}

static void child_of(int access, struct by_child by)
{
	struct written w;

	test_at("from %#x to %#x", access, by.access);
	up(&w, access);
	fill_pattern(w.to.addr, LEN, 1);
	child_changes(&w, &by);
	/* the process that registered it may do so */
	CHECK_EQ(change_access(&w.to, access), 0);
	has(&w, by.err || by.access == READ_ONLY ? 1 : 2);
	down(&w);
}

static void by_child(void)
{
	int odp = IBV_ACCESS_ON_DEMAND;

	child_of(ALL_ACCESS, (struct by_child) { ALL_ACCESS, 0 });
	child_of(ALL_ACCESS, (struct by_child) { READ_ONLY, 0 });
	/* only that process can tell whether it may write there */
	child_of(READ_ONLY, (struct by_child) { ALL_ACCESS, EPERM });
	child_of(ODP_ACCESS, (struct by_child) { ODP_ACCESS, 0 });
	child_of(odp | READ_ONLY, (struct by_child) { ODP_ACCESS, 0 });
}

/* a region registered for reading gets the right to write */
static void writable_of(int odp, bool touched, bool forks)
{
	struct written w;
	pid_t pid = 0;

	up(&w, odp | READ_ONLY);
	if (touched)
		fill_pattern(w.to.addr, LEN, 1);
	is_refused(&w, w.to.mr->rkey);
	/* another process has the pages, too, or copies of them */
	if (forks)
		pid = fork();
	CHECK(pid >= 0);
	if (forks && !pid) {
		pause();
		_exit(0);
	}
	CHECK_EQ(change_access(&w.to, odp | ALL_ACCESS), 0);
	if (touched)
		has(&w, 1);
	writes(&w, 2);
	if (forks) {
		CHECK_EQ(kill(pid, SIGKILL), 0);
		CHECK_EQ(waitpid(pid, NULL, 0), pid);
	}
	down(&w);
}

static void writable(void)
{
	int i;

	for (i = 0; i < 8; i++)
		writable_of(i & 1 ? IBV_ACCESS_ON_DEMAND : 0, i & 2, i & 4);
}

/* The process may not write there, or would write to other pages. */
static void stays_read_only(void)
{
	struct written w;

	up(&w, READ_ONLY);
	fill_pattern(w.to.addr, LEN, 1);
	CHECK_EQ(mprotect(w.to.addr + LEN / 2, LEN / 2, PROT_READ), 0);
	CHECK_EQ(change_access(&w.to, ALL_ACCESS), EFAULT);
	has(&w, 1);
	is_refused(&w, w.to.mr->rkey);
	CHECK_EQ(mprotect(w.to.addr, LEN, PROT_READ | PROT_WRITE), 0);
	CHECK_EQ(madvise(w.to.addr + LEN / 2, PAGE_BYTES, MADV_DONTNEED), 0);
	CHECK_EQ(change_access(&w.to, ALL_ACCESS), EFAULT);
	map_at(w.to.addr, PROT_READ | PROT_WRITE);
	fill_pattern(w.to.addr, LEN, 2);
	CHECK_EQ(change_access(&w.to, ALL_ACCESS), EFAULT);
	CHECK_EQ(munmap(w.to.addr, LEN), 0);
	CHECK_EQ(change_access(&w.to, ALL_ACCESS), EFAULT);
	has(&w, 1);
	is_refused(&w, w.to.mr->rkey);
	/* rights without writing can still change */
	CHECK_EQ(change_access(&w.to, READ_ONLY | IBV_ACCESS_RELAXED_ORDERING),
		 0);
	has(&w, 1);
	down(&w);
}

/* a file that the program may open for reading only */
static void read_only_file(int odp)
{
	char path[40];
	struct written w;
	void *addr;
	int fd, ro;

	fd = memfd_create("rereg", 0);
	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, LEN), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY);
	CHECK(ro >= 0);
	addr = mmap(NULL, LEN, PROT_READ, MAP_SHARED, ro, 0);
	CHECK(addr != MAP_FAILED);

	up(&w, ALL_ACCESS);
	buf_put(&w.to);
	w.to.mr = ibv_reg_mr(w.pair.hosts[1].pd, addr, LEN, odp | READ_ONLY);
	if (!w.to.mr && !odp) {
		/* kernels up to 6.1 pin nothing that cannot be written */
		CHECK_EQ(errno, EFAULT);
		goto gone;
	}
	CHECK(w.to.mr);
	w.to.addr = addr;
	do_one(&w.pair.a, IBV_WR_RDMA_READ, buf_sge(&w.from, 0, LEN), &w.to, 0);
	if (odp) {
		/* as at registration: only the page faults fail */
		CHECK_EQ(change_access(&w.to, odp | ALL_ACCESS), 0);
	} else {
		CHECK_EQ(change_access(&w.to, ALL_ACCESS), EFAULT);
	}
	is_refused(&w, w.to.mr->rkey);
	check_bytes(addr, LEN, 0);
	CHECK_EQ(ibv_dereg_mr(w.to.mr), 0);
gone:
	CHECK_EQ(munmap(addr, LEN), 0);
	buf_put(&w.from);
	pair_down(&w.pair);
	close(ro);
	close(fd);
}

static void read_only_files(void)
{
	read_only_file(0);
	read_only_file(IBV_ACCESS_ON_DEMAND);
}

static void refused(void)
{
	struct ibv_mw_bind bind = { .wr_id = 1, .send_flags = IBV_SEND_SIGNALED };
	struct rereg again = { .flags = IBV_REREG_MR_CHANGE_ACCESS };
	struct ibv_mw *mw;
	struct written w;

	up(&w, ALL_ACCESS | IBV_ACCESS_MW_BIND);
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

	/* bound windows would be lost unnoticed */
	mw = ibv_alloc_mw(w.pair.hosts[1].pd, IBV_MW_TYPE_1);
	CHECK(mw);
	bind.bind_info.mr = w.to.mr;
	bind.bind_info.addr = (unsigned long)w.to.addr;
	bind.bind_info.length = LEN;
	bind.bind_info.mw_access_flags = IBV_ACCESS_REMOTE_WRITE;
	CHECK_EQ(ibv_bind_mw(w.pair.b.qp, mw, &bind), 0);
	wait_ok(w.pair.b.send_cq);
	again.flags = IBV_REREG_MR_CHANGE_ACCESS;
	again.access = ALL_ACCESS;
	CHECK_EQ(reregister(&w.to, &again), EBUSY);
	writes(&w, 2);
	CHECK_EQ(ibv_dealloc_mw(mw), 0);
	CHECK_EQ(reregister(&w.to, &again), 0);
	writes(&w, 3);
	down(&w);
}

static const struct test tests[] = {
	{ "re-registration with other rights", rights },
	{ "re-registration of other memory", memory },
	{ "a pinned region becomes on-demand, and back", kinds },
	{ "re-registration in another protection domain", domains },
	{ "pinned pages stay, whatever is mapped", pages_stay },
	{ "pinned pages are counted once", counted_once },
	{ "a forked child changes its parent's region", by_child },
	{ "a read-only region becomes writable", writable },
	{ "a region that the process may not write stays read-only",
	  stays_read_only },
	{ "a region of a read-only file stays read-only", read_only_files },
	{ "re-registrations that are refused", refused },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
