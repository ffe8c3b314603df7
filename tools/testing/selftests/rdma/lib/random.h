/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Random numbers that come again with their seed. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

/* the next number of the sequence that @state is at (splitmix64) */
uint64_t rnd(uint64_t *state);
/* whether one in @n comes true */
int one_in(uint64_t *state, unsigned int n);
/* a number next to the limits of things, or any */
uint32_t odd_number(uint64_t *state);
/* the same of 64 bits */
uint64_t odd_long(uint64_t *state);

/* the seed of a variable of the environment; else the default, or with LONG_TESTS a new one */
uint64_t seed_from(const char *variable);

#endif
