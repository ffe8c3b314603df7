// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hung.h"
#include "kselftest.h"
#include "ktap_test.h"

#define TEST_SECONDS	300
/* of what LONG_TESTS repeats */
#define LONG_ROUNDS	100
#define HUNG_SECONDS	60

#define AT_SIZE		200

/* shared with the test's process, which may have to be killed; or not there */
static char *at;

void test_at(const char *fmt, ...)
{
	va_list args;

	if (!at)
		return;
	va_start(args, fmt);
	vsnprintf(at, AT_SIZE, fmt, args);
	va_end(args);
}

pid_t fork_ready(int *ready)
{
	char byte;
	int fd[2];
	pid_t pid;

	CHECK_EQ(pipe(fd), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid) {
		close(fd[1]);
		CHECK_EQ(read(fd[0], &byte, 1), 1);
		close(fd[0]);
	} else {
		*ready = fd[1];
	}
	return pid;
}

void ready_until_killed(int ready)
{
	CHECK_EQ(write(ready, "", 1), 1);
	pause();
	_exit(0);
}

static void print_at(void)
{
	if (at && *at)
		printf("#   at %s\n", at);
}

static void give_up(void)
{
	print_at();
	fflush(stdout);
	_exit(KSFT_FAIL);
}

void fail(const char *file, int line, const char *what)
{
	printf("# %s:%d: %s (errno %d)\n", file, line, what, errno);
	give_up();
	__builtin_unreachable();
}

void check_eq(const char *file, int line, const char *what, long value,
	      long expected)
{
	if (value == expected)
		return;
	printf("# %s:%d: %s is %ld, expected %ld\n", file, line, what, value,
	       expected);
	give_up();
}

void skip(const char *why)
{
	printf("# skipped: %s\n", why);
	fflush(stdout);
	_exit(KSFT_SKIP);
	__builtin_unreachable();
}

unsigned int draw(unsigned int *state, unsigned int n)
{
	*state = *state * 1664525 + 1013904223;
	return (*state >> 8) % n;
}

/* Words are split at spaces, the first is a program of $PATH. */
static int spawn(char *text)
{
	char *words[100], *at, *rest;
	unsigned int n = 0;
	int status;
	pid_t pid;

	for (at = strtok_r(text, " ", &rest); at && n < NUM(words) - 1;
	     at = strtok_r(NULL, " ", &rest))
		words[n++] = at;
	CHECK(n && !at);
	words[n] = NULL;
	CHECK_EQ(posix_spawnp(&pid, *words, NULL, NULL, words, environ), 0);
	while (waitpid(pid, &status, 0) < 0)
		CHECK_EQ(errno, EINTR);
	return status;
}

/* A shell is a process more to start: only what has its characters needs it. */
static int run(char *text)
{
	return strpbrk(text, "\"'`$&|;<>(){}*?[]~#\\!\n") ? system(text) :
							    spawn(text);
}

void command(const char *fmt, ...)
{
	char text[300];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	test_at("%s", text);
	CHECK_EQ(run(text), 0);
}

void run_on(unsigned int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu % sysconf(_SC_NPROCESSORS_ONLN), &cpus);
	CHECK_EQ(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
}

unsigned long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

void sleep_ms(unsigned int ms)
{
	usleep(ms * 1000);
}

unsigned int rounds_of(unsigned int n)
{
	return getenv("LONG_TESTS") ? LONG_ROUNDS : n;
}

unsigned int limit_factor(void)
{
	const char *factor = getenv("LIMIT_FACTOR");

	return factor && atoi(factor) > 0 ? atoi(factor) : 1;
}

unsigned int hung_ms(void)
{
	const char *seconds = getenv("HUNG_SECONDS");

	return 1000 * (seconds && atoi(seconds) > 0 ? atoi(seconds) :
						      HUNG_SECONDS);
}

static bool wanted(const struct test *test, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(*names, test->name))
			return true;
	return false;
}

/* The process group may hold children that the test has left behind. */
static int wait_for_test(pid_t pid, unsigned int seconds)
{
	struct pollfd pollfd = {
		.fd = syscall(SYS_pidfd_open, pid, 0),
		.events = POLLIN,
	};
	int status = 0;
	bool done;

	CHECK(pollfd.fd >= 0);
	done = poll(&pollfd, 1, seconds * 1000) == 1;
	close(pollfd.fd);
	if (!done)
		hung_report(pid);
	kill(-pid, SIGKILL);
	if (!done) {
		/* last, as a summary shows the last lines before a result */
		printf("# not done after %u s\n", seconds);
		print_at();
	}
	waitpid(pid, &status, 0);
	if (!done)
		return KSFT_FAIL;
	if (WIFSIGNALED(status))
		printf("# killed by signal %d\n", WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : KSFT_FAIL;
}

static int run_test(const struct test *test)
{
	unsigned int seconds = test->seconds ? test->seconds : TEST_SECONDS;
	pid_t pid;

	test_at("%s", "");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		test->run();
		fflush(stdout);
		_exit(KSFT_PASS);
	}
	if (pid < 0)
		return KSFT_FAIL;
	setpgid(pid, pid);
	if (test->in_rounds)
		seconds *= (rounds_of(3) + 2) / 3;
	return wait_for_test(pid, seconds * limit_factor());
}

void run_tests(const struct test *tests, char **names)
{
	const struct test *test;
	unsigned int n = 0;
	void *shared;

	shared = mmap(NULL, AT_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	at = shared;
	for (test = tests; test->name; test++)
		n += wanted(test, names);
	ksft_print_header();
	ksft_set_plan(n);
	for (test = tests; test->name; test++)
		if (wanted(test, names))
			ksft_test_result_code(run_test(test), test->name, NULL);
	ksft_finished();
}
