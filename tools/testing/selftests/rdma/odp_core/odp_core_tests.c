// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The tests of the ODP core. Arguments, if any, are the names of those to run.
 */
#include "user.h"

#define MAX_TESTS	100

int main(int argc, char **argv)
{
	static const struct test *const groups[] = {
		publish_tests, zap_tests, registration_tests, lifetime_tests,
		memory_tests, reclaim_tests, sparse_tests, progress_tests,
		storm_tests, NULL
	};
	static struct test tests[MAX_TESTS + 1];
	const struct test *test;
	unsigned int i, n = 0;

	for (i = 0; groups[i]; i++)
		for (test = groups[i]; test->name && n < MAX_TESTS; test++)
			tests[n++] = *test;
	run_tests(tests, argv + 1);
}
