// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "failing.h"
#include "ktap_test.h"
#include "memory.h"

#define DEBUG	"/sys/kernel/debug/"

static int nth_file;
static bool asked;
static bool has_failed;

/* A thread's own reads and writes of its file count, and may fail: another does them. */
static void *stopper(void *arg)
{
	char text[20];

	for (;;) {
		while (!__atomic_load_n(&asked, __ATOMIC_ACQUIRE))
			sleep_ms(1);
		memset(text, 0, sizeof(text));
		CHECK(pread(nth_file, text, sizeof(text) - 1, 0) > 0);
		CHECK_EQ(pwrite(nth_file, "0", 1, 0), 1);
		has_failed = !atoi(text);
		__atomic_store_n(&asked, false, __ATOMIC_RELEASE);
	}
	return NULL;
}

void failing_up(void)
{
	static const char *const files[] = {
		"failslab/verbose", "failslab/ignore-gfp-wait",
		"fail_page_alloc/verbose", "fail_page_alloc/ignore-gfp-wait",
		"fail_page_alloc/ignore-gfp-highmem", "fail_page_alloc/min-order",
		"fail_usercopy/verbose",
	};
	char name[100];
	pthread_t thread;
	size_t i;

	snprintf(name, sizeof(name), "/proc/self/task/%d/fail-nth", gettid());
	nth_file = open(name, O_RDWR);
	if (nth_file < 0)
		skip("the kernel has no fault injection");
	for (i = 0; i < NUM(files); i++) {
		snprintf(name, sizeof(name), DEBUG "%s", files[i]);
		if (!access(name, W_OK))
			write_file(name, "0");
	}
	CHECK_EQ(pthread_create(&thread, NULL, stopper, NULL), 0);
}

void fail_nth(unsigned int nth)
{
	char text[20];
	int len = snprintf(text, sizeof(text), "%u", nth);

	CHECK_EQ(pwrite(nth_file, text, len, 0), len);
}

bool fail_over(void)
{
	__atomic_store_n(&asked, true, __ATOMIC_RELEASE);
	while (__atomic_load_n(&asked, __ATOMIC_ACQUIRE))
		sched_yield();
	return has_failed;
}

void fail_packets(bool fail)
{
	static const char *const cache =
		"/sys/kernel/slab/skbuff_head_cache/failslab";

	if (access(cache, W_OK) || access(DEBUG "failslab/times", W_OK))
		skip("the kernel has no fault injection for one cache");
	write_file(DEBUG "failslab/probability", "0");
	write_file(DEBUG "failslab/verbose", "0");
	write_file(cache, fail ? "1" : "0");
	write_file(DEBUG "failslab/cache-filter", fail ? "Y" : "N");
	write_file(DEBUG "failslab/times", fail ? "200" : "1");
	if (fail)
		write_file(DEBUG "failslab/probability", "100");
}

bool fails_so(int err)
{
	/* ENFILE: a socket's, see sock_create() */
	return err == ENOMEM || err == ENOBUFS || err == EFAULT || err == ENFILE;
}
