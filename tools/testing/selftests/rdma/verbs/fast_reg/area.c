// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Memory that is registered, and its expected content. */
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/scatterlist.h>
#include <linux/vmalloc.h>

#include "fast_reg.h"

/* the largest chunk that the page allocator can be expected to have */
#define CHUNK_MAX	((u32)SZ_2M)

static u8 *expected_of(const struct area *area, int chunk)
{
	return area->expected + (size_t)chunk * area->chunk_bytes;
}

/**
 * area_free - free the memory of an area
 * @area: also one that area_alloc() has failed to make
 *
 * Context: may sleep.
 */
void area_free(struct area *area)
{
	int i;

	for (i = 0; i < area->num_chunks; i++)
		free_pages((unsigned long)area->chunks[i],
			   get_order(area->chunk_bytes));
	vfree(area->expected);
}

/**
 * area_alloc - get memory that blocks of some size lie in
 * @area: to be filled
 * @block: bytes of a block
 * @blocks: their number
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int area_alloc(struct area *area, u32 block, int blocks)
{
	int i;

	memset(area, 0, sizeof(*area));
	area->chunk_bytes = clamp_t(u32, block, PAGE_SIZE, CHUNK_MAX);
	area->expected = vmalloc(array_size(blocks, area->chunk_bytes));
	if (!area->expected)
		return -ENOMEM;

	for (i = 0; i < blocks; i++) {
		area->chunks[i] = (u8 *)__get_free_pages(GFP_KERNEL,
					get_order(area->chunk_bytes));
		if (!area->chunks[i])
			return -ENOMEM;
		area->num_chunks++;
		get_random_bytes(area->chunks[i], area->chunk_bytes);
		memcpy(expected_of(area, i), area->chunks[i], area->chunk_bytes);
	}
	return 0;
}

static void add_piece(struct area *area, u8 *at, u32 len)
{
	struct piece *piece = &area->pieces[area->num_pieces++];

	piece->at = at;
	piece->len = len;
	area->bytes += len;
}

/**
 * area_pieces - lay out the pieces to be registered
 * @area: from area_alloc()
 * @block: bytes of a block
 * @cuts: pieces that each block comes in
 *
 * One block of each chunk, but for some bytes at the beginning of the first and at
 * the end of the last.
 */
void area_pieces(struct area *area, u32 block, int cuts)
{
	u32 bytes = min(block, area->chunk_bytes), begin, end, cut;
	u8 *at;
	int i;

	for (i = 0; i < area->num_chunks; i++) {
		at = area->chunks[i] + area->chunk_bytes - bytes;
		begin = i ? 0 : bytes / 8 + 5;
		end = i < area->num_chunks - 1 ? bytes : bytes - bytes / 4 - 3;
		cut = (end - begin) / cuts;
		for (; begin + 2 * cut <= end; begin += cut)
			add_piece(area, at + begin, cut);
		add_piece(area, at + begin, end - begin);
	}
}

/**
 * area_map - have a region map an area
 * @area: laid out
 * @mr: the region, of a device whose addresses are those of the kernel
 * @block: bytes of a block
 * @skip: bytes of the first piece that are left out
 *
 * Return: as ib_map_mr_sg(). If all was mapped, @area describes the region.
 */
int area_map(struct area *area, struct ib_mr *mr, u32 block, u32 skip)
{
	int i, n;

	sg_init_table(area->sg, area->num_pieces);
	for (i = 0; i < area->num_pieces; i++)
		sg_set_buf(&area->sg[i], area->pieces[i].at,
			   area->pieces[i].len);
	n = ib_dma_map_sg(mr->device, area->sg, area->num_pieces,
			  DMA_BIDIRECTIONAL);
	if (n != area->num_pieces)
		return -EIO;

	area->pieces[0].at += skip;
	area->pieces[0].len -= skip;
	area->bytes -= skip;
	return ib_map_mr_sg(mr, area->sg, n, &skip, block);
}

/* The expected content at an offset, and its length within one piece. */
static u8 *expected_at(const struct area *area, u64 offset, u32 *len)
{
	const struct piece *piece = area->pieces;
	u8 *at;
	int i;

	for (; offset >= piece->len; piece++)
		offset -= piece->len;
	at = piece->at + offset;
	*len = min_t(u64, *len, piece->len - offset);

	for (i = 0; i < area->num_chunks - 1; i++)
		if (at >= area->chunks[i] &&
		    at < area->chunks[i] + area->chunk_bytes)
			break;
	return expected_of(area, i) + (at - area->chunks[i]);
}

/**
 * area_write - expect bytes that a peer has written
 * @area: the area
 * @offset: where
 * @bytes: what
 * @len: how much
 */
void area_write(struct area *area, u64 offset, const u8 *bytes, u32 len)
{
	u32 n;
	u8 *at;

	for (; len; offset += n, bytes += n, len -= n) {
		n = len;
		at = expected_at(area, offset, &n);
		memcpy(at, bytes, n);
	}
}

/**
 * area_holds - whether an area is expected to hold these bytes
 * @area: the area
 * @offset: where
 * @bytes: what
 * @len: how much
 *
 * Return: true if they are expected there.
 */
bool area_holds(const struct area *area, u64 offset, const u8 *bytes, u32 len)
{
	u32 n;
	u8 *at;

	for (; len; offset += n, bytes += n, len -= n) {
		n = len;
		at = expected_at(area, offset, &n);
		if (memcmp(at, bytes, n))
			return false;
	}
	return true;
}

/**
 * area_intact - whether all memory has its expected content
 * @area: the area
 *
 * Return: false if other memory was written to, or other bytes than were sent.
 */
bool area_intact(const struct area *area)
{
	int i;

	for (i = 0; i < area->num_chunks; i++)
		if (memcmp(area->chunks[i], expected_of(area, i),
			   area->chunk_bytes))
			return false;
	return true;
}
