// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Invariant 7: destruction waits for notifiers and copies and never for a
 * look-up; a process's memory ends with the process, and nothing hangs.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/wait.h>

#include "memory.h"
#include "user.h"

#define HOLD_MS	HUNG_MS

static int fault_async(int umem, const char *at)
{
	struct odp_test_cmd c = {
		.umem = umem,
		.start = (unsigned long)at,
		.len = PAGE,
		.flags = ODP_TEST_WRITE,
	};

	return cmd(ODP_TEST_FAULT_ASYNC, &c);
}

static int join(int umem, unsigned int ms)
{
	struct odp_test_cmd c = { .umem = umem, .ms = ms * limit_factor() };

	return cmd(ODP_TEST_JOIN, &c);
}

static void destroy_start(int umem, struct job *job)
{
	struct odp_test_cmd c = { .umem = umem };

	job_start(job, ODP_TEST_DESTROY, c);
}

static void look_up_sleeps(void)
{
	char *memory = map_memory(4 * PAGE), page[PAGE] = {};
	struct job destroy;
	int umem, fd;

	fd = miss_pages(memory, 4 * PAGE);
	umem = umem_register(memory, 4 * PAGE, ODP_TEST_WRITE);
	CHECK(umem >= 0);
	CHECK_EQ(fault_async(umem, memory), 0);
	CHECK(userfaultfd_wait(fd, HUNG_MS));

	destroy_start(umem, &destroy);
	CHECK_EQ(job_join(&destroy), 0);
	CHECK_EQ(join(umem, 0), -EBUSY);
	userfaultfd_copy(fd, memory, page);
	CHECK_EQ(join(umem, HUNG_MS), -EFAULT);
	CHECK_EQ(umem_state(umem).mapped, 0);
	CHECK_EQ(umem_state(umem).leaves, 0);
}

static void notifier_is_waited_for(void)
{
	char *memory = map_memory(4 * PAGE);
	struct job destroy;
	struct notifier n;
	int umem;

	umem = umem_register(memory, 4 * PAGE, ODP_TEST_WRITE);
	CHECK(umem >= 0);
	CHECK_EQ(umem_fault(umem, memory, 4 * PAGE, ODP_TEST_WRITE), 0);
	hold(ODP_TEST_STARTED, HOLD_MS);
	notifier_begin_nowait(&n, memory, PAGE);
	CHECK_EQ(reached(ODP_TEST_STARTED), 0);

	/* the notifier is about to call the driver's zap */
	destroy_start(umem, &destroy);
	sleep_ms(300 * limit_factor());
	CHECK(!job_done(&destroy, 0));
	let_go(ODP_TEST_STARTED);
	CHECK_EQ(job_join(&destroy), 0);
	notifier_end(&n);
}

/* The notifier's end comes when the umem is gone. */
static void destroyed_within_notifier(void)
{
	char *memory = map_memory(4 * PAGE), byte;
	struct notifier n;
	int umem, other;

	umem = umem_register(memory, 4 * PAGE, ODP_TEST_WRITE);
	other = umem_register(memory, 2 * PAGE, ODP_TEST_WRITE);
	CHECK(umem >= 0 && other >= 0);
	CHECK_EQ(umem_fault(umem, memory, 4 * PAGE, 0), 0);
	notifier_begin(&n, memory, PAGE);
	CHECK_EQ(umem_destroy(umem), 0);
	notifier_end(&n);
	CHECK_EQ(umem_fault(other, memory, PAGE, 0), 0);
	CHECK_EQ(umem_read(other, memory, &byte, 1), 0);
	CHECK_EQ(umem_read(umem, memory, &byte, 1), -EFAULT);
	CHECK_EQ(umem_fault(umem, memory, PAGE, 0), -EFAULT);
}

static void exit_while_fault_sleeps(void)
{
	int fds[2], status, uffd;
	pid_t child;
	char byte;

	CHECK_EQ(pipe(fds), 0);
	child = fork();
	if (!child) {
		char *memory = map_memory(PAGE);
		int umem;

		uffd = userfaultfd_on(memory, PAGE,
				      UFFDIO_REGISTER_MODE_MISSING);
		if (uffd < 0)
			_exit(77);
		umem = umem_register(memory, PAGE, ODP_TEST_WRITE);
		CHECK(umem >= 0);
		CHECK_EQ(fault_async(umem, memory), 0);
		CHECK(userfaultfd_wait(uffd, HUNG_MS));
		CHECK_EQ(write(fds[1], "", 1), 1);
		_exit(0);
	}
	close(fds[1]);
	if (read(fds[0], &byte, 1) != 1) {
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK_EQ(WEXITSTATUS(status), 77);
		skip("no userfaultfd");
	}
	/* the runner's time limit ends a hang */
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
}

/* Registered through our open file by a child, which then ends. */
static void process_is_gone(void)
{
	char *memory = map_memory(4 * PAGE), byte;
	int mine, status, fds[2], umem = -1;
	pid_t child;

	mine = umem_register(memory, 4 * PAGE, ODP_TEST_WRITE);
	CHECK(mine >= 0);
	memory[0] = 1;
	CHECK_EQ(umem_fault(mine, memory, PAGE, 0), 0);
	CHECK_EQ(pipe(fds), 0);
	child = fork();
	if (!child) {
		umem = umem_register(memory, 4 * PAGE, ODP_TEST_WRITE);
		CHECK(umem >= 0);
		memory[0] = 2;
		CHECK_EQ(umem_fault(umem, memory, 4 * PAGE, ODP_TEST_WRITE), 0);
		CHECK_EQ(umem_read(umem, memory, &byte, 1), 0);
		CHECK_EQ(byte, 2);
		CHECK_EQ(write(fds[1], &umem, sizeof(umem)), sizeof(umem));
		_exit(0);
	}
	CHECK_EQ(read(fds[0], &umem, sizeof(umem)), sizeof(umem));
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	/* the child's pages are gone, and are not ours */
	CHECK_EQ(umem_read(umem, memory, &byte, 1), -EFAULT);
	CHECK_EQ(umem_fault(umem, memory, PAGE, 0), -EFAULT);
	CHECK_EQ(umem_state(umem).mapped, 0);
	CHECK_EQ(umem_fault(mine, memory, PAGE, 0), 0);
	CHECK_EQ(umem_read(mine, memory, &byte, 1), 0);
	CHECK_EQ(byte, 1);
	CHECK_EQ(umem_destroy(umem), 0);
	CHECK_EQ(umem_destroy(mine), 0);
}

/* A notifier of a child's leaves the parent's umem of the same range alone. */
static void each_mm_its_own(void)
{
	char *memory = map_memory(PAGE), byte;
	int umem, status;
	pid_t child;

	umem = umem_register(memory, PAGE, 0);
	CHECK(umem >= 0);
	memory[0] = 4;
	child = fork();
	if (!child) {
		CHECK(umem_register(memory, PAGE, ODP_TEST_WRITE) >= 0);
		notify(memory, PAGE);
		CHECK_EQ(munmap(memory, PAGE), 0);
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(umem_fault(umem, memory, PAGE, 0), 0);
	notify(memory + PAGE, PAGE);
	CHECK_EQ(umem_read(umem, memory, &byte, 1), 0);
	CHECK_EQ(byte, 4);
}

static void release_twice(void)
{
	char *memory = map_memory(4 * PAGE);
	struct odp_test_cmd c = {};
	struct notifier n;
	int umem;

	umem = umem_register(memory, 4 * PAGE, 0);
	CHECK(umem >= 0);
	CHECK_EQ(umem_fault(umem, memory, 4 * PAGE, 0), 0);
	/* the mm drops notifiers that run: their end may come late, or never */
	notifier_begin(&n, memory, PAGE);
	CHECK_EQ(cmd(ODP_TEST_RELEASE, &c), 0);
	CHECK_EQ(cmd(ODP_TEST_RELEASE, &c), 0);
	notifier_end(&n);
	CHECK_EQ(umem_state(umem).mapped, 0);
	CHECK_EQ(umem_register(memory, PAGE, 0), -EFAULT);
	CHECK_EQ(umem_destroy(umem), 0);
}

/* In a child: register a page, tell which, and become another program. */
static void register_and_exec(int out, int in)
{
	char *memory = map_memory(PAGE);
	int umem;

	umem = umem_register(memory, PAGE, ODP_TEST_WRITE);
	CHECK_EQ(umem_fault(umem, memory, PAGE, ODP_TEST_WRITE), 0);
	CHECK_EQ(write(out, &umem, sizeof(umem)), sizeof(umem));
	CHECK_EQ(write(out, &memory, sizeof(memory)), sizeof(memory));
	dup2(in, 0);
	execlp("cat", "cat", NULL);
	_exit(1);
}

static void exec_forgets(void)
{
	unsigned long long end = now_ms() + HUNG_MS * limit_factor();
	int umem, status, out[2], in[2];
	char *memory, byte;
	pid_t child;

	/* open the device here, so that the child's umem outlives its exec */
	CHECK(umem_register(map_memory(PAGE), PAGE, 0) >= 0);
	CHECK_EQ(pipe2(out, O_CLOEXEC), 0);
	CHECK_EQ(pipe2(in, O_CLOEXEC), 0);
	child = fork();
	if (!child)
		register_and_exec(out[1], in[0]);
	CHECK_EQ(read(out[0], &umem, sizeof(umem)), sizeof(umem));
	CHECK_EQ(read(out[0], &memory, sizeof(memory)), sizeof(memory));
	while (umem_read(umem, memory, &byte, 1) != -EFAULT)
		CHECK(now_ms() < end);
	/* until the exit of the old mm has taken the page away */
	while (umem_fault(umem, memory, PAGE, 0) != -EFAULT)
		CHECK(now_ms() < end);
	close(in[1]);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

const struct test lifetime_tests[] = {
	{ "destruction does not wait for a look-up", look_up_sleeps },
	{ "destruction waits for a notifier", notifier_is_waited_for },
	{ "destruction between a notifier's start and end",
	  destroyed_within_notifier },
	{ "exit does not wait for a look-up", exit_while_fault_sleeps },
	{ "memory of a process that is gone", process_is_gone },
	{ "memory registered before an exec", exec_forgets },
	{ "each mm has notifiers of its own", each_mm_its_own },
	{ "release is called twice while notifiers run", release_twice },
	{}
};
