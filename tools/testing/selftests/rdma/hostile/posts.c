// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Calls that neither create nor destroy an object: work requests in the program's
 * rings, doorbells, completions, events; files that are closed; memory and mappings.
 */
#include <errno.h>
#include <infiniband/verbs.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap_test.h"
#include "world.h"

#define MAX_SGE		4
#define LONGEST		12000

static enum outcome done(bool worked)
{
	return worked ? WORKED : FAILED;
}

static bool doorbell(struct world *w, struct device *dev, struct object *qp)
{
	struct ib_uverbs_post_send *in;

	in = begin_write(w, dev, IB_USER_VERBS_CMD_POST_SEND, sizeof(*in),
			 sizeof(struct ib_uverbs_post_send_resp));
	in->qp_handle = qp->handle;
	in->wqe_size = sizeof(struct ib_uverbs_send_wr);
	return deliver(w);
}

static uint32_t fill_sges(struct world *w, struct device *dev, struct rxe_sge *sges,
			  uint32_t pd, uint32_t total, uint32_t room)
{
	uint32_t n = 1 + rnd(&w->random) % (room < MAX_SGE ? room : MAX_SGE), i;
	uint64_t first;
	struct object *mr;

	for (i = 0; i < n; i++) {
		mr = object_of_pd(w, dev, MR, pd);
		if (!mr)
			return i;
		first = mr->len > ARENA_BYTES ? (uintptr_t)ARENA : 0;
		sges[i].length = i == n - 1 ? total : total / 4;
		if (mr->len < sges[i].length)
			sges[i].length = mr->len;
		sges[i].addr = mr->addr + first +
			       rnd(&w->random) % (first ? ARENA_BYTES / 2 :
						  mr->len - sges[i].length + 1);
		sges[i].lkey = mr->lkey;
		if (one_in(&w->random, 16 * w->mutations))
			sges[i].lkey ^= 1U << rnd(&w->random) % 32;
		if (one_in(&w->random, 16 * w->mutations))
			sges[i].length = odd_number(&w->random);
		total -= total < sges[i].length ? total : sges[i].length;
	}
	return n;
}

/* room for entries in a slot; its size was granted for as many as were asked for */
static uint32_t slot_sges(const struct ring *ring, size_t before)
{
	size_t room = (1UL << ring->shift) - before;

	return ring->shift < 31 && room < 1UL << 20 && room >= sizeof(struct rxe_sge) ?
		       room / sizeof(struct rxe_sge) : 1;
}

static const uint32_t services[][12] = {
	[IBV_QPT_RC] = {
		IBV_WR_SEND, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ,
		IBV_WR_ATOMIC_CMP_AND_SWP, IBV_WR_ATOMIC_FETCH_AND_ADD,
		IBV_WR_SEND_WITH_IMM, IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_BIND_MW,
		IBV_WR_LOCAL_INV, IBV_WR_SEND_WITH_INV, 14, 15,
	},
	[IBV_QPT_UC] = {
		IBV_WR_SEND, IBV_WR_RDMA_WRITE, IBV_WR_SEND,
		IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_SEND_WITH_IMM,
		IBV_WR_RDMA_WRITE, IBV_WR_BIND_MW, IBV_WR_LOCAL_INV,
		IBV_WR_SEND, IBV_WR_SEND, IBV_WR_SEND, IBV_WR_SEND,
	},
	[IBV_QPT_UD] = {
		IBV_WR_SEND, IBV_WR_SEND_WITH_IMM, IBV_WR_SEND, IBV_WR_SEND,
		IBV_WR_SEND, IBV_WR_SEND, IBV_WR_SEND, IBV_WR_SEND,
		IBV_WR_SEND, IBV_WR_SEND, IBV_WR_SEND, IBV_WR_LOCAL_INV,
	},
};

/* a window of type 2 is invalidated by the queue pair that has bound it */
static struct object *window_of(struct world *w, struct device *dev,
				const struct object *qp)
{
	struct object *mw = NULL;
	int tries;

	for (tries = 0; tries < OBJECTS; tries++) {
		mw = object_any(w, dev, MW);
		if (!mw || (mw->type == IBV_MW_TYPE_2 && mw->state == qp->number))
			break;
	}
	return mw;
}

static void fill_target(struct world *w, struct device *dev,
			const struct object *qp, struct rxe_send_wr *wr)
{
	struct device *peer = &w->devices[qp->peer];
	struct object *mr = object_of_pd(w, peer, MR, qp->peer_pd), *mw, *ah, *to;
	uint64_t first, addr;

	if (qp->type == IBV_QPT_UD) {
		ah = object_of_pd(w, dev, AH, qp->pd);
		if (ah) {
			wr->wr.ud.ah_num = ah->number;
			to = object_any(w, &w->devices[ah->peer], QP);
			wr->wr.ud.remote_qpn = ah->type || !to ? 0xffffff : to->number;
		}
		wr->wr.ud.remote_qkey = one_in(&w->random, 8) ?
						odd_number(&w->random) : 0x1234;
		return;
	}
	if (wr->opcode == IBV_WR_BIND_MW) {
		mw = object_of_pd(w, dev, MW, qp->pd);
		mr = object_of_pd(w, dev, MR, qp->pd);
		if (!mw || !mr)
			return;
		wr->wr.mw.addr = mr->addr;
		wr->wr.mw.length = mr->len;
		wr->wr.mw.mr_lkey = mr->lkey;
		wr->wr.mw.mw_rkey = mw->number;
		wr->wr.mw.rkey = (mw->number & ~0xff) | (rnd(&w->random) & 0xff);
		wr->wr.mw.access = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE;
		mw->number = wr->wr.mw.rkey;
		mw->state = qp->number;
		mw->addr = mr->addr;
		mw->len = mr->len;
		return;
	}
	mw = one_in(&w->random, 8) ? object_any(w, peer, MW) : NULL;
	if (wr->opcode == IBV_WR_LOCAL_INV || wr->opcode == IBV_WR_SEND_WITH_INV) {
		mw = wr->opcode == IBV_WR_LOCAL_INV ? window_of(w, dev, qp) :
						      object_any(w, peer, MW);
		wr->ex.invalidate_rkey = mw ? mw->number : odd_number(&w->random);
		return;
	}
	if (mw)
		mr = mw;
	if (!mr)
		return;
	first = mr->len > ARENA_BYTES ? (uintptr_t)ARENA : 0;
	addr = mr->addr + first;
	if (!first && mr->len > LONGEST)
		addr += rnd(&w->random) % (mr->len - LONGEST);
	if (wr->opcode == IBV_WR_ATOMIC_CMP_AND_SWP ||
	    wr->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr->wr.atomic.remote_addr = (addr + 7) & -8ULL;
		wr->wr.atomic.rkey = mr->number;
		wr->wr.atomic.compare_add = rnd(&w->random);
		wr->wr.atomic.swap = rnd(&w->random);
		return;
	}
	wr->wr.rdma.remote_addr = one_in(&w->random, 64 * w->mutations) ?
					  odd_long(&w->random) : addr;
	wr->wr.rdma.rkey = mr->number;
	if (one_in(&w->random, 64 * w->mutations))
		wr->wr.rdma.rkey ^= 1U << rnd(&w->random) % 32;
}

static bool is_atomic(uint32_t opcode)
{
	return opcode == IBV_WR_ATOMIC_CMP_AND_SWP ||
	       opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
}

struct filling {
	struct world *w;
	struct device *dev;
	struct object *object;
	struct ring *ring;
	/* the last request binds a window */
	bool binds;
};

static void fill_send(void *arg)
{
	struct filling *f = arg;
	struct world *w = f->w;
	size_t room = 1UL << f->ring->shift;
	struct rxe_send_wqe *to = ring_slot(f->ring, f->ring->next);
	union {
		struct rxe_send_wqe wqe;
		unsigned char bytes[4096];
	} slot = {};
	struct rxe_send_wqe *wqe = &slot.wqe;
	uint32_t len = rnd(&w->random) % (one_in(&w->random, 4) ? LONGEST : 64);

	if (room < sizeof(*wqe) || room > sizeof(slot))
		return;
	wqe->wr.wr_id = WR_ID;
	wqe->wr.opcode = f->binds ? IBV_WR_LOCAL_INV :
		services[f->object->type % NUM(services)][rnd(&w->random) % 12];
	wqe->wr.send_flags = IBV_SEND_SIGNALED;
	if (one_in(&w->random, 4))
		wqe->wr.send_flags |= rnd(&w->random) % 16;
	if (one_in(&w->random, 16 * w->mutations))
		wqe->wr.opcode = odd_number(&w->random);
	f->binds = wqe->wr.opcode == IBV_WR_BIND_MW;
	fill_target(w, f->dev, f->object, &wqe->wr);
	if (is_atomic(wqe->wr.opcode))
		len = 8;
	if (f->object->type == IBV_QPT_UD && len > 200)
		len = 200;
	if (wqe->wr.send_flags & IBV_SEND_INLINE)
		len %= 32;
	wqe->dma.length = len;
	if (!(wqe->wr.send_flags & IBV_SEND_INLINE))
		wqe->dma.num_sge =
			fill_sges(w, f->dev, wqe->dma.sge, f->object->pd, len,
				  is_atomic(wqe->wr.opcode) ? 1 :
				  slot_sges(f->ring, sizeof(*wqe)));
	memcpy(to, wqe, room);
	f->ring->next++;
	__atomic_store_n(&f->ring->buf->producer_index,
			 f->ring->next & f->ring->mask, __ATOMIC_RELEASE);
}

static void fill_recv(void *arg)
{
	struct filling *f = arg;
	struct world *w = f->w;
	size_t room = 1UL << f->ring->shift;
	struct rxe_recv_wqe *to = ring_slot(f->ring, f->ring->next);
	union {
		struct rxe_recv_wqe wqe;
		unsigned char bytes[4096];
	} slot = {};
	struct rxe_recv_wqe *wqe = &slot.wqe;

	if (room < sizeof(*wqe) || room > sizeof(slot))
		return;
	wqe->wr_id = WR_ID;
	wqe->dma.num_sge = fill_sges(w, f->dev, wqe->dma.sge, f->object->pd, LONGEST,
				     slot_sges(f->ring, sizeof(*wqe)));
	wqe->dma.length = LONGEST;
	memcpy(to, wqe, room);
	f->ring->next++;
	__atomic_store_n(&f->ring->buf->producer_index,
			 f->ring->next & f->ring->mask, __ATOMIC_RELEASE);
}

static void fill_some(struct filling *f, void (*fill)(void *arg))
{
	int n = 1 + rnd(&f->w->random) % 4;

	while (n-- && f->ring && f->ring->buf)
		touch_safely(fill, f);
}

static enum outcome post_send(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *qp = NULL;
	struct filling f;
	int tries;

	for (tries = 0; tries < 6; tries++) {
		qp = object_any(w, dev, QP);
		if (!qp || qp->state == IBV_QPS_RTS)
			break;
	}
	if (!qp)
		return NOTHING;
	f = (struct filling) { w, dev, qp, qp->rings[0] };
	fill_some(&f, fill_send);
	return done(doorbell(w, dev, qp));
}

static enum outcome post_recv(struct world *w)
{
	struct device *dev = any_device(w);
	bool shared = one_in(&w->random, 4);
	struct object *to = object_any(w, dev, shared ? SRQ : QP);
	struct filling f;

	if (!to)
		return NOTHING;
	f = (struct filling) { w, dev, to, to->rings[!shared] };
	if (!f.ring)
		return NOTHING;
	fill_some(&f, fill_recv);
	return WORKED;
}

static enum deed deed_of(uint32_t opcode)
{
	switch (opcode) {
	case IBV_WC_SEND:
		return DEED_SEND;
	case IBV_WC_RDMA_WRITE:
		return DEED_WRITE;
	case IBV_WC_RDMA_READ:
		return DEED_READ;
	case IBV_WC_COMP_SWAP:
		return DEED_CAS;
	case IBV_WC_FETCH_ADD:
		return DEED_ADD;
	case IBV_WC_BIND_MW:
		return DEED_BIND;
	case IBV_WC_LOCAL_INV:
		return DEED_INVALIDATE;
	case IBV_WC_RECV:
		return DEED_RECV;
	case IBV_WC_RECV_RDMA_WITH_IMM:
		return DEED_RECV_WRITE;
	}
	return DEED_FAILED;
}

static void take_completions(void *arg)
{
	struct filling *f = arg;
	struct ring *ring = f->ring;
	struct ib_uverbs_wc *wc;
	uint32_t from, to, n;

	from = ring->buf->consumer_index & ring->mask;
	to = __atomic_load_n(&ring->buf->producer_index, __ATOMIC_ACQUIRE) & ring->mask;
	for (n = 0; from != to && n < 64; n++) {
		wc = ring_slot(ring, from);
		if (wc->wr_id == WR_ID && !wc->status)
			count_deed(deed_of(wc->opcode), true);
		else if (wc->wr_id == WR_ID)
			count_deed(DEED_FAILED, true);
		from = (from + 1) & ring->mask;
	}
	__atomic_store_n(&ring->buf->consumer_index, from, __ATOMIC_RELEASE);
}

static enum outcome take_cqes(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *cq = object_any(w, dev, CQ);
	struct filling f;

	if (!cq || !cq->rings[0] || !cq->rings[0]->buf)
		return NOTHING;
	f = (struct filling) { w, dev, cq, cq->rings[0] };
	return done(touch_safely(take_completions, &f));
}

static enum outcome read_events(struct world *w)
{
	struct object *file = object_any(w, any_device(w),
					 one_in(&w->random, 2) ? CHANNEL : EVENTS);
	struct pollfd pollfd = { .events = POLLIN };
	char events[64];

	if (!file)
		return NOTHING;
	pollfd.fd = file->handle;
	if (poll(&pollfd, 1, 0) != 1 || !(pollfd.revents & POLLIN))
		return NOTHING;
	return done(read(pollfd.fd, events, 1 + rnd(&w->random) % sizeof(events)) > 0);
}

static enum outcome close_file(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *file = object_any(w, dev, one_in(&w->random, 2) ? CHANNEL : EVENTS);

	if (!file)
		return NOTHING;
	close(file->handle);
	file->used = false;
	return WORKED;
}

static enum outcome reopen(struct world *w)
{
	struct device *dev = any_device(w);

	device_close(w, dev);
	while (!device_open(w, dev))
		if (dev->fd >= 0)
			close(dev->fd);
	return WORKED;
}

/* any offset: rings are mapped whole, or not at all */
static enum outcome map_odd(struct world *w)
{
	uint64_t offset = rnd(&w->random) % 4 * 1048576 +
			  PAGE * (rnd(&w->random) % 1024);
	size_t len = PAGE * (1 + rnd(&w->random) % 16);
	const struct ring *ring = &w->rings[rnd(&w->random) % RINGS];
	int prot = 1 + rnd(&w->random) % 7;
	void *at;

	if (ring->buf && one_in(&w->random, 2)) {
		offset = ring->offset;
		len = ring->size;
		prot = PROT_READ;
	}
	if (one_in(&w->random, 4))
		offset = odd_long(&w->random) & -PAGE;
	if (one_in(&w->random, 8))
		len = odd_number(&w->random);
	at = mmap(NULL, len, prot, one_in(&w->random, 4) ? MAP_PRIVATE : MAP_SHARED,
		  any_device(w)->fd, offset);
	if (at == MAP_FAILED)
		return NOTHING;
	munmap(at, len);
	return WORKED;
}

/* a part of a ring's mapping goes, grows, or is protected */
static enum outcome cut_ring(struct world *w)
{
	struct ring *ring = &w->rings[rnd(&w->random) % RINGS];
	unsigned char *at = (unsigned char *)ring->buf;
	size_t offset;

	if (!at || w->calm)
		return NOTHING;
	offset = rnd(&w->random) % ring->size & -PAGE;
	switch (rnd(&w->random) % 4) {
	case 0:
		return done(!munmap(at + offset, PAGE));
	case 1:
		return done(!mprotect(at + offset, PAGE, rnd(&w->random) % 4));
	case 2:
		return done(!madvise(at + offset, PAGE, MADV_DONTNEED));
	default:
		return done(mremap(at + offset, PAGE, 2 * PAGE, MREMAP_MAYMOVE) !=
			    MAP_FAILED);
	}
}

/* with all that is open and registered */
static enum outcome fork_child(struct world *w)
{
	bool acts = one_in(&w->random, 2);
	uint64_t random = w->random;
	pid_t pid;
	int i;

	pid = fork();
	if (pid < 0)
		return FAILED;
	if (!pid) {
		for (i = 0; acts && i < 20; i++) {
			arena_map(&random, w);
			begin_write(w, any_device(w), IB_USER_VERBS_CMD_ALLOC_PD,
				    sizeof(struct ib_uverbs_alloc_pd),
				    sizeof(struct ib_uverbs_alloc_pd_resp));
			deliver(w);
			begin_method(w, any_device(w), UVERBS_OBJECT_MR,
				     UVERBS_METHOD_MR_DESTROY);
			add_attr(w, UVERBS_ATTR_DESTROY_MR_HANDLE, 0,
				 handle_any(w, w->request->dev, MR));
			deliver(w);
		}
		_exit(0);
	}
	return done(waitpid(pid, NULL, 0) == pid);
}

const struct call post_calls[] = {
	{ "post_send", post_send, 60 },
	{ "post_recv", post_recv, 40 },
	{ "taking of completions", take_cqes, 25 },
	{ "read of events", read_events, 10 },
	{ "close of an event file", close_file, 3 },
	{ "close and open of the device", reopen, 1 },
	{ "mmap at any offset", map_odd, 2 },
	{ "munmap and the like of a ring", cut_ring, 2 },
	{ "fork", fork_child, 1 },
	{}
};
