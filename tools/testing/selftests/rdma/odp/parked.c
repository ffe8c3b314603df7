// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Parked directions: a direction of a queue pair stands still while a fault is
 * under way, which may sleep for as long as the memory's owner likes. Reset,
 * error, destruction and removal abandon that fault, and its result is dropped;
 * and no direction waits for pages that no packet has named.
 *
 * The test provides the pages, by userfaultfd, at a moment of its choice.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"
#include "pair.h"
#include "tracing.h"

#define W	IBV_WR_RDMA_WRITE
#define R	IBV_WR_RDMA_READ
#define S	IBV_WR_SEND
#define A	IBV_WR_ATOMIC_FETCH_AND_ADD

#define PAGES	8
#define SIZE	(PAGES * PAGE_BYTES)
#define LEN	8
#define GRH	40
#define QKEY	0x11223344
#define MIB	(1024 * 1024UL)

/**
 * struct access - an access by a direction of a queue pair
 * @name: for people
 * @opcode: of the request
 * @at_responder: the access is to the responder's memory
 * @late: the page is discarded once the request has left: the completer misses it
 * @datagram: of the UD service
 */
struct access {
	const char *name;
	enum ibv_wr_opcode opcode;
	bool at_responder;
	bool late;
	bool datagram;
};

static const struct access accesses[] = {
	{ "a send", S },
	{ "a write", W },
	{ "a read's sink", R },
	{ "an atomic's result", A },
	{ "a datagram", S, .datagram = true },
	{ "a read's response", R, .late = true },
	{ "an atomic's response", A, .late = true },
	{ "a receive", S, .at_responder = true },
	{ "a write's sink", W, .at_responder = true },
	{ "a read's source", R, .at_responder = true },
	{ "an atomic's word", A, .at_responder = true },
	{ "a datagram's receive", S, .at_responder = true, .datagram = true },
};

static const struct access *access_of(enum ibv_wr_opcode opcode,
				      bool at_responder, bool late)
{
	unsigned int i;

	for (i = 0; i < NUM(accesses); i++)
		if (accesses[i].opcode == opcode && accesses[i].late == late &&
		    accesses[i].at_responder == at_responder)
			return &accesses[i];
	fail(__FILE__, __LINE__, "there is such an access");
}

/**
 * struct scene - a connection, and an access that waits for a page
 * @access: which
 * @config: of the queue pairs; each connection has other PSNs
 * @pair: end a requests, end b responds
 * @ah: from a to b, for datagrams
 * @bufs: memory of the ends
 * @held: the buffer whose first page is held back
 * @which: the host that it belongs to
 * @uffd: holds it back
 */
struct scene {
	const struct access *access;
	struct pair_config config;
	struct pair pair;
	struct ibv_ah *ah;
	struct buf bufs[2];
	struct buf *held;
	int which;
	int uffd;
};

static struct end *held_end(struct scene *scene)
{
	return scene->which ? &scene->pair.b : &scene->pair.a;
}

static struct ibv_ah *address(const struct host *from,
			      const struct host *to)
{
	struct ibv_ah_attr attr = {
		.is_global = 1,
		.port_num = 1,
		.grh = {
			.dgid = to->gids[0].gid,
			.sgid_index = from->gids[0].index,
			.hop_limit = 64,
		},
	};
	struct ibv_ah *ah = ibv_create_ah(from->pd, &attr);

	CHECK(ah);
	return ah;
}

static void connect(struct scene *scene)
{
	struct end *a = &scene->pair.a, *b = &scene->pair.b;

	/* packets still in the network do not belong to this connection */
	scene->config.psn += 0x1000;
	end_to_rtr(a, b->qp->qp_num, &b->host->gids[0].gid, &scene->config);
	end_to_rtr(b, a->qp->qp_num, &a->host->gids[0].gid, &scene->config);
	end_to_rts(a, &scene->config);
	end_to_rts(b, &scene->config);
}

static void forget(struct ibv_cq *cq)
{
	struct ibv_wc wc;

	while (ibv_poll_cq(cq, 1, &wc))
		;
}

static void reset(struct scene *scene)
{
	end_to_reset(&scene->pair.a);
	end_to_reset(&scene->pair.b);
	forget(scene->pair.a.send_cq);
	forget(scene->pair.b.recv_cq);
}

static void reconnect(struct scene *scene)
{
	end_to_init(&scene->pair.a, &scene->config);
	end_to_init(&scene->pair.b, &scene->config);
	connect(scene);
}

/* set up, with the page missing that will be held back */
static void scene_up(struct scene *scene, const struct access *access)
{
	struct host *hosts = scene->pair.hosts;
	int i;

	*scene = (struct scene) {
		.access = access,
		.config = {
			.type = access->datagram ? IBV_QPT_UD : IBV_QPT_RC,
			.qkey = access->datagram ? QKEY : 0,
		},
		.which = access->at_responder,
		.held = &scene->bufs[access->at_responder],
	};
	for (i = 0; i < 2; i++) {
		host_open(&hosts[i], i);
		buf_get(&scene->bufs[i], &hosts[i], SIZE, ODP_ACCESS);
		small_pages(scene->bufs[i].addr, SIZE);
	}
	end_create(&scene->pair.a, &hosts[0], &scene->config);
	end_create(&scene->pair.b, &hosts[1], &scene->config);
	if (access->datagram)
		scene->ah = address(&hosts[0], &hosts[1]);
	reconnect(scene);
	fill_pattern(scene->bufs[!access->at_responder].addr, PAGE_BYTES, 3);
}

static void scene_down(struct scene *scene)
{
	if (scene->ah)
		CHECK_EQ(ibv_destroy_ah(scene->ah), 0);
	buf_put(&scene->bufs[0]);
	buf_put(&scene->bufs[1]);
	pair_down(&scene->pair);
}

/* Post the access, at an offset of the memory that is held back. */
static void post(struct scene *scene, size_t offset)
{
	size_t local = scene->which ? 0 : offset, remote = offset - local;
	const struct buf *to = &scene->bufs[1];
	struct ibv_sge sge = buf_sge(&scene->bufs[0], local, LEN);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = scene->access->opcode,
		.send_flags = IBV_SEND_SIGNALED,
	};

	if (scene->access->datagram) {
		wr.wr.ud.ah = scene->ah;
		wr.wr.ud.remote_qpn = scene->pair.b.qp->qp_num;
		wr.wr.ud.remote_qkey = QKEY;
	} else if (wr.opcode == A) {
		wr.wr.atomic.remote_addr = (uintptr_t)to->addr + remote;
		wr.wr.atomic.rkey = to->mr->rkey;
		wr.wr.atomic.compare_add = 1;
	} else {
		wr.wr.rdma.remote_addr = (uintptr_t)to->addr + remote;
		wr.wr.rdma.rkey = to->mr->rkey;
	}
	if (wr.opcode == S)
		post_recv(&scene->pair.b, to, remote,
			  scene->access->datagram ? GRH + LEN : LEN, 1);
	post_send(&scene->pair.a, &wr);
}

/* Wait for the access's success, and check its data. */
static void finish(struct scene *scene, size_t offset)
{
	size_t local = scene->which ? 0 : offset, remote = offset - local;
	const unsigned char *from = scene->bufs[0].addr + local;
	const unsigned char *to = scene->bufs[1].addr + remote;

	wait_ok(scene->pair.a.send_cq);
	if (scene->access->opcode == S)
		wait_ok(scene->pair.b.recv_cq);
	if (scene->access->datagram)
		to += GRH;
	if (scene->access->opcode != A)
		CHECK(!memcmp(from, to, LEN));
}

static void provide(int uffd, void *page)
{
	static unsigned char content[PAGE_BYTES];

	fill_pattern(content, PAGE_BYTES, 9);
	userfaultfd_copy(uffd, page, content);
}

/* post an access to the page that is held back, and wait until it is parked */
static void park(struct scene *scene)
{
	unsigned char *page = scene->held->addr, *source = scene->bufs[1].addr;
	int there;

	if (!scene->access->late) {
		scene->uffd = miss_pages(page, PAGE_BYTES);
		post(scene, 0);
		CHECK(userfaultfd_wanted(scene->uffd) == page);
		return;
	}

	/* present, until the responder has parked at its own page */
	memset(page, 1, PAGE_BYTES);
	CHECK_EQ(madvise(source, PAGE_BYTES, MADV_DONTNEED), 0);
	scene->uffd = miss_pages(page, PAGE_BYTES);
	there = miss_pages(source, PAGE_BYTES);
	post(scene, 0);
	CHECK(userfaultfd_wanted(there) == source);
	CHECK_EQ(madvise(page, PAGE_BYTES, MADV_DONTNEED), 0);
	provide(there, source);
	CHECK(userfaultfd_wanted(scene->uffd) == page);
	close(there);
}

static void serve(struct scene *scene)
{
	provide(scene->uffd, scene->held->addr);
}

/*
 * Give a driver time in which a fault's result goes to the wrong direction. A
 * correct driver passes whatever this time is.
 */
static void let_fault_end(void)
{
	sleep_ms(100 * limit_factor());
}

enum moment { IN_ERROR, IN_RESET, CONNECTED, PARKED_AGAIN, MOMENTS };

static const char *const moments[] = {
	"in error", "in reset", "connected", "parked again",
};

/*
 * The page comes at @moment, when its region is deregistered: the access that
 * waited must not get it. The next user of the same page may.
 */
static void deregistered(const struct access *access, enum moment moment)
{
	struct scene scene;

	test_at("%s, page comes %s", access->name, moments[moment]);
	scene_up(&scene, access);
	park(&scene);
	if (moment == IN_ERROR) {
		end_to_error(&scene.pair.a);
		end_to_error(&scene.pair.b);
	} else {
		reset(&scene);
	}
	CHECK_EQ(ibv_dereg_mr(scene.held->mr), 0);
	if (moment == IN_ERROR) {
		serve(&scene);
		let_fault_end();
		reset(&scene);
	} else if (moment == IN_RESET) {
		serve(&scene);
		let_fault_end();
	}
	reconnect(&scene);
	if (moment == CONNECTED) {
		serve(&scene);
		let_fault_end();
	}
	buf_reg(scene.held, held_end(&scene)->host, scene.held->addr, SIZE,
		ODP_ACCESS);
	post(&scene, 0);
	if (moment == PARKED_AGAIN) {
		CHECK(userfaultfd_wanted(scene.uffd) == scene.held->addr);
		serve(&scene);
	}
	finish(&scene, 0);
	close(scene.uffd);
	scene_down(&scene);
}

/* The region stays, but its page becomes inaccessible at @moment. */
static void taken_away(const struct access *access, enum moment moment)
{
	struct scene scene;
	void *page;

	test_at("%s, page is protected %s", access->name, moments[moment]);
	scene_up(&scene, access);
	page = scene.held->addr;
	park(&scene);
	if (moment == IN_ERROR) {
		end_to_error(&scene.pair.a);
		end_to_error(&scene.pair.b);
	} else {
		reset(&scene);
	}
	if (moment == CONNECTED)
		reconnect(&scene);
	CHECK_EQ(mprotect(page, PAGE_BYTES, PROT_NONE), 0);
	/* end the wait */
	close(scene.uffd);
	let_fault_end();
	CHECK_EQ(mprotect(page, PAGE_BYTES, PROT_READ | PROT_WRITE), 0);
	if (moment == IN_ERROR)
		reset(&scene);
	if (moment != CONNECTED)
		reconnect(&scene);
	post(&scene, 0);
	finish(&scene, 0);
	scene_down(&scene);
}

static void inherits(bool at_responder)
{
	enum moment moment;
	unsigned int i;

	for (i = 0; i < NUM(accesses); i++) {
		if (accesses[i].at_responder != at_responder)
			continue;
		for (moment = 0; moment < MOMENTS; moment++) {
			deregistered(&accesses[i], moment);
			if (moment != PARKED_AGAIN)
				taken_away(&accesses[i], moment);
		}
	}
}

static void requester_inherits_nothing(void)
{
	inherits(false);
}

static void responder_inherits_nothing(void)
{
	inherits(true);
}

/* The old page is still held back when the queue pair uses another. */
static void reset_frees(bool at_responder)
{
	struct scene scene;
	unsigned int i;

	for (i = 0; i < NUM(accesses); i++) {
		if (accesses[i].at_responder != at_responder)
			continue;
		test_at("%s", accesses[i].name);
		scene_up(&scene, &accesses[i]);
		park(&scene);
		reset(&scene);
		reconnect(&scene);
		post(&scene, PAGE_BYTES);
		finish(&scene, PAGE_BYTES);
		CHECK(!page_frame(scene.held->addr));
		serve(&scene);
		post(&scene, 0);
		finish(&scene, 0);
		close(scene.uffd);
		scene_down(&scene);
	}
}

static void reset_frees_requester(void)
{
	reset_frees(false);
}

static void reset_frees_responder(void)
{
	reset_frees(true);
}

/* abandoned faults that a program may have */
#define ABANDONED_MAX	16

/*
 * A program has a bounded number of abandoned faults, at either side: beyond it
 * modify to INIT fails with EBUSY, until the pages come.
 */
static void leave_many(const struct access *access)
{
	struct scene scene;
	struct end *end;
	int i, err = 0;

	test_at("%s", access->name);
	scene_up(&scene, access);
	end = held_end(&scene);
	park(&scene);
	for (i = 1; i <= ABANDONED_MAX; i++) {
		reset(&scene);
		err = end_try_init(end, &scene.config);
		if (err)
			break;
		end_to_init(scene.which ? &scene.pair.a : &scene.pair.b,
			    &scene.config);
		connect(&scene);
		post(&scene, 0);
		CHECK(userfaultfd_wanted(scene.uffd) == scene.held->addr);
	}
	CHECK_EQ(err, EBUSY);
	CHECK_EQ(end_state(end), IBV_QPS_RESET);
	printf("# %s: %d faults left behind, and no more\n", access->name, i);
	serve(&scene);
	reset(&scene);
	UNTIL(!(err = end_try_init(end, &scene.config)) || err != EBUSY);
	CHECK_EQ(err, 0);
	end_to_init(scene.which ? &scene.pair.a : &scene.pair.b, &scene.config);
	connect(&scene);
	post(&scene, 0);
	finish(&scene, 0);
	close(scene.uffd);
	scene_down(&scene);
}

static void many_left_behind(void)
{
	leave_many(access_of(W, false, false));
	leave_many(access_of(W, true, false));
}

/* Neither other queue pairs nor flushed requests wait for the page. */
static void flushed(void)
{
	const struct pair_config config = {};
	struct end a, b;
	struct scene scene;
	struct ibv_wc wc;
	unsigned int i;

	for (i = 0; i < NUM(accesses); i++) {
		test_at("%s", accesses[i].name);
		scene_up(&scene, &accesses[i]);
		connect_ends(&a, &scene.pair.hosts[0], &b, &scene.pair.hosts[1],
			     &config);
		park(&scene);
		check_arrives(&a, &b, ODP_ACCESS);
		end_to_error(&scene.pair.a);
		wc = wait_cqe(scene.pair.a.send_cq);
		/* the sender of a datagram does not wait for its receiver */
		if (accesses[i].at_responder && accesses[i].datagram)
			CHECK_EQ(wc.status, IBV_WC_SUCCESS);
		else
			CHECK_EQ(wc.status, IBV_WC_WR_FLUSH_ERR);
		end_to_error(&scene.pair.b);
		if (accesses[i].opcode == S)
			wait_status(scene.pair.b.recv_cq,
				    IBV_WC_WR_FLUSH_ERR);
		check_arrives(&a, &b, ODP_ACCESS);
		check_arrives(&b, &a, ODP_ACCESS);
		serve(&scene);
		end_destroy(&a);
		end_destroy(&b);
		close(scene.uffd);
		scene_down(&scene);
	}
}

/* Destruction does not wait for the page, which comes when all is gone. */
static void destroyed(void)
{
	struct resources before;
	struct scene scene;
	unsigned int i;

	resources_get(&before);
	for (i = 0; i < NUM(accesses); i++) {
		test_at("%s", accesses[i].name);
		scene_up(&scene, &accesses[i]);
		park(&scene);
		end_destroy(&scene.pair.a);
		end_destroy(&scene.pair.b);
		if (scene.ah)
			CHECK_EQ(ibv_destroy_ah(scene.ah), 0);
		CHECK_EQ(ibv_dereg_mr(scene.bufs[0].mr), 0);
		CHECK_EQ(ibv_dereg_mr(scene.bufs[1].mr), 0);
		host_close(&scene.pair.hosts[0]);
		host_close(&scene.pair.hosts[1]);
		check_works();
		CHECK(!page_frame(scene.held->addr));
		serve(&scene);
		close(scene.uffd);
		CHECK_EQ(munmap(scene.bufs[0].addr, SIZE), 0);
		CHECK_EQ(munmap(scene.bufs[1].addr, SIZE), 0);
		resources_check(&before);
	}
}

/*
 * Nor does removal of a device, whose queue pairs may be @gone already. Returns whether
 * it was soon.
 */
static bool remove_devices(struct scene *scenes, bool gone)
{
	unsigned int i, alone = remove_once();
	unsigned long long began;
	bool soon = true;

	for (i = 0; i < NUM(accesses); i++) {
		test_at("%s, %s", accesses[i].name, gone ? "gone" : "living");
		scene_up(&scenes[i], &accesses[i]);
		park(&scenes[i]);
		if (gone) {
			end_destroy(&scenes[i].pair.a);
			end_destroy(&scenes[i].pair.b);
		}
	}
	for (i = 0; i < 2; i++) {
		began = now_ms();
		command("rdma link delete rxe%u", i);
		soon &= removed_in_time(began, alone);
	}
	for (i = 0; i < NUM(accesses); i++)
		CHECK(!page_frame(scenes[i].held->addr));
	make_link(0);
	make_link(1);
	check_works();
	for (i = 0; i < NUM(accesses); i++)
		serve(&scenes[i]);
	check_works();
	return soon;
}

/* A host that stands still takes time, too, though not every time. */
static void removed(void)
{
	static struct scene scenes[2][REMOVAL_TRIES][NUM(accesses)];
	int gone, tries;

	for (gone = 0; gone < 2; gone++)
		for (tries = 1; !remove_devices(scenes[gone][tries - 1], gone); tries++)
			CHECK(tries < REMOVAL_TRIES);
}

/**
 * struct taker - a kind of receive queue
 * @name: for people
 * @datagram: of the UD service
 * @shared: by a shared receive queue
 */
struct taker {
	const char *name;
	bool datagram;
	bool shared;
};

static const struct taker takers[] = {
	{ "a receive queue" },
	{ "a shared receive queue", .shared = true },
	{ "a datagram's receive queue", .datagram = true },
	{ "datagrams by a shared receive queue", true, true },
};

/**
 * struct taking - a connection whose receiver's memory is missing
 * @config: of the queue pairs
 * @pair: end b receives
 * @srq: by this, or NULL
 * @ah: from a to b, for datagrams
 * @from: memory of the sender, which is present
 * @to: memory of the receiver, which is missing
 */
struct taking {
	struct pair_config config;
	struct pair pair;
	struct ibv_srq *srq;
	struct ibv_ah *ah;
	struct buf from;
	struct buf to;
};

static void taking_up(struct taking *taking, const struct taker *taker,
		      size_t len)
{
	struct ibv_srq_init_attr attr = {
		.attr = { .max_wr = 64, .max_sge = 1 },
	};
	struct pair *pair = &taking->pair;
	struct pair_config with_srq;

	*taking = (struct taking) {
		.config = {
			.type = taker->datagram ? IBV_QPT_UD : IBV_QPT_RC,
			.qkey = taker->datagram ? QKEY : 0,
		},
	};
	host_open(&pair->hosts[0], 0);
	host_open(&pair->hosts[1], 1);
	if (taker->shared) {
		taking->srq = ibv_create_srq(pair->hosts[1].pd, &attr);
		CHECK(taking->srq);
	}
	if (taker->datagram)
		taking->ah = address(&pair->hosts[0], &pair->hosts[1]);
	with_srq = taking->config;
	with_srq.srq = taking->srq;
	end_create(&pair->a, &pair->hosts[0], &taking->config);
	end_create(&pair->b, &pair->hosts[1], &with_srq);
	end_to_init(&pair->a, &taking->config);
	end_to_init(&pair->b, &taking->config);
	end_to_rtr(&pair->a, pair->b.qp->qp_num, &pair->hosts[1].gids[0].gid,
		   &taking->config);
	end_to_rtr(&pair->b, pair->a.qp->qp_num, &pair->hosts[0].gids[0].gid,
		   &taking->config);
	end_to_rts(&pair->a, &taking->config);
	end_to_rts(&pair->b, &taking->config);
	buf_get(&taking->from, &pair->hosts[0], SIZE, ALL_ACCESS);
	fill_pattern(taking->from.addr, SIZE, 5);
	buf_get(&taking->to, &pair->hosts[1], len, ODP_ACCESS);
	small_pages(taking->to.addr, len);
}

static void taking_down(struct taking *taking)
{
	end_destroy(&taking->pair.a);
	end_destroy(&taking->pair.b);
	if (taking->ah)
		CHECK_EQ(ibv_destroy_ah(taking->ah), 0);
	if (taking->srq)
		CHECK_EQ(ibv_destroy_srq(taking->srq), 0);
	buf_put(&taking->from);
	buf_put(&taking->to);
	host_close(&taking->pair.hosts[0]);
	host_close(&taking->pair.hosts[1]);
}

static void post_taker(struct taking *taking, size_t offset, size_t len)
{
	struct ibv_sge sge = buf_sge(&taking->to, offset, len);
	struct ibv_recv_wr wr = { .sg_list = &sge, .num_sge = 1 }, *bad;

	if (taking->srq)
		CHECK_EQ(ibv_post_srq_recv(taking->srq, &wr, &bad), 0);
	else
		CHECK_EQ(ibv_post_recv(taking->pair.b.qp, &wr, &bad), 0);
}

static void post_message(struct taking *taking, size_t len)
{
	struct ibv_sge sge = buf_sge(&taking->from, 0, len);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = S,
		.send_flags = IBV_SEND_SIGNALED,
	};

	if (taking->ah) {
		wr.wr.ud.ah = taking->ah;
		wr.wr.ud.remote_qpn = taking->pair.b.qp->qp_num;
		wr.wr.ud.remote_qkey = QKEY;
	}
	post_send(&taking->pair.a, &wr);
}

static void check_taken(const struct taking *taking, size_t offset, size_t len)
{
	check_pattern(taking->to.addr + offset + (taking->ah ? GRH : 0), len, 5);
}

#define MESSAGES	16

/* Small messages into large receive requests: a fault covers the message only. */
static void small_messages(void)
{
	unsigned long present;
	struct taking taking;
	unsigned int i, j;

	for (i = 0; i < NUM(takers); i++) {
		test_at("%s", takers[i].name);
		taking_up(&taking, &takers[i], MESSAGES * MIB);
		for (j = 0; j < MESSAGES; j++)
			post_taker(&taking, j * MIB, MIB);
		for (j = 0; j < MESSAGES; j++)
			post_message(&taking, 64);
		for (j = 0; j < MESSAGES; j++) {
			wait_ok(taking.pair.a.send_cq);
			wait_ok(taking.pair.b.recv_cq);
		}
		present = pages_present(taking.to.addr, taking.to.len);
		printf("# %s: %u messages, %lu pages\n", takers[i].name,
		       MESSAGES, present);
		/* one page for each message, and a few more */
		CHECK(present >= MESSAGES && present <= MESSAGES + 8);
		for (j = 0; j < MESSAGES; j++)
			check_taken(&taking, j * MIB, 64);
		taking_down(&taking);
	}
}

/* A message ends just before a page that is never provided. */
static void page_behind_message(void)
{
	static const size_t lengths[] = { 1, 64, 1024, 3000 };
	struct taking taking;
	unsigned int i, j;
	int uffd;

	for (i = 0; i < NUM(takers); i++)
		for (j = 0; j < NUM(lengths); j++) {
			if (takers[i].datagram && lengths[j] > 1024)
				continue;
			test_at("%s, %zu bytes", takers[i].name, lengths[j]);
			taking_up(&taking, &takers[i], 2 * PAGE_BYTES);
			uffd = miss_pages(taking.to.addr + PAGE_BYTES,
					  PAGE_BYTES);
			post_taker(&taking, 0, 2 * PAGE_BYTES);
			post_message(&taking, lengths[j]);
			wait_ok(taking.pair.a.send_cq);
			wait_ok(taking.pair.b.recv_cq);
			CHECK(!userfaultfd_wait(uffd, 0));
			check_taken(&taking, 0, lengths[j]);
			close(uffd);
			taking_down(&taking);
		}
}

/*
 * An atomic's result has eight bytes, however long its SGE is. Both the requester
 * and the completer miss its page.
 */
static void page_behind_result(void)
{
	struct scene scene;
	struct ibv_sge sge;
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = A,
		.send_flags = IBV_SEND_SIGNALED,
	};
	unsigned char *sink;
	int uffd;

	scene_up(&scene, access_of(A, true, false));
	sink = scene.bufs[0].addr;
	sge = buf_sge(&scene.bufs[0], 0, 2 * PAGE_BYTES);
	wr.wr.atomic.remote_addr = (uintptr_t)scene.bufs[1].addr;
	wr.wr.atomic.rkey = scene.bufs[1].mr->rkey;
	uffd = miss_pages(sink + PAGE_BYTES, PAGE_BYTES);
	scene.uffd = miss_pages(scene.held->addr, PAGE_BYTES);
	CHECK_EQ(madvise(sink, PAGE_BYTES, MADV_DONTNEED), 0);
	post_send(&scene.pair.a, &wr);
	CHECK(userfaultfd_wanted(scene.uffd) == scene.held->addr);
	CHECK_EQ(madvise(sink, PAGE_BYTES, MADV_DONTNEED), 0);
	serve(&scene);
	wait_ok(scene.pair.a.send_cq);
	CHECK(!userfaultfd_wait(uffd, 0));
	close(uffd);
	close(scene.uffd);
	scene_down(&scene);
}

/*
 * A fault covers all that is known to come: the length in the RETH, or that of the
 * send request. So a long message parks few times.
 */
static void long_messages(void)
{
	static const enum ibv_wr_opcode opcodes[] = { W, R, S };
	const struct pair_config config = {};
	unsigned long long parks[2];
	struct buf local, remote;
	struct pair pair;
	unsigned int i;

	pair_up(&pair, &config);
	for (i = 0; i < NUM(opcodes); i++) {
		test_at("opcode %d", opcodes[i]);
		buf_get(&local, &pair.hosts[0], MIB, ODP_ACCESS);
		buf_get(&remote, &pair.hosts[1], MIB, ODP_ACCESS);
		small_pages(local.addr, MIB);
		small_pages(remote.addr, MIB);
		parks[0] = counter_of(0, "parked");
		parks[1] = counter_of(1, "parked");
		if (opcodes[i] == S)
			post_recv(&pair.b, &remote, 0, MIB, 1);
		do_one(&pair.a, opcodes[i], buf_sge(&local, 0, MIB), &remote, 0);
		if (opcodes[i] == S)
			wait_ok(pair.b.recv_cq);
		parks[0] = counter_of(0, "parked") - parks[0];
		parks[1] = counter_of(1, "parked") - parks[1];
		printf("# opcode %d, 1 MiB: parked %llu times, its peer %llu\n",
		       opcodes[i], parks[0], parks[1]);
		CHECK(parks[0] >= 1 && parks[0] <= 8);
		CHECK(parks[1] >= 1);
		/* for a send only the packets that have come are known */
		CHECK(opcodes[i] == S || parks[1] <= 8);
		buf_put(&local);
		buf_put(&remote);
	}
	pair_down(&pair);
}

#define PARK_EVENT	TRACING "events/rdma_rxe/rxe_park/enable"

/**
 * struct parks - the counter and trace of an end
 * @which: its host
 * @qpn: as the trace shows it
 * @before: the counter, at the beginning
 */
struct parks {
	int which;
	char qpn[40];
	unsigned long long before;
};

static void parks_begin(struct parks *parks, int which, struct end *end)
{
	parks->which = which;
	snprintf(parks->qpn, sizeof(parks->qpn), "qpn=%#x ", end->qp->qp_num);
	parks->before = counter_of(which, "parked");
}

/* CHECK() that each park is counted, and that there were some */
static void parks_check(struct parks *parks, unsigned int times)
{
	unsigned int traced = trace_lines("rxe_park:", parks->qpn);

	/* the core reads counters once in 10 ms */
	UNTIL(counter_of(parks->which, "parked") - parks->before >= traced);
	CHECK_EQ(counter_of(parks->which, "parked") - parks->before, traced);
	CHECK(traced >= times);
}

/* Two writes; the second one's page is discarded after it was faulted in. */
static void count_behind_request(void)
{
	struct parks parks;
	struct scene scene;
	struct buf other;
	unsigned long long received;

	test_at("a write behind a write");
	scene_up(&scene, access_of(W, true, false));
	buf_get(&other, &scene.pair.hosts[1], PAGE_BYTES, ODP_ACCESS);
	do_one(&scene.pair.a, W, buf_sge(&scene.bufs[0], 0, LEN), &other, 0);
	trace_begin();
	parks_begin(&parks, 1, &scene.pair.b);
	park(&scene);
	received = counter_of(1, "parked_bytes");
	post_one(&scene.pair.a, W, buf_sge(&scene.bufs[0], 0, LEN), &other, 0);
	UNTIL(counter_of(1, "parked_bytes") > received);
	buf_drop(&other);
	serve(&scene);
	wait_ok(scene.pair.a.send_cq);
	wait_ok(scene.pair.a.send_cq);
	parks_check(&parks, 2);
	buf_put(&other);
	close(scene.uffd);
	scene_down(&scene);
}

/* Two reads likewise: the sink of the second one is discarded. */
static void count_behind_response(void)
{
	struct buf *sink, *source, other;
	unsigned long long received;
	struct parks parks;
	struct scene scene;
	int there;

	test_at("a read's response behind another's");
	scene_up(&scene, access_of(R, false, true));
	sink = &scene.bufs[0];
	source = &scene.bufs[1];
	buf_get(&other, &scene.pair.hosts[0], PAGE_BYTES, ODP_ACCESS);
	memset(other.addr, 1, PAGE_BYTES);
	memset(sink->addr, 1, PAGE_BYTES);
	memset(source->addr + PAGE_BYTES, 1, PAGE_BYTES);
	CHECK_EQ(madvise(source->addr, PAGE_BYTES, MADV_DONTNEED), 0);
	scene.uffd = miss_pages(sink->addr, PAGE_BYTES);
	there = miss_pages(source->addr, PAGE_BYTES);
	/* the sinks are present when the reads leave */
	do_one(&scene.pair.a, R, buf_sge(sink, 0, LEN), source, PAGE_BYTES);
	do_one(&scene.pair.a, R, buf_sge(&other, 0, LEN), source, PAGE_BYTES);
	trace_begin();
	parks_begin(&parks, 0, &scene.pair.a);
	received = counter_of(0, "rcvd_pkts");
	post(&scene, 0);
	post_one(&scene.pair.a, R, buf_sge(&other, 0, LEN), source, PAGE_BYTES);
	CHECK(userfaultfd_wanted(there) == source->addr);
	CHECK_EQ(madvise(sink->addr, PAGE_BYTES, MADV_DONTNEED), 0);
	provide(there, source->addr);
	CHECK(userfaultfd_wanted(scene.uffd) == sink->addr);
	UNTIL(counter_of(0, "rcvd_pkts") >= received + 2);
	buf_drop(&other);
	serve(&scene);
	wait_ok(scene.pair.a.send_cq);
	wait_ok(scene.pair.a.send_cq);
	parks_check(&parks, 2);
	buf_put(&other);
	close(there);
	close(scene.uffd);
	scene_down(&scene);
}

static void count_one(const struct access *access)
{
	struct parks parks;
	struct scene scene;

	test_at("%s", access->name);
	scene_up(&scene, access);
	trace_begin();
	parks_begin(&parks, scene.which, held_end(&scene));
	park(&scene);
	serve(&scene);
	finish(&scene, 0);
	parks_check(&parks, 1);
	close(scene.uffd);
	scene_down(&scene);
}

static void counted(void)
{
	unsigned int i;

	trace_begin();
	trace_write(PARK_EVENT, "1");
	for (i = 0; i < NUM(accesses); i++)
		count_one(&accesses[i]);
	trace_write(PARK_EVENT, "0");
}

static void counted_behind_request(void)
{
	trace_begin();
	trace_write(PARK_EVENT, "1");
	count_behind_request();
	trace_write(PARK_EVENT, "0");
}

static void counted_behind_response(void)
{
	trace_begin();
	trace_write(PARK_EVENT, "1");
	count_behind_response();
	trace_write(PARK_EVENT, "0");
}

static const struct test tests[] = {
	{ "a requester gets no error of an abandoned fault",
	  requester_inherits_nothing },
	{ "a responder gets no error of an abandoned fault",
	  responder_inherits_nothing },
	{ "a reset requester waits for no abandoned fault",
	  reset_frees_requester },
	{ "a reset responder waits for no abandoned fault",
	  reset_frees_responder },
	{ "the number of abandoned faults is bounded", many_left_behind },
	{ "flushed requests and other queue pairs do not wait for a fault",
	  flushed },
	{ "queue pairs are destroyed while parked", destroyed },
	{ "devices are removed while queue pairs are parked", removed },
	{ "small messages into large receive requests", small_messages },
	{ "a message does not wait for the page behind its end",
	  page_behind_message },
	{ "an atomic does not wait for the page behind its result",
	  page_behind_result },
	{ "a long message parks few times", long_messages },
	{ "each park is counted", counted },
	{ "parks of a request from the backlog are counted",
	  counted_behind_request },
	{ "parks of a response from the backlog are counted",
	  counted_behind_response },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
