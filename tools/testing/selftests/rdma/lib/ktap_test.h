/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Each test runs in a process of its own; results are printed as KTAP. */
#ifndef KTAP_TEST_H
#define KTAP_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define NUM(array)	(sizeof(array) / sizeof((array)[0]))

/**
 * struct test - a test
 * @name: says what is tested, without its neighbours: a report shows it alone
 * @run: fails by CHECK() and skips by skip(); in a process of its own, which
 *	 leads a process group of its own
 * @seconds: its time limit (300)
 * @in_rounds: rounds_of() says how many it has: the limit is for three
 */
struct test {
	const char *name;
	void (*run)(void);
	unsigned int seconds;
	bool in_rounds;
};

/**
 * run_tests - run all tests, or those that are named, and exit
 * @tests: ended by one without a name
 * @names: of the tests to run, ended by NULL; none for all
 *
 * The time limit of each test is multiplied by LIMIT_FACTOR of the environment,
 * for slow kernels. Processes that a test leaves running are killed at its end.
 */
void run_tests(const struct test *tests, char **names) __attribute__((noreturn));

/* how often to repeat what is usually done @n times: LONG_TESTS makes it 100 */
unsigned int rounds_of(unsigned int n);

/* note the current step, which a failed check shows */
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

/* fork a child, where it returns 0; otherwise return when that is ready (@ready) */
pid_t fork_ready(int *ready);
/* in that child */
void ready_until_killed(int ready) __attribute__((noreturn));

/* a number below @n, the next of the sequence that @state is at */
unsigned int draw(unsigned int *state, unsigned int n);

/* run a program by the shell; CHECK()s that it worked */
void command(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* move the calling thread to a CPU; @cpu is taken modulo their number */
void run_on(unsigned int cpu);

unsigned long long now_ms(void);
void sleep_ms(unsigned int ms);
/* how much longer than usual things may take before they count as hung */
unsigned int limit_factor(void);

/*
 * How long an event may take that must come, times limit_factor(). HUNG_SECONDS
 * of the environment shortens this for runs in which it may never come.
 */
#define HUNG_MS		hung_ms()
unsigned int hung_ms(void);

/* poll for a condition that the kernel or another process brings about */
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
