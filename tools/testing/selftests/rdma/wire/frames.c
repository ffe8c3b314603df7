// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#include "frames.h"

#define RC_OPCODE(service)	((service) & 0x1f)

/* IBTA table 38, and annexes A19 for flush, A19.4 for atomic write */
unsigned int eths_of(uint8_t opcode)
{
	static const uint8_t rc[32] = {
		[0x03] = ETH_IMM, [0x05] = ETH_IMM,
		[0x06] = ETH_RETH, [0x09] = ETH_IMM, [0x0a] = ETH_RETH,
		[0x0b] = ETH_RETH | ETH_IMM, [0x0c] = ETH_RETH,
		[0x0d] = ETH_AETH, [0x0f] = ETH_AETH, [0x10] = ETH_AETH,
		[0x11] = ETH_AETH, [0x12] = ETH_AETH | ETH_ORIG,
		[0x13] = ETH_ATOMIC, [0x14] = ETH_ATOMIC,
		[0x16] = ETH_IETH, [0x17] = ETH_IETH,
		[0x1c] = ETH_FETH | ETH_RETH, [0x1d] = ETH_RETH,
	};
	unsigned int eths = rc[RC_OPCODE(opcode)];

	return opcode >> 5 == 3 ? eths | ETH_DETH : eths;
}

static unsigned char *put16(unsigned char *to, uint16_t value)
{
	value = htons(value);
	memcpy(to, &value, sizeof(value));
	return to + sizeof(value);
}

static unsigned char *put32(unsigned char *to, uint32_t value)
{
	value = htonl(value);
	memcpy(to, &value, sizeof(value));
	return to + sizeof(value);
}

static unsigned char *put64(unsigned char *to, uint64_t value)
{
	value = htobe64(value);
	memcpy(to, &value, sizeof(value));
	return to + sizeof(value);
}

static unsigned char *put_eths(unsigned char *to, const struct packet *p)
{
	unsigned int eths = eths_of(p->opcode);

	if (eths & ETH_DETH)
		to = put32(put32(to, p->qkey), p->from_qpn);
	if (eths & ETH_FETH)
		to = put32(to, p->feth);
	if (eths & ETH_RETH)
		to = put32(put32(put64(to, p->va), p->rkey), p->dma_len);
	if (eths & ETH_ATOMIC)
		to = put64(put64(put32(put64(to, p->va), p->rkey), p->swap),
			   p->compare);
	if (eths & ETH_AETH)
		to = put32(to, p->aeth);
	if (eths & ETH_ORIG)
		to = put64(to, p->compare);
	if (eths & ETH_IETH)
		to = put32(to, p->ieth);
	if (eths & ETH_IMM)
		to = put32(to, p->imm);
	return to;
}

size_t packet_bytes(const struct packet *p, const unsigned char *payload,
		    unsigned char *bytes)
{
	unsigned char *to = bytes;

	*to++ = p->opcode;
	*to++ = (p->flags & ~0x30) | (p->pad & 3) << 4;
	to = put16(to, p->pkey);
	to = put32(to, (uint32_t)p->resv << 24 | (p->qpn & 0xffffff));
	to = put32(to, (uint32_t)p->ack << 31 | (p->psn & 0xffffff));
	to = put_eths(to, p);
	memcpy(to, payload, p->payload_len);
	to += p->payload_len;
	/* data, where the pad count is changed: marked as the peer's */
	memset(to, 0x80, p->pad & 3);
	return to + (p->pad & 3) - bytes;
}

static uint16_t sum_of(const unsigned char *bytes, size_t len)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i < len; i += 2)
		sum += bytes[i] << 8 | bytes[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static bool is_ipv6(const struct frame *frame)
{
	return frame->bth == ETH_BYTES + 40 + 8;
}

void frame_set_lengths(struct frame *frame)
{
	unsigned char *ip = frame->bytes + ETH_BYTES;
	unsigned char *udp = frame->bytes + frame->bth - 8;
	uint16_t len = frame->len - (frame->bth - 8);

	put16(udp + 4, len);
	if (is_ipv6(frame))
		put16(ip + 4, len);
	else
		put16(ip + 2, len + 20);
}

void frame_checksum(struct frame *frame)
{
	unsigned char *ip = frame->bytes + ETH_BYTES;

	if (is_ipv6(frame))
		return;
	put16(ip + 10, 0);
	put16(ip + 10, sum_of(ip, 20));
}

static uint32_t crc_table[256];

static uint32_t crc_add(uint32_t crc, const unsigned char *bytes, size_t len)
{
	uint32_t n, i;

	if (!crc_table[1])
		for (n = 0; n < 256; n++) {
			crc_table[n] = n;
			for (i = 0; i < 8; i++)
				crc_table[n] = crc_table[n] >> 1 ^
					       (crc_table[n] & 1 ? 0xedb88320 : 0);
		}
	while (len--)
		crc = crc >> 8 ^ crc_table[(crc ^ *bytes++) & 0xff];
	return crc;
}

/* IBTA annex A17.3.3: without what routers may change */
uint32_t icrc_of(const struct frame *headers, const unsigned char *bytes, size_t len,
		 uint16_t ident)
{
	static const unsigned char ones[8] = { 255, 255, 255, 255, 255, 255, 255, 255 };
	unsigned char head[40 + 8 + BTH_BYTES];
	size_t ip_len = headers->bth - 8 - ETH_BYTES;
	unsigned char *udp = head + ip_len;
	uint32_t crc;

	memcpy(head, headers->bytes + ETH_BYTES, ip_len + 8);
	memcpy(udp + 8, bytes, BTH_BYTES);
	if (is_ipv6(headers)) {
		head[0] |= 0xf;
		memset(head + 1, 0xff, 3);
		head[7] = 0xff;
	} else {
		put16(head + 4, ident);
		head[1] = 0xff;
		head[8] = 0xff;
		memset(head + 10, 0xff, 2);
	}
	memset(udp + 6, 0xff, 2);
	udp[8 + 4] = 0xff;
	crc = crc_add(~0U, ones, sizeof(ones));
	crc = crc_add(crc, head, ip_len + 8 + BTH_BYTES);
	return ~crc_add(crc, bytes + BTH_BYTES, len - BTH_BYTES);
}

void frame_seal(struct frame *frame)
{
	unsigned char *bth = frame->bytes + frame->bth;
	size_t len = frame->len - frame->bth;
	uint32_t icrc;

	frame_checksum(frame);
	if (len < BTH_BYTES + ICRC_BYTES)
		return;
	icrc = htole32(icrc_of(frame, bth, len - ICRC_BYTES,
			       frame->bytes[ETH_BYTES + 4] << 8 |
			       frame->bytes[ETH_BYTES + 5]));
	memcpy(bth + len - ICRC_BYTES, &icrc, ICRC_BYTES);
}

void frame_make(struct frame *frame, const struct way *way,
		const struct packet *packet, const unsigned char *payload)
{
	unsigned char *ip = frame->bytes + ETH_BYTES, *udp;

	memcpy(frame->bytes, way->macs, 12);
	put16(frame->bytes + 12, way->ipv6 ? 0x86dd : 0x0800);
	memset(ip, 0, 40 + 8);
	if (way->ipv6) {
		ip[0] = 0x60;
		ip[6] = 17;
		ip[7] = 64;
		memcpy(ip + 8, way->addrs[1], 16);
		memcpy(ip + 24, way->addrs[0], 16);
		udp = ip + 40;
	} else {
		ip[0] = 0x45;
		ip[6] = 0x40;
		ip[8] = 64;
		ip[9] = 17;
		memcpy(ip + 12, way->addrs[1] + 12, 4);
		memcpy(ip + 16, way->addrs[0] + 12, 4);
		udp = ip + 20;
	}
	put16(udp, SOURCE_PORT);
	put16(udp + 2, ROCE_PORT);
	frame->bth = udp + 8 - frame->bytes;
	frame->len = frame->bth + packet_bytes(packet, payload, udp + 8) + ICRC_BYTES;
	frame_set_lengths(frame);
	frame_seal(frame);
}
