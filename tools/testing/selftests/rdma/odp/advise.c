// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Synchronous prefetches of memory that userfaultfd does not provide: neither the
 * end of the program nor the removal of the device waits for them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "pair.h"

#define SIZE	(16 * PAGE_BYTES)

static void *map(int flags)
{
	void *addr = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			  flags | MAP_ANONYMOUS, -1, 0);

	CHECK(addr != MAP_FAILED);
	return addr;
}

/**
 * struct waiting - a call that waits for memory
 * @host: where the memory is registered
 * @odp: the memory, which is missing until @uffd provides it
 * @uffd: a userfaultfd
 * @thread: makes the call
 * @err: the call's result
 */
struct waiting {
	struct host host;
	struct buf odp;
	int uffd;
	pthread_t thread;
	int err;
};

static int prefetch(struct waiting *w)
{
	struct ibv_sge sge = buf_sge(&w->odp, 0, SIZE);

	return try_advise_mr(w->host.pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
			     IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1);
}

static void *prefetch_thread(void *arg)
{
	struct waiting *w = arg;

	w->err = prefetch(w);
	return NULL;
}

static void memory_up(struct waiting *w)
{
	void *memory = map(MAP_PRIVATE);

	w->uffd = miss_pages(memory, SIZE);
	host_open(&w->host, 0);
	buf_reg(&w->odp, &w->host, memory, SIZE, ODP_ACCESS);
}

/* start a call, and wait until its fault is at the userfaultfd */
static void wait_begins(struct waiting *w)
{
	memory_up(w);
	CHECK_EQ(pthread_create(&w->thread, NULL, prefetch_thread, w), 0);
	CHECK(userfaultfd_wait(w->uffd, HUNG_MS * limit_factor()));
}

static void wait_ends(struct waiting *w, int err)
{
	CHECK_EQ(pthread_join(w->thread, NULL), 0);
	CHECK_EQ(w->err, err);
}

static void provided(void)
{
	unsigned char *content = map(MAP_PRIVATE);
	struct waiting w;
	size_t at;

	fill_pattern(content, SIZE, 3);
	wait_begins(&w);
	/* the prefetch waits for the first page */
	for (at = 0; at < SIZE; at += PAGE_BYTES)
		userfaultfd_copy(w.uffd, w.odp.addr + at, content + at);
	wait_ends(&w, 0);
	check_pattern(w.odp.addr, SIZE, 3);
	CHECK_EQ(close(w.uffd), 0);
	buf_put(&w.odp);
	host_close(&w.host);
}

static void plug_link(void)
{
	make_link(0);
}

static void plug_netdev(void)
{
	two_hosts("plug");
}

/*
 * A call that loses its device returns EIO; the memory stays missing. Returns whether
 * it was soon.
 */
static bool device_goes_soon(const char *go, void (*plug)(void))
{
	unsigned int alone = remove_once();
	struct resources before;
	unsigned long long began;
	struct waiting w;
	bool soon;

	resources_get(&before);
	wait_begins(&w);
	began = now_ms();
	command("%s", go);
	wait_ends(&w, EIO);
	soon = removed_in_time(began, alone);
	/* so does a later call */
	CHECK_EQ(prefetch(&w), EIO);
	CHECK(!page_frame(w.odp.addr));

	/* the next device of that name works, with the page still missing */
	plug();
	check_works();
	resources_check(&before);
	CHECK_EQ(close(w.uffd), 0);
	return soon;
}

/* A host that stands still takes time, too, though not every time. */
static void device_goes(const char *go, void (*plug)(void))
{
	int tries;

	for (tries = 1; !device_goes_soon(go, plug); tries++)
		CHECK(tries < REMOVAL_TRIES);
}

static void link_deleted(void)
{
	device_goes("rdma link delete rxe0", plug_link);
}

static void netdev_deleted(void)
{
	device_goes("ip -n hosta link delete va", plug_netdev);
}

/* a killed program's context is closed, though the page is still missing */
static void killed(void)
{
	atomic_int *their_uffd = map(MAP_SHARED);
	struct resources before;
	struct waiting w;
	int pidfd, uffd;
	pid_t pid;

	resources_get(&before);
	*their_uffd = -1;
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		memory_up(&w);
		*their_uffd = w.uffd;
		_exit(prefetch(&w));
	}
	UNTIL(*their_uffd >= 0);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	CHECK(pidfd >= 0);
	/* keep it open when the child ends */
	uffd = syscall(SYS_pidfd_getfd, pidfd, *their_uffd, 0);
	CHECK(uffd >= 0);
	CHECK(userfaultfd_wait(uffd, HUNG_MS * limit_factor()));
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	resources_check(&before);
	CHECK_EQ(close(uffd), 0);
	close(pidfd);
}

/* A forked child prefetches the region's memory, not its own. */
static void by_child(void)
{
	struct host host;
	struct waiting w;
	int status;
	pid_t pid;

	host_open(&host, 0);
	w.host = host;
	buf_reg(&w.odp, &host, map(MAP_PRIVATE), SIZE, ODP_ACCESS);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		CHECK_EQ(prefetch(&w), 0);
		_exit(any_present(w.odp.addr, SIZE));
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
	CHECK(page_frame(w.odp.addr + SIZE - PAGE_BYTES));
	buf_put(&w.odp);
	host_close(&host);
}

static const struct test tests[] = {
	{ "a prefetch waits for memory", provided },
	{ "a forked child prefetches its parent's memory", by_child },
	{ "a program is killed in a prefetch", killed },
	{ "a link is deleted under a prefetch", link_deleted },
	{ "a netdev is deleted under a prefetch", netdev_deleted },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
