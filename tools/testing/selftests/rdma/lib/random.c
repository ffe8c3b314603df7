// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "ktap_test.h"
#include "random.h"

#define DEFAULT_SEED	1

uint64_t rnd(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

int one_in(uint64_t *state, unsigned int n)
{
	return !(rnd(state) % n);
}

uint32_t odd_number(uint64_t *state)
{
	static const uint32_t numbers[] = {
		0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 64, 0x7fff,
		0x10000, 0xffff, 0x7fffffff, 0x80000000, 0x80000001,
		0xfffffffe, 0xffffffff,
	};
	uint32_t n = rnd(state);

	return n % 4 ? numbers[n / 4 % NUM(numbers)] : rnd(state);
}

uint64_t odd_long(uint64_t *state)
{
	static const uint64_t bases[] = {
		0, 1ULL << 31, 1ULL << 32, 1ULL << 47, 1ULL << 63,
		0xffff888000000000ULL,
	};
	uint64_t n = rnd(state);

	if (n % 4)
		return bases[n / 4 % NUM(bases)] + (int32_t)odd_number(state);
	return rnd(state);
}

uint64_t seed_from(const char *variable)
{
	const char *text = getenv(variable);
	uint64_t seed;

	if (text && *text)
		seed = strtoull(text, NULL, 0);
	else
		seed = getenv("LONG_TESTS") ?
			       (uint64_t)time(NULL) << 20 | getpid() : DEFAULT_SEED;
	printf("# %s=%#llx\n", variable, (unsigned long long)seed);
	fflush(stdout);
	return seed;
}
