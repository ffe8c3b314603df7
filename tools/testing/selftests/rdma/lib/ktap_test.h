/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Tests that run each in a process of its own and tell their results as KTAP. */
#ifndef KTAP_TEST_H
#define KTAP_TEST_H

#include <stdbool.h>
#include <stddef.h>

#define NUM(array)	(sizeof(array) / sizeof((array)[0]))

/**
 * struct test - a test
 * @name: says what is tested, without its neighbours: a report shows it alone
 * @run: fails by CHECK() and skips by skip(); in a process of its own, which
 *	 leads a process group of its own
 * @seconds: that it may take (120)
 */
struct test {
	const char *name;
	void (*run)(void);
	unsigned int seconds;
};

/**
 * run_tests - run all tests, or those that are named, and exit
 * @tests: ended by one without a name
 * @names: of the tests to run, ended by NULL; none for all
 *
 * A test may take its time, and LIMIT_FACTOR of the environment times that where
 * the kernel is slow. What it leaves running is ended with it.
 */
void run_tests(const struct test *tests, char **names) __attribute__((noreturn));

/* what the process is at, shown when a check fails */
void test_at(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define CHECK(condition)						\
do {									\
	if (!(condition))						\
		fail(__FILE__, __LINE__, #condition);			\
} while (0)

/* two values, shown when they differ */
#define CHECK_EQ(value, expected)					\
	check_eq(__FILE__, __LINE__, #value, (long)(value), (long)(expected))

void fail(const char *file, int line, const char *what)
	__attribute__((noreturn));
void check_eq(const char *file, int line, const char *what, long value,
	      long expected);
void skip(const char *why) __attribute__((noreturn));

/* a number below @n, the next of the sequence that @state is at */
unsigned int draw(unsigned int *state, unsigned int n);

/* run a program by the shell; CHECK()s that it worked */
void command(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* the calling thread; @cpu counts on beyond the last one at the first */
void run_on(unsigned int cpu);

unsigned long long now_ms(void);
void sleep_ms(unsigned int ms);
/* how much longer than usual things may take before they count as hung */
unsigned int limit_factor(void);

/*
 * How long what is sure to come may take, times limit_factor(); HUNG_SECONDS of the
 * environment, where it is going to be waited for in vain.
 */
#define HUNG_MS		hung_ms()
unsigned int hung_ms(void);

/* what the kernel or another process does by and by */
#define UNTIL(condition)						\
do {									\
	unsigned long long end_ = now_ms() + HUNG_MS * limit_factor();	\
									\
	while (!(condition)) {						\
		if (now_ms() > end_)					\
			fail(__FILE__, __LINE__, #condition);		\
		sleep_ms(10);						\
	}								\
} while (0)

#endif
