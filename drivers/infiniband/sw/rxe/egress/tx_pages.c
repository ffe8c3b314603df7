// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Each CPU cycles through a ring of pages, and reuses one when the network has
 * released all that was sent from it: allocating a page may mean clearing it,
 * which costs as much as filling it.
 */
#include <linux/mm.h>
#include <linux/percpu.h>

#include "base/wire.h"
#include "egress/tx_pages.h"

#define RXE_TX_RING		8
#define RXE_TX_ORDER		min(3, get_order(32768))
/* if memory is fragmented: enough for one packet of the largest size */
#define RXE_TX_MIN_ORDER	get_order(RXE_MAX_PAYLOAD + 128)

/**
 * struct rxe_tx_pages - the ring of a CPU
 * @ring: the pages, allocated when they are first needed
 * @at: index of the page that is being filled
 * @used: bytes of it that are used
 */
struct rxe_tx_pages {
	struct page *ring[RXE_TX_RING];
	unsigned int at;
	u32 used;
};

static DEFINE_PER_CPU(struct rxe_tx_pages, rxe_tx_pages);

static struct page *rxe_tx_page_alloc(void)
{
	gfp_t gfp = GFP_ATOMIC | __GFP_NOWARN | __GFP_COMP;
	struct page *page;

	page = alloc_pages(gfp | __GFP_NORETRY | __GFP_NOMEMALLOC,
			   RXE_TX_ORDER);
	return page ?: alloc_pages(gfp, RXE_TX_MIN_ORDER);
}

/* Begin the next page: reuse it if only the ring holds it, or else allocate. */
static bool rxe_tx_next_page(struct rxe_tx_pages *pages)
{
	unsigned int at = (pages->at + 1) % RXE_TX_RING;
	struct page *page = pages->ring[at];

	if (!page || page_ref_count(page) != 1) {
		page = rxe_tx_page_alloc();
		if (!page)
			return false;
		if (pages->ring[at])
			put_page(pages->ring[at]);
		pages->ring[at] = page;
	}

	/*
	 * Reads by former holders come before our writes: pairs with the full
	 * barrier in their put_page().
	 */
	smp_mb();
	pages->at = at;
	pages->used = 0;
	return true;
}

/**
 * rxe_tx_find_room - find memory for packets
 * @room: set to the memory; no reference to its page is taken
 * @len: bytes at least
 *
 * Context: BH disabled; the caller may use the memory until BH are enabled, or
 * until it calls this again.
 * Return: false: there is none.
 */
bool rxe_tx_find_room(struct rxe_tx_room *room, u32 len)
{
	struct rxe_tx_pages *pages = this_cpu_ptr(&rxe_tx_pages);
	struct page *page = pages->ring[pages->at];

	lockdep_assert_in_softirq();
	if (!page || pages->used + len > page_size(page)) {
		if (!rxe_tx_next_page(pages))
			return false;
		page = pages->ring[pages->at];
	}

	room->page = page;
	room->offset = pages->used;
	room->len = page_size(page) - pages->used;
	return true;
}

/**
 * rxe_tx_use_room - mark memory from rxe_tx_find_room() as used
 * @len: bytes, at most as many as were found
 *
 * Context: as rxe_tx_find_room(); the caller holds the page.
 */
void rxe_tx_use_room(u32 len)
{
	lockdep_assert_in_softirq();
	this_cpu_ptr(&rxe_tx_pages)->used += len;
}

/**
 * rxe_tx_pages_exit - free all rings
 *
 * Context: process; nothing is sent any more.
 */
void rxe_tx_pages_exit(void)
{
	struct rxe_tx_pages *pages;
	int cpu, i;

	for_each_possible_cpu(cpu) {
		pages = per_cpu_ptr(&rxe_tx_pages, cpu);
		for (i = 0; i < RXE_TX_RING; i++)
			if (pages->ring[i])
				put_page(pages->ring[i]);
	}
}
