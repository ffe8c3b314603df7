// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Invariant 6: a umem that is registered while notifiers run has its pages
 * published when those over them have ended, and no later.
 */
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "user.h"

#define HOLD_MS	HUNG_MS

/* Memory with a subscribed mm: from now on the context counts notifiers. */
static char *subscribed_memory(int pages)
{
	char *memory = map_memory((pages + 1) * PAGE);

	CHECK(umem_register(memory + pages * PAGE, PAGE, 0) >= 0);
	return memory;
}

static void runs_already(void)
{
	char *memory = subscribed_memory(4), byte;
	struct notifier n;
	struct job fault;
	int umem;

	notifier_begin(&n, memory, PAGE);
	umem = umem_register(memory, 4 * PAGE, ODP_TEST_WRITE);
	CHECK(umem >= 0);
	hold(ODP_TEST_WAITING, HOLD_MS);
	fault_start(&fault, umem, memory, PAGE, ODP_TEST_WRITE);
	CHECK_EQ(reached(ODP_TEST_WAITING), 0);
	CHECK_EQ(umem_state(umem).mapped, 0);
	let_go(ODP_TEST_WAITING);
	notifier_end(&n);
	CHECK_EQ(job_join(&fault), 0);
	CHECK_EQ(umem_read(umem, memory, &byte, 1), 0);
	/* the next notifier is counted, and ends */
	notify(memory, PAGE);
	CHECK_EQ(umem_read(umem, memory, &byte, 1), -EAGAIN);
	CHECK_EQ(umem_fault(umem, memory, PAGE, 0), 0);
}

static void waits_and_wakes(void)
{
	char *memory = subscribed_memory(4);
	struct notifier n;
	struct job fault;
	int umem, i;

	umem = umem_register(memory, 4 * PAGE, ODP_TEST_WRITE);
	CHECK(umem >= 0);
	for (i = 0; i < 10; i++) {
		notifier_begin(&n, memory, PAGE);
		hold(ODP_TEST_WAITING, HOLD_MS);
		fault_start(&fault, umem, memory, PAGE, 0);
		CHECK_EQ(reached(ODP_TEST_WAITING), 0);
		let_go(ODP_TEST_WAITING);
		/* the fault is about to sleep, or asleep */
		sleep_ms(i * 10);
		CHECK(!job_done(&fault, 0));
		notifier_end(&n);
		CHECK_EQ(job_join(&fault), 0);
		notify(memory, PAGE);
	}
}

/* A fault waits neither for notifiers over other pages, nor for later ones. */
static void others_are_not_waited_for(void)
{
	char *memory = subscribed_memory(4);
	struct notifier before, there, after;
	struct job fault;
	int umem;

	notifier_begin(&before, memory + 2 * PAGE, PAGE);
	notifier_begin(&there, memory, PAGE);
	umem = umem_register(memory, 4 * PAGE, ODP_TEST_WRITE);
	CHECK(umem >= 0);
	notifier_begin(&after, memory + 3 * PAGE, PAGE);
	notifier_end(&there);
	fault_start(&fault, umem, memory, 2 * PAGE, 0);
	CHECK_EQ(job_join(&fault), 0);
	notifier_end(&before);
	notifier_end(&after);
}

/* No slot of a notifier is left over, whatever was registered in between. */
static void registered_between(void)
{
	char *memory = subscribed_memory(4), byte;
	struct notifier n[3];
	int umems[3], i;

	for (i = 0; i < 3; i++) {
		notifier_begin(&n[i], memory, 2 * PAGE);
		umems[i] = umem_register(memory, 2 * PAGE, ODP_TEST_WRITE);
		CHECK(umems[i] >= 0);
	}
	notifier_end(&n[1]);
	notifier_end(&n[0]);
	notifier_end(&n[2]);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(umem_fault(umems[i], memory, 2 * PAGE, 0), 0);
		CHECK_EQ(umem_read(umems[i], memory, &byte, 1), 0);
	}
	notify(memory, PAGE);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(umem_read(umems[i], memory, &byte, 1), -EAGAIN);
		CHECK_EQ(umem_fault(umems[i], memory, PAGE, 0), 0);
	}
}

/* Nested notifiers of one task. */
static void around_a_registration(void)
{
	char *memory = subscribed_memory(4), byte;
	struct job fault;
	int umem;

	CHECK_EQ(notify_start(memory, PAGE, 0), 0);
	umem = umem_register(memory, 2 * PAGE, ODP_TEST_WRITE);
	CHECK(umem >= 0);
	notify(memory, 2 * PAGE);
	hold(ODP_TEST_WAITING, HOLD_MS);
	fault_start(&fault, umem, memory, PAGE, 0);
	CHECK_EQ(reached(ODP_TEST_WAITING), 0);
	let_go(ODP_TEST_WAITING);
	CHECK_EQ(notify_end(memory, PAGE), 0);
	CHECK_EQ(job_join(&fault), 0);
	notify(memory, PAGE);
	CHECK_EQ(umem_read(umem, memory, &byte, 1), -EAGAIN);
	CHECK_EQ(umem_fault(umem, memory, PAGE, 0), 0);
}

#define AREAS	400

static void nothing(int signal)
{
}

/* mm_take_all_locks() gives up for a signal; registration still succeeds. */
static void signal_comes(void)
{
	struct sigaction action = {
		.sa_handler = nothing,
		.sa_flags = SA_RESTART,
	};
	struct itimerval timer = {};
	char *memory = map_memory(2 * AREAS * PAGE);
	int status, i;
	pid_t child;

	for (i = 0; i < AREAS; i++)
		CHECK_EQ(mprotect(memory + 2 * i * PAGE, PAGE, PROT_READ), 0);
	CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
	/* open the device, which the children inherit */
	CHECK(umem_register(memory, PAGE, 0) >= 0);
	for (i = 0; i < 50; i++) {
		child = fork();
		if (!child) {
			timer.it_value.tv_usec = 1 + 20 * i;
			CHECK_EQ(setitimer(ITIMER_REAL, &timer, NULL), 0);
			CHECK(umem_register(memory, PAGE, 0) >= 0);
			_exit(0);
		}
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK_EQ(status, 0);
	}
}

static void destroyed_while_waiting(void)
{
	char *memory = subscribed_memory(4);
	struct notifier n;
	struct job fault;
	int umem;

	notifier_begin(&n, memory, PAGE);
	umem = umem_register(memory, PAGE, 0);
	CHECK(umem >= 0);
	hold(ODP_TEST_WAITING, HOLD_MS);
	fault_start(&fault, umem, memory, PAGE, 0);
	CHECK_EQ(reached(ODP_TEST_WAITING), 0);
	let_go(ODP_TEST_WAITING);
	CHECK_EQ(umem_destroy(umem), 0);
	CHECK_EQ(job_join(&fault), -EFAULT);
	notifier_end(&n);
}

/* A program can be killed while its fault waits. */
static void killed_while_waiting(void)
{
	int status, fds[2];
	pid_t child;
	char byte;

	CHECK_EQ(pipe(fds), 0);
	child = fork();
	if (!child) {
		char *memory = subscribed_memory(4);
		struct notifier n;
		struct job fault;
		int umem;

		notifier_begin(&n, memory, PAGE);
		umem = umem_register(memory, PAGE, 0);
		hold(ODP_TEST_WAITING, HOLD_MS);
		fault_start(&fault, umem, memory, PAGE, 0);
		CHECK_EQ(reached(ODP_TEST_WAITING), 0);
		let_go(ODP_TEST_WAITING);
		CHECK_EQ(write(fds[1], "", 1), 1);
		pause();
	}
	close(fds[1]);
	CHECK_EQ(read(fds[0], &byte, 1), 1);
	kill(child, SIGKILL);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status));
}

const struct test registration_tests[] = {
	{ "a umem waits for notifiers that run already", runs_already },
	{ "a fault sleeps until the last notifier ends", waits_and_wakes },
	{ "a fault does not wait for notifiers elsewhere",
	  others_are_not_waited_for },
	{ "registrations between notifiers", registered_between },
	{ "notifiers of one task, around a registration",
	  around_a_registration },
	{ "a signal while a process subscribes", signal_comes },
	{ "destruction while a fault waits", destroyed_while_waiting },
	{ "a process killed while its fault waits", killed_while_waiting },
	{}
};
