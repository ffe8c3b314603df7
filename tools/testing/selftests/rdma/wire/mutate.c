// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <string.h>

#include "mutate.h"
#include "random.h"

#define NUM(array)	(sizeof(array) / sizeof((array)[0]))

/* near the ends of the region that it is in, or of another */
static uint64_t odd_address(const struct targets *t, uint64_t *random)
{
	unsigned int i = rnd(random) % t->keys_n;
	int64_t off;

	if (one_in(random, 8))
		return odd_long(random);
	off = one_in(random, 2) ? t->lens[i] : 0;
	return t->addrs[i] + off + (int64_t)(rnd(random) % 33) - 16;
}

static uint32_t odd_key(const struct targets *t, uint32_t key, uint64_t *random)
{
	switch (rnd(random) % 4) {
	case 0:
		return key ^ 1U << rnd(random) % 32;
	case 1:
		return odd_number(random);
	default:
		return t->keys[rnd(random) % t->keys_n];
	}
}

static uint32_t odd_length(const struct packet *p, uint64_t *random)
{
	static const uint32_t lens[] = {
		0, 1, 1023, 1024, 1025, 4096, 32768, 32769, 0x7fffffff, 0x80000000,
		0x80000001, 0xffffffff,
	};

	if (one_in(random, 2))
		return p->dma_len + rnd(random) % 9 - 4;
	return lens[rnd(random) % NUM(lens)];
}

static uint32_t odd_psn(uint32_t psn, uint64_t *random)
{
	switch (rnd(random) % 4) {
	case 0:
		return rnd(random);
	case 1:
		return psn + (1U << 23) + rnd(random) % 3 - 1;
	case 2:
		return psn - rnd(random) % 300;
	default:
		return psn + rnd(random) % 33 - 16;
	}
}

static uint8_t odd_opcode(uint8_t opcode, uint64_t *random)
{
	switch (rnd(random) % 4) {
	case 0:
		return rnd(random);
	case 1:
		/* a congestion notification */
		return one_in(random, 4) ? 0x81 : opcode ^ 1U << rnd(random) % 8;
	default:
		return (opcode & 0xe0) | rnd(random) % 32;
	}
}

void mutate_packet(struct packet *p, const struct targets *t, uint64_t *random)
{
	switch (rnd(random) % 20) {
	case 0:
	case 1:
		p->opcode = odd_opcode(p->opcode, random);
		break;
	case 2:
	case 3:
	case 4:
		p->psn = odd_psn(p->psn, random);
		break;
	case 5:
	case 6:
		p->va = odd_address(t, random);
		break;
	case 7:
		p->rkey = odd_key(t, p->rkey, random);
		break;
	case 8:
	case 9:
		p->dma_len = odd_length(p, random);
		break;
	case 10:
		p->aeth = odd_number(random);
		break;
	case 11:
		/* every syndrome, with a message number that may be right */
		p->aeth = (p->aeth & 0xffffff) | (uint32_t)rnd(random) << 24;
		break;
	case 12:
		p->ieth = odd_key(t, p->ieth, random);
		break;
	case 13:
		p->feth = odd_number(random);
		p->imm = odd_number(random);
		p->compare = odd_long(random) | 0x8080808080808080ULL;
		break;
	case 14:
		p->qkey = odd_number(random);
		p->from_qpn = odd_number(random);
		break;
	case 15:
		p->flags = rnd(random);
		break;
	case 16:
		p->pkey = odd_number(random);
		break;
	case 17:
		p->qpn = one_in(random, 4) ? odd_number(random) :
					     t->qpns[rnd(random) % t->qpns_n];
		break;
	case 18:
		p->ack = !p->ack;
		p->resv = rnd(random);
		break;
	default:
		p->payload_len = one_in(random, 2) ? rnd(random) % 1380 :
						     p->payload_len + rnd(random) % 9 - 4;
		if (p->payload_len > 1380)
			p->payload_len = 0;
		p->pad = one_in(random, 2) ? rnd(random) : -(uint64_t)p->payload_len;
	}
}

/*
 * The BTH says what memory the rest may change: its opcode and pad count are
 * changed as fields only, so that the rest still has the bytes for it.
 */
void mutate_frame(struct frame *frame, uint64_t *random)
{
	size_t body = frame->len - frame->bth - ICRC_BYTES, n, at;
	unsigned char *bth = frame->bytes + frame->bth;
	bool seal = !one_in(random, 4);

	switch (rnd(random) % 4) {
	case 0:
		/* cut, with lengths that agree */
		frame->len = frame->bth + rnd(random) % (body + ICRC_BYTES);
		frame_set_lengths(frame);
		break;
	case 1:
		/* longer */
		n = 1 + rnd(random) % 64;
		if (frame->len + n > ETH_BYTES + 1500)
			break;
		memset(frame->bytes + frame->len - ICRC_BYTES, 0x80 | rnd(random),
		       n + ICRC_BYTES);
		frame->len += n;
		frame_set_lengths(frame);
		break;
	case 2:
		/* bytes behind the packet, which are none of it */
		if (frame->len + 32 <= ETH_BYTES + 1500) {
			memset(frame->bytes + frame->len, 0xee, 32);
			frame->len += 32;
		}
		return;
	default:
		for (n = 1 + rnd(random) % 3; n; n--) {
			at = 2 + rnd(random) % (body - 2);
			bth[at] = 0x80 | rnd(random);
		}
	}
	if (seal)
		frame_seal(frame);
	else
		frame_checksum(frame);
}

void mutate_ip(struct frame *frame, const struct way *others, unsigned int n,
	       uint64_t *random)
{
	unsigned char *ip = frame->bytes + ETH_BYTES;
	unsigned char *udp = frame->bytes + frame->bth - 8;
	bool ipv6 = udp == ip + 40;
	const struct way *other = &others[rnd(random) % n];
	size_t i;

	switch (rnd(random) % 7) {
	case 0:
		/* what routers change */
		ip[1] = rnd(random);
		break;
	case 1:
		for (i = 0; i < n && other->ipv6 != ipv6; i++)
			other = &others[i];
		if (other->ipv6 != ipv6)
			break;
		/* from somebody else, or to another address */
		if (one_in(random, 2))
			memcpy(ip + (ipv6 ? 8 : 12), other->addrs[1] + (ipv6 ? 0 : 12),
			       ipv6 ? 16 : 4);
		else
			memcpy(ip + (ipv6 ? 24 : 16), other->addrs[0] + (ipv6 ? 0 : 12),
			       ipv6 ? 16 : 4);
		break;
	case 2:
		udp[rnd(random) % 8] = rnd(random);
		break;
	case 3:
		ip[4 + rnd(random) % 4] = rnd(random);
		break;
	case 4:
		udp[4] = rnd(random) % 8;
		udp[5] = rnd(random);
		break;
	case 5:
		udp[0] = rnd(random);
		udp[1] = rnd(random);
		break;
	default:
		ip[rnd(random) % (ipv6 ? 40 : 20)] = rnd(random);
	}
	if (one_in(random, 4))
		frame_checksum(frame);
	else
		frame_seal(frame);
}
