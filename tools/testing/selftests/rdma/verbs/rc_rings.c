// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A program may write anything at any time into the rings that it shares with
 * the driver. It harms itself at worst: requests fail, but memory that it has
 * not registered is not touched, other connections go on, and all can be
 * destroyed.
 *
 * RC_RINGS_SEED of the environment repeats the random part.
 */
#include <errno.h>
#include <infiniband/verbs.h>
#include <pthread.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_rxe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pair.h"
#include "random.h"

#define SIZE		65536
#define GUARD		65536
#define GUARD_WORD	0x5ca1ab1edeadfa11ULL
#define MAX_SGE		4
#define ROUNDS		12
/* doorbells of a round */
#define DOORBELLS	400
/* scribbling steps between two doorbells */
#define STEPS		30

static uint64_t seed;

static void fill_guard(uint64_t *guard)
{
	size_t i;

	for (i = 0; i < GUARD / sizeof(*guard); i++)
		guard[i] = GUARD_WORD;
}

/* Registered memory between two guards that are not registered. */
static void guarded_get(struct buf *buf, struct host *host, int access)
{
	unsigned char *addr;

	addr = mmap(NULL, SIZE + 2 * GUARD, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(addr != MAP_FAILED);
	fill_guard((uint64_t *)addr);
	fill_guard((uint64_t *)(addr + GUARD + SIZE));
	*buf = (struct buf) {
		.addr = addr + GUARD,
		.len = SIZE,
		.access = access,
		.mr = ibv_reg_mr(host->pd, addr + GUARD, SIZE, access),
	};
	CHECK(buf->mr);
}

static void check_guard(const unsigned char *guard)
{
	const uint64_t *word = (const uint64_t *)guard;
	size_t i;

	for (i = 0; i < GUARD / sizeof(*word); i++)
		CHECK_EQ(word[i], GUARD_WORD);
}

/* Check that the guards were not written to, and free all. */
static void guarded_put(struct buf *buf)
{
	const uint64_t word = GUARD_WORD;

	check_guard(buf->addr - GUARD);
	check_guard(buf->addr + SIZE);
	CHECK(!memmem(buf->addr, SIZE, &word, sizeof(word)));
	CHECK_EQ(ibv_dereg_mr(buf->mr), 0);
	CHECK_EQ(munmap(buf->addr - GUARD, SIZE + 2 * GUARD), 0);
}

/**
 * struct ring - a ring of the device, mapped once more
 * @start: of librxe's own mapping
 * @size: bytes
 * @offset: in the device file
 * @buf: our mapping
 * @shift: log2 of a slot's size, while nobody has scribbled over it
 * @mask: slots less one
 */
struct ring {
	unsigned long start;
	size_t size;
	off_t offset;
	struct rxe_queue_buf *buf;
	uint32_t shift;
	uint32_t mask;
};

#define MAX_RINGS	64

/* Find the current mappings of device files. */
static int find_mappings(struct ring *rings)
{
	unsigned long start, end, offset;
	char line[300];
	FILE *maps;
	int n = 0;

	maps = fopen("/proc/self/maps", "r");
	CHECK(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (!strstr(line, "/uverbs"))
			continue;
		CHECK(sscanf(line, "%lx-%lx %*s %lx", &start, &end,
			     &offset) == 3);
		CHECK(n < MAX_RINGS);
		rings[n++] = (struct ring) {
			.start = start,
			.size = end - start,
			.offset = offset,
		};
	}
	fclose(maps);
	return n;
}

static bool is_known(const struct ring *ring, const struct ring *known, int n)
{
	while (n--)
		if (known[n].start == ring->start)
			return true;
	return false;
}

/* librxe's own mapping goes when the object goes; ours may be used on. */
static void map_ring(struct ring *ring, int fd)
{
	ring->buf = mmap(NULL, ring->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 fd, ring->offset);
	CHECK(ring->buf != MAP_FAILED);
	ring->shift = ring->buf->log2_elem_size;
	ring->mask = ring->buf->index_mask;
	CHECK(sizeof(*ring->buf) +
	      ((size_t)(ring->mask + 1) << ring->shift) <= ring->size);
}

static void *slot_of(const struct ring *ring, uint32_t index)
{
	return ring->buf->data + ((size_t)(index & ring->mask) << ring->shift);
}

static void produce(struct ring *ring, uint32_t index)
{
	__atomic_store_n(&ring->buf->producer_index, index, __ATOMIC_RELEASE);
}

enum { SQ, RQ, CQ1, CQ2, RINGS };

/**
 * struct victim - an end of a connection, and its rings
 * @end: the end
 * @rings: its rings
 * @mem: its memory
 * @peer: the other end
 * @next: producer index of its send ring, as librxe does not post
 */
struct victim {
	struct end end;
	struct ring rings[RINGS];
	struct buf mem;
	struct victim *peer;
	uint32_t next;
};

static const struct pair_config victim_config = {
	.depth = 15,
	.max_sge = MAX_SGE,
	.inline_size = 64,
	.signal_all = true,
};

static int by_slot_size(const void *a, const void *b)
{
	return (int)((const struct ring *)b)->shift -
	       (int)((const struct ring *)a)->shift;
}

/* Slots are largest in a send ring, and smallest in a completion ring. */
static void sort_rings(struct ring *rings)
{
	qsort(rings, RINGS, sizeof(*rings), by_slot_size);
	CHECK(rings[SQ].shift > rings[RQ].shift);
	CHECK(rings[RQ].shift > rings[CQ1].shift);
	CHECK_EQ(rings[CQ1].shift, rings[CQ2].shift);
}

static void victim_create(struct victim *v, struct host *host, int access,
			  const struct pair_config *config)
{
	struct ring before[MAX_RINGS], after[MAX_RINGS];
	int known, all, i, n = 0;

	known = find_mappings(before);
	end_create(&v->end, host, config);
	all = find_mappings(after);
	for (i = 0; i < all; i++) {
		if (is_known(&after[i], before, known))
			continue;
		CHECK(n < RINGS);
		v->rings[n] = after[i];
		map_ring(&v->rings[n++], host->ctx->cmd_fd);
	}
	CHECK_EQ(n, RINGS);
	sort_rings(v->rings);
	guarded_get(&v->mem, host, access);
	v->next = 0;
}

static void victims_connect(struct victim *v)
{
	int i;

	for (i = 0; i < 2; i++) {
		end_to_init(&v[i].end, &victim_config);
		end_to_rtr(&v[i].end, v[i].peer->end.qp->qp_num,
			   &v[i].peer->end.host->gids[0].gid, &victim_config);
	}
	/* packets of the first may already have failed the second */
	for (i = 0; i < 2; i++)
		if (end_try_rts(&v[i].end, &victim_config))
			CHECK_EQ(end_state(&v[i].end), IBV_QPS_ERR);
}

static void victims_up(struct victim *v, struct pair *pair, int access)
{
	int i;

	v[0].peer = &v[1];
	v[1].peer = &v[0];
	for (i = 0; i < 2; i++)
		victim_create(&v[i], &pair->hosts[i], access, &victim_config);
	victims_connect(v);
}

/* Destruction may not wait for progress of a ring. */
static void victims_destroy(struct victim *v)
{
	unsigned long long began = now_ms();

	end_destroy(&v[0].end);
	end_destroy(&v[1].end);
	CHECK(now_ms() - began < HUNG_MS * limit_factor());
}

static void victims_down(struct victim *v)
{
	int i, n;

	for (i = 0; i < 2; i++) {
		for (n = 0; n < RINGS; n++)
			CHECK_EQ(munmap(v[i].rings[n].buf, v[i].rings[n].size),
				 0);
		guarded_put(&v[i].mem);
	}
}

static void ring_doorbell(struct ibv_qp *qp)
{
	struct ib_uverbs_post_send_resp resp;
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_post_send cmd;
	} request = {
		.hdr = {
			.command = IB_USER_VERBS_CMD_POST_SEND,
			.in_words = sizeof(request) / 4,
			.out_words = sizeof(resp) / 4,
		},
		.cmd = {
			.response = (uintptr_t)&resp,
			.qp_handle = qp->handle,
			.wqe_size = sizeof(struct ib_uverbs_send_wr),
		},
	};

	CHECK_EQ(write(qp->context->cmd_fd, &request, sizeof(request)),
		 sizeof(request));
}

/* as large as a slot may be */
union send_slot {
	struct rxe_send_wqe wqe;
	unsigned char bytes[4096];
};

/* A good request: write @len bytes to the same offset of the peer's memory. */
static void good_write(union send_slot *slot, const struct victim *v,
		       size_t offset, uint32_t len)
{
	const struct buf *local = &v->mem, *remote = &v->peer->mem;

	memset(slot, 0, sizeof(*slot));
	slot->wqe.wr.wr_id = 0x1234;
	slot->wqe.wr.opcode = IBV_WR_RDMA_WRITE;
	slot->wqe.wr.send_flags = IBV_SEND_SIGNALED;
	slot->wqe.wr.wr.rdma.remote_addr = (uintptr_t)remote->addr + offset;
	slot->wqe.wr.wr.rdma.rkey = remote->mr->rkey;
	slot->wqe.dma.length = len;
	slot->wqe.dma.resid = len;
	slot->wqe.dma.num_sge = 1;
	slot->wqe.dma.sge[0] = (struct rxe_sge) {
		.addr = (uintptr_t)local->addr + offset,
		.length = len,
		.lkey = local->mr->lkey,
	};
}

static void post_slot(struct victim *v, const union send_slot *slot,
		      uint32_t index_bits)
{
	struct ring *ring = &v->rings[SQ];

	memcpy(slot_of(ring, v->next), slot, 1UL << ring->shift);
	v->next++;
	produce(ring, (v->next & ring->mask) | (index_bits & ~ring->mask));
	ring_doorbell(v->end.qp);
}

static void scribble_header(struct ring *ring, uint64_t *state)
{
	struct rxe_queue_buf *buf = ring->buf;

	buf->log2_elem_size = odd_number(state);
	buf->index_mask = odd_number(state);
	memset(buf->pad_1, rnd(state), sizeof(buf->pad_1));
	memset(buf->pad_2, rnd(state), sizeof(buf->pad_2));
	memset(buf->pad_3, rnd(state), sizeof(buf->pad_3));
}

/* Scribble over the fields of a request that librxe leaves to the driver. */
static void scribble_unused(struct rxe_send_wqe *wqe, uint64_t *state)
{
	wqe->wr.reserved = odd_number(state);
	wqe->wr.wr.rdma.reserved = odd_number(state);
	wqe->status = odd_number(state);
	wqe->state = odd_number(state);
	wqe->iova = rnd(state);
	wqe->mask = odd_number(state);
	wqe->first_psn = odd_number(state);
	wqe->last_psn = odd_number(state);
	wqe->ack_length = odd_number(state);
	wqe->ssn = odd_number(state);
	wqe->has_rd_atomic = odd_number(state);
	wqe->dma.resid = odd_number(state);
	wqe->dma.cur_sge = odd_number(state);
	wqe->dma.sge_offset = odd_number(state);
	wqe->dma.reserved = odd_number(state);
	if (!(wqe->wr.send_flags & IBV_SEND_INLINE))
		wqe->dma.length = odd_number(state);
}

static void unused_fields(void)
{
	struct pair_config config = {};
	struct victim v[2];
	struct pair pair;
	union send_slot slot;
	uint64_t state = seed;
	uint32_t len;
	int i;

	pair_up(&pair, &config);
	victims_up(v, &pair, ODP_ACCESS);
	for (i = 0; i < 300; i++) {
		test_at("request %d", i);
		len = i % 3 ? 1 + rnd(&state) % 3000 : rnd(&state) % 64;
		fill_pattern(v[0].mem.addr, len, i);
		memset(v[1].mem.addr, 0, len + 1);
		good_write(&slot, &v[0], 0, len);
		if (i % 3 == 0) {
			slot.wqe.wr.send_flags |= IBV_SEND_INLINE;
			memcpy(slot.wqe.dma.inline_data, v[0].mem.addr,
			       len);
		}
		scribble_unused(&slot.wqe, &state);
		scribble_header(&v[0].rings[SQ], &state);
		v[0].rings[SQ].buf->consumer_index = odd_number(&state);
		post_slot(&v[0], &slot, rnd(&state));
		CHECK_EQ(wait_ok(v[0].end.send_cq).wr_id, 0x1234);
		check_pattern(v[1].mem.addr, len, i);
		CHECK_EQ(v[1].mem.addr[len], 0);
	}
	victims_destroy(v);
	victims_down(v);
	pair_down(&pair);
}

static void unused_receive_fields(void)
{
	struct pair_config config = {};
	struct rxe_recv_wqe *wqe;
	struct victim v[2];
	struct pair pair;
	uint64_t state = seed;
	struct ring *ring;
	int i;

	pair_up(&pair, &config);
	victims_up(v, &pair, ODP_ACCESS);
	ring = &v[1].rings[RQ];
	for (i = 0; i < 100; i++) {
		test_at("receive %d", i);
		fill_pattern(v[0].mem.addr, 2000, i);
		wqe = slot_of(ring, i);
		*wqe = (struct rxe_recv_wqe) {
			.wr_id = i,
			.reserved = odd_number(&state),
			.padding = odd_number(&state),
			.dma = {
				.length = odd_number(&state),
				.resid = odd_number(&state),
				.cur_sge = odd_number(&state),
				.num_sge = 1,
				.sge_offset = odd_number(&state),
				.reserved = odd_number(&state),
			},
		};
		wqe->dma.sge[0] = (struct rxe_sge) {
			.addr = (uintptr_t)v[1].mem.addr,
			.length = 2000,
			.lkey = v[1].mem.mr->lkey,
		};
		scribble_header(ring, &state);
		ring->buf->consumer_index = odd_number(&state);
		produce(ring, ((i + 1) & ring->mask) |
			      (rnd(&state) & ~ring->mask));
		post_one(&v[0].end, IBV_WR_SEND,
			 buf_sge(&v[0].mem, 0, 2000), NULL, 0);
		wait_ok(v[0].end.send_cq);
		CHECK_EQ(wait_ok(v[1].end.recv_cq).wr_id, i);
		check_pattern(v[1].mem.addr, 2000, i);
	}
	victims_destroy(v);
	victims_down(v);
	pair_down(&pair);
}

#define LONG	1000
#define SHORT	100
#define CHANGES	60

/**
 * struct flipper - a thread that changes a request which the driver may be taking
 * @length: of its memory: %LONG or %SHORT
 * @stop: atomic
 */
struct flipper {
	uint32_t *length;
	bool stop;
};

static void *flip(void *arg)
{
	struct flipper *flipper = arg;
	uint32_t *length = flipper->length;

	while (!__atomic_load_n(&flipper->stop, __ATOMIC_RELAXED)) {
		__atomic_store_n(length, SHORT, __ATOMIC_RELAXED);
		__atomic_store_n(length, LONG, __ATOMIC_RELAXED);
	}
	return NULL;
}

/*
 * The driver takes the one or the other. That it finds the request too short after
 * it has found it long enough would be an error of protection.
 */
static enum ibv_wc_status receive_flipping(struct victim *v)
{
	struct rxe_recv_wqe *wqe = slot_of(&v[1].rings[RQ], 0);
	struct flipper flipper = { .length = &wqe->dma.sge[0].length };
	pthread_t thread;
	struct ibv_wc wc;

	*wqe = (struct rxe_recv_wqe) { .wr_id = 5, .dma.num_sge = 1 };
	wqe->dma.sge[0] = (struct rxe_sge) {
		.addr = (uintptr_t)v[1].mem.addr,
		.length = LONG,
		.lkey = v[1].mem.mr->lkey,
	};
	CHECK_EQ(pthread_create(&thread, NULL, flip, &flipper), 0);
	produce(&v[1].rings[RQ], 1);
	post_one(&v[0].end, IBV_WR_SEND, buf_sge(&v[0].mem, 0, LONG), NULL, 0);
	wc = wait_cqe(v[1].end.recv_cq);
	__atomic_store_n(&flipper.stop, true, __ATOMIC_RELAXED);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(wc.wr_id, 5);
	return wc.status;
}

static void receive_changes(void)
{
	struct pair_config config = {};
	enum ibv_wc_status status;
	unsigned int i, taken = 0;
	struct victim v[2];
	struct pair pair;

	pair_up(&pair, &config);
	for (i = 0; i < CHANGES; i++) {
		test_at("change %u", i);
		victims_up(v, &pair, ALL_ACCESS);
		fill_pattern(v[0].mem.addr, LONG, i);
		memset(v[1].mem.addr, 0x22, SIZE);
		status = receive_flipping(v);
		if (status == IBV_WC_SUCCESS) {
			check_pattern(v[1].mem.addr, LONG, i);
			taken++;
		} else {
			CHECK_EQ(status, IBV_WC_LOC_LEN_ERR);
			check_bytes(v[1].mem.addr, SIZE, 0x22);
		}
		victims_destroy(v);
		victims_down(v);
	}
	printf("# %u of %u were long enough\n", taken, CHANGES);
	pair_down(&pair);
}

#define AT(field)	offsetof(struct rxe_send_wqe, field)
#define SGE_AT(field)	(AT(dma.sge) + offsetof(struct rxe_sge, field))
#define OPCODE(n)	{ AT(wr.opcode), n }
#define NUM_SGE(n)	{ AT(dma.num_sge), n }
#define LENGTH(n)	{ SGE_AT(length), n }
#define INLINE		{ AT(wr.send_flags), IBV_SEND_INLINE }
#define INLINE_LEN(n)	{ AT(dma.length), n }
#define OP_ERR		IBV_WC_LOC_QP_OP_ERR
#define LEN_ERR		IBV_WC_LOC_LEN_ERR
#define PROT_ERR	IBV_WC_LOC_PROT_ERR

/**
 * struct wrong - a request that is to fail
 * @name: what is wrong
 * @edits: words of a good request to change, and to what
 * @status: what it fails with
 */
static const struct wrong {
	const char *name;
	struct {
		size_t at;
		uint32_t value;
	} edits[2];
	enum ibv_wc_status status;
} wrongs[] = {
	{ "opcode 32", { OPCODE(32) }, OP_ERR },
	{ "opcode 0xff", { OPCODE(0xff) }, OP_ERR },
	{ "opcode 0x100", { OPCODE(0x100) }, OP_ERR },
	{ "opcode 0x80000002", { OPCODE(0x80000002) }, OP_ERR },
	{ "opcode ~0", { OPCODE(~0U) }, OP_ERR },
	{ "0x1000 SGEs", { NUM_SGE(0x1000) }, OP_ERR },
	{ "0x10001 SGEs", { NUM_SGE(0x10001) }, OP_ERR },
	{ "0x80000001 SGEs", { NUM_SGE(0x80000001) }, OP_ERR },
	{ "~0 SGEs", { NUM_SGE(~0U) }, OP_ERR },
	{ "0x1000 bytes inline", { INLINE, INLINE_LEN(0x1000) }, OP_ERR },
	{ "0x10000 bytes inline", { INLINE, INLINE_LEN(0x10000) }, OP_ERR },
	{ "2^31 bytes inline", { INLINE, INLINE_LEN(1U << 31) }, OP_ERR },
	{ "~0 bytes inline", { INLINE, INLINE_LEN(~0U) }, OP_ERR },
	{ "read, inline", { OPCODE(IBV_WR_RDMA_READ), INLINE }, OP_ERR },
	{ "atomic, inline", { OPCODE(IBV_WR_ATOMIC_CMP_AND_SWP), INLINE },
	  OP_ERR },
	{ "atomic, no SGE", { OPCODE(IBV_WR_ATOMIC_FETCH_AND_ADD), NUM_SGE(0) },
	  OP_ERR },
	{ "atomic, 7 bytes", { OPCODE(IBV_WR_ATOMIC_FETCH_AND_ADD), LENGTH(7) },
	  OP_ERR },
	{ "one byte too long", { LENGTH(101) }, PROT_ERR },
	{ "2^31 bytes", { LENGTH(1U << 31) }, PROT_ERR },
	{ "2^31 + 1 bytes", { LENGTH((1U << 31) + 1) }, LEN_ERR },
	{ "~0 bytes", { LENGTH(~0U) }, LEN_ERR },
	{ "no key", { { SGE_AT(lkey), 0 } }, PROT_ERR },
	{ "key ~0", { { SGE_AT(lkey), ~0U } }, PROT_ERR },
	{ "high address", { { SGE_AT(addr) + 4, ~0U } }, PROT_ERR },
	{ "address of the kernel", { { SGE_AT(addr) + 4, 0xffff8880 } },
	  PROT_ERR },
};

static void check_fails(struct victim *v, const union send_slot *slot,
			enum ibv_wc_status status)
{
	memset(v[0].mem.addr, 0x11, SIZE);
	memset(v[1].mem.addr, 0x22, SIZE);
	post_slot(&v[0], slot, 0);
	CHECK_EQ(wait_status(v[0].end.send_cq, status).wr_id, 0x1234);
	CHECK_EQ(end_state(&v[0].end), IBV_QPS_ERR);
	post_slot(&v[0], slot, 0);
	wait_status(v[0].end.send_cq, IBV_WC_WR_FLUSH_ERR);
	check_idle(v[0].end.send_cq);
	check_bytes(v[0].mem.addr, SIZE, 0x11);
	check_bytes(v[1].mem.addr, SIZE, 0x22);
	victims_destroy(v);
	victims_down(v);
}

static void wrong_requests(void)
{
	struct pair_config config = {};
	const struct wrong *w;
	struct victim v[2];
	struct pair pair;
	union send_slot slot;
	unsigned int e;

	pair_up(&pair, &config);
	for (w = wrongs; w < wrongs + NUM(wrongs); w++) {
		test_at("%s", w->name);
		victims_up(v, &pair, ALL_ACCESS);
		/* from the end of the memory to its beginning */
		good_write(&slot, &v[0], SIZE - 100, 100);
		slot.wqe.wr.wr.rdma.remote_addr -= SIZE - 100;
		for (e = 0; e < 2; e++)
			if (w->edits[e].at)
				memcpy(slot.bytes + w->edits[e].at,
				       &w->edits[e].value, sizeof(uint32_t));
		check_fails(v, &slot, w->status);
	}
	pair_down(&pair);
}

/* As many SGEs and inline bytes as granted, then one more. */
static void most_of_all(void)
{
	struct pair_config config = {};
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;
	struct victim v[2];
	struct pair pair;
	union send_slot slot;
	unsigned int i, max;

	pair_up(&pair, &config);
	test_at("inline");
	victims_up(v, &pair, ALL_ACCESS);
	CHECK_EQ(ibv_query_qp(v[0].end.qp, &attr, IBV_QP_CAP, &init), 0);
	max = init.cap.max_inline_data;
	good_write(&slot, &v[0], 0, max);
	slot.wqe.wr.send_flags |= IBV_SEND_INLINE;
	CHECK(AT(dma.inline_data) + max <= 1UL << v[0].rings[SQ].shift);
	fill_pattern(slot.wqe.dma.inline_data, max, 3);
	post_slot(&v[0], &slot, 0);
	wait_ok(v[0].end.send_cq);
	check_pattern(v[1].mem.addr, max, 3);
	slot.wqe.dma.length = max + 1;
	check_fails(v, &slot, OP_ERR);

	test_at("SGEs");
	victims_up(v, &pair, ALL_ACCESS);
	CHECK_EQ(ibv_query_qp(v[0].end.qp, &attr, IBV_QP_CAP, &init), 0);
	max = init.cap.max_send_sge;
	good_write(&slot, &v[0], 0, 100);
	for (i = 1; i <= max; i++) {
		slot.wqe.dma.sge[i] = slot.wqe.dma.sge[0];
		slot.wqe.dma.sge[i].addr += 100 * i;
	}
	slot.wqe.dma.num_sge = max;
	fill_pattern(v[0].mem.addr, SIZE, 4);
	post_slot(&v[0], &slot, 0);
	wait_ok(v[0].end.send_cq);
	check_pattern(v[1].mem.addr, 100 * max, 4);
	slot.wqe.dma.num_sge = max + 1;
	check_fails(v, &slot, OP_ERR);
	pair_down(&pair);
}

/**
 * struct scribbler - writes to the rings of two victims while they are used
 * @victims: both ends of a connection
 * @rings: which of their rings: one bit for each
 * @state: of its random numbers
 * @thread: writes to the rings
 * @stop: the thread is to end
 */
struct scribbler {
	struct victim *victims;
	unsigned int rings;
	uint64_t state;
	pthread_t thread;
	bool stop;
};

static void scribble_index(struct ring *ring, uint64_t *state)
{
	uint32_t *index = rnd(state) % 2 ? &ring->buf->producer_index :
					   &ring->buf->consumer_index;

	if (rnd(state) % 2)
		*index += (int)(rnd(state) % 5) - 2;
	else
		*index = odd_number(state);
}

static void scribble_slot(struct ring *ring, uint64_t *state)
{
	uint32_t *word = slot_of(ring, rnd(state));
	uint32_t words = (1U << ring->shift) / sizeof(*word);

	word[rnd(state) % words] = odd_number(state);
}

/* in the memory mostly, but often beside it and sometimes across its end */
static uint64_t odd_address(const struct buf *mem, uint64_t *state)
{
	long offset = rnd(state) % SIZE;

	switch (rnd(state) % 64) {
	case 0:
		offset = (long)(rnd(state) % (SIZE + 2 * GUARD)) - GUARD;
		break;
	case 1:
		offset = SIZE - rnd(state) % 100;
		break;
	case 2:
		return rnd(state);
	}
	return (uintptr_t)mem->addr + offset;
}

static uint32_t odd_key(uint32_t key, uint64_t *state)
{
	return rnd(state) % 64 ? key : key ^ 1U << rnd(state) % 32;
}

static void odd_sges(struct rxe_sge *sge, const struct victim *v,
		     uint64_t *state)
{
	int i;

	for (i = 0; i < MAX_SGE; i++)
		sge[i] = (struct rxe_sge) {
			.addr = odd_address(&v->mem, state),
			.length = rnd(state) % 16 ? rnd(state) % 3000 :
						   odd_number(state),
			.lkey = odd_key(v->mem.mr->lkey, state),
		};
}

/* Mostly good requests, so that there is traffic to disturb. */
static void scribble_request(struct victim *v, uint64_t *state)
{
	struct ring *ring = &v->rings[SQ];
	uint32_t index = ring->buf->producer_index;
	struct rxe_send_wqe *wqe = slot_of(ring, index);
	const struct buf *remote = &v->peer->mem;

	wqe->wr.wr_id = rnd(state);
	wqe->wr.opcode = rnd(state) % 7;
	wqe->wr.send_flags = rnd(state) % 32;
	wqe->wr.wr.rdma.remote_addr = odd_address(remote, state);
	if (wqe->wr.opcode == IBV_WR_ATOMIC_CMP_AND_SWP ||
	    wqe->wr.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wqe->wr.wr.atomic.remote_addr &= -8ULL;
		wqe->wr.wr.atomic.rkey = odd_key(remote->mr->rkey, state);
	} else {
		wqe->wr.wr.rdma.rkey = odd_key(remote->mr->rkey, state);
	}
	wqe->dma.num_sge = rnd(state) % (MAX_SGE + 1);
	wqe->dma.length = rnd(state) % 64;
	odd_sges(wqe->dma.sge, v, state);
	produce(ring, index + 1);
}

static void scribble_receive(struct victim *v, uint64_t *state)
{
	struct ring *ring = &v->rings[RQ];
	uint32_t index = ring->buf->producer_index;
	struct rxe_recv_wqe *wqe = slot_of(ring, index);

	wqe->wr_id = rnd(state);
	wqe->dma.num_sge = rnd(state) % (MAX_SGE + 1);
	odd_sges(wqe->dma.sge, v, state);
	produce(ring, index + 1);
}

static void scribble(struct scribbler *s)
{
	struct victim *v = &s->victims[rnd(&s->state) % 2];
	unsigned int which = rnd(&s->state) % RINGS;
	struct ring *ring = &v->rings[which];

	if (!(s->rings & 1U << which))
		return;
	switch (rnd(&s->state) % 32) {
	case 0:
		scribble_header(ring, &s->state);
		break;
	case 1:
		scribble_index(ring, &s->state);
		break;
	case 2 ... 5:
		scribble_slot(ring, &s->state);
		break;
	default:
		if (which == SQ)
			scribble_request(v, &s->state);
		else if (which == RQ)
			scribble_receive(v, &s->state);
	}
}

static void *scribbler_run(void *arg)
{
	struct scribbler *s = arg;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED))
		scribble(s);
	return NULL;
}

/* An unrelated connection works, and its data is right. */
static void check_bystander(struct pair *pair, struct buf *bufs,
			    unsigned int n)
{
	size_t len = 5000;

	fill_pattern(bufs[0].addr, len, n);
	memset(bufs[1].addr, 0, len + 1);
	do_one(&pair->a, IBV_WR_RDMA_WRITE, buf_sge(&bufs[0], 0, len), &bufs[1],
	       0);
	check_pattern(bufs[1].addr, len, n);
	CHECK_EQ(bufs[1].addr[len], 0);
	memset(bufs[0].addr, 0, len);
	post_recv(&pair->a, &bufs[0], 0, len, n);
	post_one(&pair->b, IBV_WR_SEND, buf_sge(&bufs[1], 0, len), NULL, 0);
	wait_ok(pair->b.send_cq);
	CHECK_EQ(wait_ok(pair->a.recv_cq).wr_id, n);
	check_pattern(bufs[0].addr, len, n);
}

/* post a receive, if there is room */
static void post_receive(struct victim *v)
{
	struct ibv_sge sge = buf_sge(&v->mem, 0, SIZE);
	struct ibv_recv_wr wr = { .sg_list = &sge, .num_sge = 1 }, *bad;

	ibv_post_recv(v->end.qp, &wr, &bad);
}

static void drain(struct ibv_cq *cq)
{
	struct ibv_wc wc;

	while (ibv_poll_cq(cq, 1, &wc) > 0)
		;
}

/* Use those rings as usual that are not scribbled over. */
static void use_good_rings(struct victim *v, unsigned int rings, int i)
{
	union send_slot slot;

	if (!(rings & 1U << SQ)) {
		good_write(&slot, v, 0, 1000);
		if (i % 2)
			slot.wqe.wr.opcode = IBV_WR_SEND;
		post_slot(v, &slot, 0);
	}
	if (!(rings & 1U << RQ))
		post_receive(v);
	if (!(rings & 1U << CQ1)) {
		drain(v->end.send_cq);
		drain(v->end.recv_cq);
	}
}

/* Connect both ends again, as a program may try to. */
static void victims_revive(struct victim *v)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };
	int i;

	for (i = 0; i < 2; i++)
		CHECK_EQ(ibv_modify_qp(v[i].end.qp, &attr, IBV_QP_STATE), 0);
	victims_connect(v);
}

static void one_round(struct pair *pair, struct buf *bufs,
		      unsigned int rings, int round)
{
	struct victim v[2];
	/* one scribbles whenever it may, the other between any two doorbells */
	struct scribbler thread = {
		.victims = v,
		.rings = rings,
		.state = seed + 2 * round,
	};
	struct scribbler here = thread;
	int i, n;

	here.state++;
	test_at("round %d, RC_RINGS_SEED=%llu", round,
		(unsigned long long)seed);
	victims_up(v, pair, round % 2 ? ODP_ACCESS : ALL_ACCESS);
	CHECK_EQ(pthread_create(&thread.thread, NULL, scribbler_run, &thread),
		 0);
	for (i = 0; i < DOORBELLS; i++) {
		if (end_state(&v[0].end) == IBV_QPS_ERR ||
		    end_state(&v[1].end) == IBV_QPS_ERR)
			victims_revive(v);
		for (n = 0; n < STEPS; n++)
			scribble(&here);
		use_good_rings(&v[i % 2], rings, i / 2);
		ring_doorbell(v[i % 2].end.qp);
		if (i % 100 == 0)
			check_bystander(pair, bufs, round * DOORBELLS + i);
	}
	/* its mappings are its own: it scribbles on while all is destroyed */
	victims_destroy(v);
	check_bystander(pair, bufs, round);
	__atomic_store_n(&thread.stop, true, __ATOMIC_RELAXED);
	CHECK_EQ(pthread_join(thread.thread, NULL), 0);
	victims_down(v);
}

static void race(unsigned int rings)
{
	struct pair_config config = {};
	struct buf bufs[2];
	struct pair pair;
	int i;

	pair_up(&pair, &config);
	for (i = 0; i < 2; i++)
		buf_get(&bufs[i], &pair.hosts[i], SIZE, ODP_ACCESS);
	for (i = 0; i < ROUNDS; i++)
		one_round(&pair, bufs, rings, i);
	buf_put(&bufs[0]);
	buf_put(&bufs[1]);
	pair_down(&pair);
}

static void race_send(void)
{
	race(1U << SQ);
}

static void race_receive(void)
{
	race(1U << RQ);
}

static void race_completion(void)
{
	race(1U << CQ1 | 1U << CQ2);
}

static void race_all(void)
{
	race((1U << RINGS) - 1);
}

/*
 * A ring looks full whenever the program says so. The driver's share of that: what
 * flush.c has of requests at once, and of time between.
 */
static void flushed_again(void)
{
	const struct pair_config config = { .depth = 1000, .inline_size = 64 };
	const int budget = 256, delay_ms = 10;
	unsigned long long began, ms;
	struct ibv_wc wc[64];
	struct ring *ring;
	long flushed = 0;
	struct host host;
	struct victim v;
	int got, i;

	host_open(&host, 0);
	victim_create(&v, &host, ALL_ACCESS, &config);
	ring = &v.rings[RQ];
	end_to_init(&v.end, &config);
	end_to_error(&v.end);
	began = now_ms();
	do {
		produce(ring, (ring->buf->consumer_index - 1) & ring->mask);
		got = ibv_poll_cq(v.end.recv_cq, NUM(wc), wc);
		CHECK(got >= 0);
		flushed += got;
		ms = now_ms() - began;
	} while (ms < 2000 || !flushed);
	printf("# %ld in %llu ms\n", flushed, ms);
	CHECK(flushed <= (long)(ms / delay_ms + 4) * budget);
	end_destroy(&v.end);
	for (i = 0; i < RINGS; i++)
		CHECK_EQ(munmap(v.rings[i].buf, v.rings[i].size), 0);
	guarded_put(&v.mem);
	host_close(&host);
}

/* Nobody else works for it: all is there when the program's own call returns. */
static void flushed_by_caller(void)
{
	const struct pair_config config = { .depth = 1000 };
	struct pair pair;
	struct buf mem;
	struct ibv_wc wc;
	int i, n = 900;

	pair_up(&pair, &config);
	buf_get(&mem, &pair.hosts[0], 4096, ALL_ACCESS);
	for (i = 0; i < n; i++)
		post_recv(&pair.a, &mem, 0, 64, i);
	end_to_error(&pair.a);
	for (i = 0; i < n; i++) {
		CHECK_EQ(ibv_poll_cq(pair.a.recv_cq, 1, &wc), 1);
		CHECK_EQ(wc.status, IBV_WC_WR_FLUSH_ERR);
		CHECK_EQ(wc.wr_id, i);
	}
	for (i = 0; i < n; i++) {
		post_one(&pair.a, IBV_WR_RDMA_WRITE, buf_sge(&mem, 0, 64), &mem,
			 0);
		CHECK_EQ(ibv_poll_cq(pair.a.send_cq, 1, &wc), 1);
		CHECK_EQ(wc.status, IBV_WC_WR_FLUSH_ERR);
	}
	buf_put(&mem);
	pair_down(&pair);
}

static const struct test tests[] = {
	{ "a receive ring filled again and again in the error state",
	  flushed_again },
	{ "requests in the error state are flushed by the call that posts them",
	  flushed_by_caller },
	{ "unused fields of a send request", unused_fields },
	{ "unused fields of a receive request", unused_receive_fields },
	{ "wrong requests in the ring", wrong_requests },
	{ "requests as large as granted, and larger", most_of_all },
	{ "a receive that changes while it is taken", receive_changes },
	{ "send rings scribbled over in use", race_send },
	{ "receive rings scribbled over in use", race_receive },
	{ "completion rings scribbled over in use", race_completion },
	{ "all rings scribbled over in use", race_all },
	{}
};

int main(int argc, char **argv)
{
	seed = seed_from("RC_RINGS_SEED");
	host_tests(tests, argv + 1);
}
