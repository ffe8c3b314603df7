/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Changes that make a valid packet one that no honest peer sends. */
#ifndef MUTATE_H
#define MUTATE_H

#include "frames.h"

#define MAX_TARGETS	48

/**
 * struct targets - what the peer knows, and may point at
 * @qpns: queue pair numbers, its own connections' and others'
 * @keys: of regions that are exposed to it, and of others
 * @addrs: of the same regions
 * @lens: of the same regions
 * @qpns_n: number of @qpns
 * @keys_n: number of @keys, @addrs and @lens
 */
struct targets {
	uint32_t qpns[MAX_TARGETS];
	uint32_t keys[MAX_TARGETS];
	uint64_t addrs[MAX_TARGETS];
	uint32_t lens[MAX_TARGETS];
	unsigned int qpns_n;
	unsigned int keys_n;
};

/* change a field of @packet, before it becomes a frame */
void mutate_packet(struct packet *packet, const struct targets *targets,
		   uint64_t *random);
/* change bytes or the length of a sealed @frame; it may be sealed again */
void mutate_frame(struct frame *frame, uint64_t *random);
/* change what routers and IP look at; it may not arrive any more */
void mutate_ip(struct frame *frame, const struct way *others, unsigned int n,
	       uint64_t *random);

#endif
