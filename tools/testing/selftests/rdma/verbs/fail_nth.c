// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Each allocation of each call fails once, by the kernel's fault injection, and each
 * copy from and to the program: the call fails with an error that says so, or does
 * without; nothing is left of it, and the next one works. And without memory for
 * packets a request fails after a while, and a response is asked for again. Needs a
 * kernel with FAULT_INJECTION, as the debug kernel is.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <rdma/rdma_netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "failing.h"
#include "memory.h"
#include "pair.h"

#define MEM		(64 * 1024)
/* more than any call makes */
#define MOST		100000
/*
 * Each of the first ones fails, and then one of so many: to add a link, the core makes
 * thousands of files of sysfs, each as the one before. LONG_TESTS has them all fail.
 */
#define EACH		400
#define ONE_OF		97
/* a line after so many, as the run would be taken for dead */
#define TELL		50
#define LINK		"link0"
#define NETDEV		"dum0"

/**
 * struct world - what calls work with
 * @host: its device
 * @peer: that of the other host
 * @other: @host's device, opened once more
 * @other_pd: of @other
 * @channel: of completions
 * @cq: for queue pairs
 * @srq: to be resized
 * @datagrams: for groups
 * @mem: MEM bytes
 * @mr: on demand, of @mem
 * @a: in INIT, with @b as its peer
 * @b: in RESET
 * @c: connected to @d
 * @d: of the other host
 * @local: memory of @host
 * @remote: memory of @peer
 * @sock: of rdma netlink
 * @link: the number of the device LINK
 * @module: file of the driver
 */
struct world {
	struct host host;
	struct host peer;
	struct ibv_context *other;
	struct ibv_pd *other_pd;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	struct ibv_srq *srq;
	struct end datagrams;
	void *mem;
	struct ibv_mr *mr;
	struct end a;
	struct end b;
	struct end c;
	struct end d;
	struct buf local;
	struct buf remote;
	int sock;
	unsigned int link;
	int module;
};

/**
 * struct call - a call whose allocations fail
 * @name: of it
 * @make: does it; returns 0 or an errno, and what it has made
 * @end: undoes it, without failures; NULL: there is nothing to undo
 * @before: without failures, ahead of each try
 * @after: the same, behind it
 */
struct call {
	const char *name;
	int (*make)(struct world *w, void **made);
	void (*end)(struct world *w, void *made);
	void (*before)(struct world *w);
	void (*after)(struct world *w);
};

static int made_or_errno(void *made, void **to)
{
	*to = made;
	return made ? 0 : errno;
}

static int open_device(struct world *w, void **made)
{
	int err = made_or_errno(ibv_open_device(w->host.ctx->device), made);

	/* the library looks for the device elsewhere then, and does not find it */
	return err == ENOENT ? ENOMEM : err;
}

static void close_device(struct world *w, void *made)
{
	CHECK_EQ(ibv_close_device(made), 0);
}

static int make_pd(struct world *w, void **made)
{
	return made_or_errno(ibv_alloc_pd(w->host.ctx), made);
}

static void end_pd(struct world *w, void *made)
{
	CHECK_EQ(ibv_dealloc_pd(made), 0);
}

static int make_channel(struct world *w, void **made)
{
	return made_or_errno(ibv_create_comp_channel(w->host.ctx), made);
}

static void end_channel(struct world *w, void *made)
{
	CHECK_EQ(ibv_destroy_comp_channel(made), 0);
}

static int make_cq(struct world *w, void **made)
{
	return made_or_errno(ibv_create_cq(w->host.ctx, 1000, NULL, w->channel,
					   0), made);
}

static void end_cq(struct world *w, void *made)
{
	CHECK_EQ(ibv_destroy_cq(made), 0);
}

/* each time to another size */
static int resize_cq(struct world *w, void **made)
{
	return ibv_resize_cq(w->cq, w->cq->cqe == 100 ? 200 : 100);
}

static int make_srq(struct world *w, void **made)
{
	struct ibv_srq_init_attr attr = {
		.attr = { .max_wr = 1000, .max_sge = 4 },
	};

	return made_or_errno(ibv_create_srq(w->host.pd, &attr), made);
}

static void end_srq(struct world *w, void *made)
{
	CHECK_EQ(ibv_destroy_srq(made), 0);
}

static int resize_srq(struct world *w, void **made)
{
	static unsigned int calls;
	struct ibv_srq_attr attr = { .max_wr = ++calls & 1 ? 2000 : 100 };

	return ibv_modify_srq(w->srq, &attr, IBV_SRQ_MAX_WR);
}

static int make_qp_of(struct world *w, enum ibv_qp_type type, void **made)
{
	struct ibv_qp_init_attr attr = {
		.send_cq = w->cq,
		.recv_cq = w->cq,
		.qp_type = type,
		.cap = {
			.max_send_wr = 1000,
			.max_recv_wr = 1000,
			.max_send_sge = 4,
			.max_recv_sge = 4,
			.max_inline_data = 64,
		},
	};

	return made_or_errno(ibv_create_qp(w->host.pd, &attr), made);
}

static int make_rc_qp(struct world *w, void **made)
{
	return make_qp_of(w, IBV_QPT_RC, made);
}

static int make_ud_qp(struct world *w, void **made)
{
	return make_qp_of(w, IBV_QPT_UD, made);
}

static void end_qp(struct world *w, void *made)
{
	CHECK_EQ(ibv_destroy_qp(made), 0);
}

static int make_mr_with(struct world *w, void *addr, size_t len, int access,
			void **made)
{
	return made_or_errno(ibv_reg_mr(w->host.pd, addr, len, access), made);
}

static int make_pinned_mr(struct world *w, void **made)
{
	return make_mr_with(w, w->mem, MEM, ALL_ACCESS, made);
}

static int make_odp_mr(struct world *w, void **made)
{
	return make_mr_with(w, w->mem, MEM, ODP_ACCESS, made);
}

static int make_implicit_mr(struct world *w, void **made)
{
	return make_mr_with(w, NULL, SIZE_MAX, ODP_ACCESS, made);
}

static void end_mr(struct world *w, void *made)
{
	CHECK_EQ(ibv_dereg_mr(made), 0);
}

/* The first of a context: it subscribes to the address space. */
static int make_first_mr(struct world *w, void **made)
{
	return made_or_errno(ibv_reg_mr(w->other_pd, w->mem, MEM, ODP_ACCESS),
			     made);
}

static int make_mw(struct world *w, void **made)
{
	return made_or_errno(ibv_alloc_mw(w->host.pd, IBV_MW_TYPE_2), made);
}

static void end_mw(struct world *w, void *made)
{
	CHECK_EQ(ibv_dealloc_mw(made), 0);
}

static int make_ah(struct world *w, void **made)
{
	struct ibv_ah_attr attr = {
		.is_global = 1,
		.port_num = 1,
		.grh = {
			.dgid = w->peer.gids[0].gid,
			.sgid_index = w->host.gids[0].index,
			.hop_limit = 64,
		},
	};

	return made_or_errno(ibv_create_ah(w->host.pd, &attr), made);
}

static void end_ah(struct world *w, void *made)
{
	CHECK_EQ(ibv_destroy_ah(made), 0);
}

static int in_group(struct world *w, bool ipv6,
		    int (*call)(struct ibv_qp *qp, const union ibv_gid *gid,
				uint16_t lid))
{
	union ibv_gid gid = { .raw = { [10] = 0xff, [11] = 0xff, [12] = 239,
				       [13] = 1, [14] = 2, [15] = 3 } };

	if (ipv6)
		gid = (union ibv_gid){ .raw = { 0xff, 0x12, [15] = 9 } };
	return call(w->datagrams.qp, &gid, 0);
}

static int attach4(struct world *w, void **made)
{
	return in_group(w, false, ibv_attach_mcast);
}

static void detach4(struct world *w, void *made)
{
	CHECK_EQ(in_group(w, false, ibv_detach_mcast), 0);
}

static int attach6(struct world *w, void **made)
{
	return in_group(w, true, ibv_attach_mcast);
}

static void detach6(struct world *w, void *made)
{
	CHECK_EQ(in_group(w, true, ibv_detach_mcast), 0);
}

static int prefetch(struct world *w, void **made)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)w->mem,
		.length = MEM,
		.lkey = w->mr->lkey,
	};

	CHECK_EQ(madvise(w->mem, MEM, MADV_DONTNEED), 0);
	return try_advise_mr(w->host.pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
			     IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1);
}

static int reregister(struct world *w, void **made)
{
	struct rereg again = {
		.flags = IBV_REREG_MR_CHANGE_TRANSLATION,
		.addr = w->mem,
		.len = MEM,
	};

	return try_rereg_mr(w->mr, &again);
}

static int to_reset(struct world *w, void **made)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };

	return ibv_modify_qp(w->a.qp, &attr, IBV_QP_STATE);
}

static int to_init(struct world *w, void **made)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qp_access_flags = ALL_ACCESS,
	};

	return ibv_modify_qp(w->a.qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX |
			     IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
}

static int to_rtr(struct world *w, void **made)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_1024,
		.dest_qp_num = w->b.qp->qp_num,
		.max_dest_rd_atomic = 4,
		.ah_attr = {
			.is_global = 1,
			.port_num = 1,
			.grh = {
				.dgid = w->peer.gids[0].gid,
				.sgid_index = w->host.gids[0].index,
				.hop_limit = 64,
			},
		},
	};

	return ibv_modify_qp(w->a.qp, &attr, IBV_QP_STATE | IBV_QP_AV |
			     IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
			     IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
			     IBV_QP_MIN_RNR_TIMER);
}

static void back_to_init(struct world *w, void *made)
{
	CHECK_EQ(to_reset(w, NULL), 0);
	CHECK_EQ(to_init(w, NULL), 0);
}

static int query_qp(struct world *w, void **made)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	return ibv_query_qp(w->a.qp, &attr, IBV_QP_STATE, &init);
}

static void drop_data(struct world *w)
{
	buf_drop(&w->local);
	fill_pattern(w->local.addr, w->local.len, 7);
	buf_drop(&w->remote);
}

/* The doorbell rings in the caller's context, and makes packets there. */
static int post_write(struct world *w, void **made)
{
	struct ibv_sge sge = buf_sge(&w->local, 0, w->local.len);
	struct ibv_send_wr *bad, wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = {
			.remote_addr = (uintptr_t)w->remote.addr,
			.rkey = w->remote.mr->rkey,
		},
	};

	return ibv_post_send(w->c.qp, &wr, &bad);
}

/* A doorbell that fails leaves the request in the ring: the next one rings for it. */
static void check_written(struct world *w)
{
	post_one(&w->c, IBV_WR_RDMA_WRITE, buf_sge(&w->local, 0, 8),
		 &w->remote, 0);
	wait_ok(w->c.send_cq);
	wait_ok(w->c.send_cq);
	check_pattern(w->remote.addr, w->remote.len, 7);
}

/* a request of rdma netlink */
struct request {
	struct nlmsghdr head;
	char attrs[200];
};

static void add_attr(struct request *request, int type, const void *value,
		     size_t len)
{
	struct nlattr *attr = (void *)request + request->head.nlmsg_len;

	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	memcpy((char *)attr + NLA_HDRLEN, value, len);
	request->head.nlmsg_len += NLA_HDRLEN + NLA_ALIGN(len);
}

static void add_text(struct request *request, int type, const char *text)
{
	add_attr(request, type, text, strlen(text) + 1);
}

static void request_begin(struct request *request, int command)
{
	memset(request, 0, sizeof(*request));
	request->head.nlmsg_len = NLMSG_HDRLEN;
	request->head.nlmsg_type = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, command);
	request->head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
}

static int request_send(struct world *w, struct request *request)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char more[1000];
	} answer;

	if (send(w->sock, request, request->head.nlmsg_len, 0) < 0)
		return errno;
	if (recv(w->sock, &answer, sizeof(answer), MSG_DONTWAIT) < 0)
		return errno;
	CHECK_EQ(answer.head.nlmsg_type, NLMSG_ERROR);
	return -answer.error.error;
}

static int add_link(struct world *w, void **made)
{
	struct request request;

	request_begin(&request, RDMA_NLDEV_CMD_NEWLINK);
	add_text(&request, RDMA_NLDEV_ATTR_DEV_NAME, LINK);
	add_text(&request, RDMA_NLDEV_ATTR_LINK_TYPE, "rxe");
	add_text(&request, RDMA_NLDEV_ATTR_NDEV_NAME, NETDEV);
	return request_send(w, &request);
}

static int delete_link(struct world *w, void **made)
{
	struct request request;

	request_begin(&request, RDMA_NLDEV_CMD_DELLINK);
	add_attr(&request, RDMA_NLDEV_ATTR_DEV_INDEX, &w->link,
		 sizeof(w->link));
	return request_send(w, &request);
}

static bool has_link(void)
{
	return !access("/sys/class/infiniband/" LINK, F_OK);
}

/* The link may have been made although the command failed: its answer was lost. */
static void no_link(struct world *w)
{
	if (has_link())
		command("rdma link delete " LINK);
}

/* rdma tells its number */
static void new_link(struct world *w)
{
	FILE *pipe;

	if (!has_link())
		command("rdma link add " LINK " type rxe netdev " NETDEV);
	pipe = popen("rdma dev show " LINK " | sed 's/:.*//'", "r");
	CHECK(pipe);
	CHECK_EQ(fscanf(pipe, "%u", &w->link), 1);
	CHECK_EQ(pclose(pipe), 0);
}

static void open_other(struct world *w)
{
	w->other = ibv_open_device(w->host.ctx->device);
	CHECK(w->other);
	w->other_pd = ibv_alloc_pd(w->other);
	CHECK(w->other_pd);
}

static void close_other(struct world *w)
{
	CHECK_EQ(ibv_dealloc_pd(w->other_pd), 0);
	CHECK_EQ(ibv_close_device(w->other), 0);
}

static const struct call objects[] = {
	{ "open a device", open_device, close_device },
	{ "a protection domain", make_pd, end_pd },
	{ "a completion channel", make_channel, end_channel },
	{ "a completion queue", make_cq, end_cq },
	{ "a completion queue of another size", resize_cq },
	{ "a shared receive queue", make_srq, end_srq },
	{ "a shared receive queue of another size", resize_srq },
	{ "a queue pair of a connection", make_rc_qp, end_qp },
	{ "a queue pair of datagrams", make_ud_qp, end_qp },
	{ "an address handle", make_ah, end_ah },
	{ "an IPv4 group", attach4, detach4 },
	{ "an IPv6 group", attach6, detach6 },
	{}
};

static const struct call memory[] = {
	{ "pinned memory", make_pinned_mr, end_mr },
	{ "on-demand memory", make_odp_mr, end_mr },
	{ "all memory", make_implicit_mr, end_mr },
	{ "a context's first on-demand memory", make_first_mr, end_mr,
	  open_other, close_other },
	{ "a memory window", make_mw, end_mw },
	{ "a prefetch", prefetch },
	{ "another translation", reregister },
	{}
};

static const struct call states[] = {
	{ "to RESET", to_reset, back_to_init },
	{ "to RTR", to_rtr, back_to_init },
	{ "query a queue pair", query_qp },
	{ "a write", post_write, NULL, drop_data, check_written },
	{}
};

static const struct call links[] = {
	{ "add a link", add_link, NULL, no_link, no_link },
	{ "delete a link", delete_link, NULL, new_link, NULL },
	{}
};

/* Make a call with its nth allocation failing; false: it has fewer. */
static bool fail_once(struct world *w, const struct call *call,
		      unsigned int nth)
{
	void *made = NULL;
	bool failed;
	int err;

	if (call->before)
		call->before(w);
	fail_nth(nth);
	err = call->make(w, &made);
	failed = fail_over();
	if (err)
		CHECK(failed && fails_so(err));
	if (!err && call->end)
		call->end(w, made);
	if (call->after)
		call->after(w);
	return failed;
}

static void fail_each_of(struct world *w, const struct call *call)
{
	unsigned int nth, failures = 0, step = 1;

	for (nth = 1; ; nth += step) {
		test_at("%s, allocation %u", call->name, nth);
		CHECK(nth < MOST);
		if (!fail_once(w, call, nth))
			break;
		if (++failures >= EACH && !getenv("LONG_TESTS"))
			step = ONE_OF;
		if (failures % TELL)
			continue;
		printf("# %s: allocation %u\n", call->name, nth);
		fflush(stdout);
	}
	printf("# %s: %u failures, of about %u allocations\n", call->name,
	       failures, nth - 1);
}

static void fail_each(struct world *w, const struct call *calls)
{
	for (; calls->name; calls++)
		fail_each_of(w, calls);
}

static void world_up(struct world *w)
{
	static const struct pair_config config, datagrams = {
		.type = IBV_QPT_UD,
	};
	struct ibv_srq_init_attr srq = { .attr = { .max_wr = 10, .max_sge = 1 } };

	failing_up();
	memset(w, 0, sizeof(*w));
	host_open(&w->host, 0);
	host_open(&w->peer, 1);
	connect_ends(&w->c, &w->host, &w->d, &w->peer, &config);
	end_create(&w->a, &w->host, &config);
	end_create(&w->b, &w->peer, &config);
	CHECK_EQ(to_init(w, NULL), 0);
	end_up(&w->datagrams, &w->host, &datagrams);
	w->channel = ibv_create_comp_channel(w->host.ctx);
	w->cq = ibv_create_cq(w->host.ctx, 100, NULL, w->channel, 0);
	w->srq = ibv_create_srq(w->host.pd, &srq);
	CHECK(w->channel && w->cq && w->srq);
	buf_get(&w->local, &w->host, MEM, ODP_ACCESS);
	buf_get(&w->remote, &w->peer, MEM, ODP_ACCESS);
	w->mem = mmap(NULL, MEM, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(w->mem != MAP_FAILED);
	w->mr = ibv_reg_mr(w->host.pd, w->mem, MEM, ODP_ACCESS);
	CHECK(w->mr);
	w->sock = socket(AF_NETLINK, SOCK_RAW, NETLINK_RDMA);
	CHECK(w->sock >= 0);
}

static void fail_all(const struct call *calls)
{
	static struct world w;
	struct resources before;

	world_up(&w);
	resources_get(&before);
	fail_each(&w, calls);
	resources_check(&before);
	check_works();
}

static void fail_objects(void)
{
	fail_all(objects);
}

static void fail_memory(void)
{
	fail_all(memory);
}

static void fail_states(void)
{
	fail_all(states);
}

static void fail_links(void)
{
	command("ip link add " NETDEV " type dummy");
	fail_all(links);
	command("ip link delete " NETDEV);
}

static int load_module(struct world *w, void **made)
{
	return syscall(SYS_finit_module, w->module, "", 0) ? errno : 0;
}

static void unload_module(struct world *w, void *made)
{
	command("rmmod rdma_rxe");
}

static void fail_load(void)
{
	static const struct call calls[] = {
		{ "load the module", load_module, unload_module },
		{}
	};
	const char *load = load_command(), *ko = getenv("RXE_KO");
	struct world w = {};

	if (!ko)
		skip("RXE_KO is not set");
	failing_up();
	w.module = open(ko, O_RDONLY);
	CHECK(w.module >= 0);
	two_hosts("down");
	command("rmmod rdma_rxe");
	fail_each(&w, calls);
	command("%s", load);
	two_hosts("up");
	check_works();
}

/* a write or a read of memory whose page is missing at the responder */
static void without_packets(enum ibv_wr_opcode opcode)
{
	/* no packet is repeated while none can be made */
	const struct pair_config config = { .timeout = 18 };
	unsigned long long counted[2];
	static char page[PAGE_BYTES];
	struct buf local, remote;
	struct pair pair;
	int uffd;

	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], PAGE_BYTES, ALL_ACCESS);
	buf_get(&remote, &pair.hosts[1], PAGE_BYTES, ODP_ACCESS);
	uffd = miss_pages(remote.addr, PAGE_BYTES);
	counted[0] = counter_of(0, "send_no_memory");
	counted[1] = counter_of(1, "send_no_memory");
	if (opcode == IBV_WR_RDMA_READ) {
		post_one(&pair.a, opcode, buf_sge(&local, 0, PAGE_BYTES),
			 &remote, 0);
		CHECK(userfaultfd_wanted(uffd) == remote.addr);
		fail_packets(true);
		userfaultfd_copy(uffd, remote.addr, page);
		UNTIL(counter_of(1, "send_no_memory") > counted[1]);
		fail_packets(false);
		wait_ok(pair.a.send_cq);
	} else {
		fail_packets(true);
		post_one(&pair.a, opcode, buf_sge(&local, 0, PAGE_BYTES),
			 &remote, 0);
		wait_status(pair.a.send_cq, IBV_WC_LOC_QP_OP_ERR);
		fail_packets(false);
		UNTIL(counter_of(0, "send_no_memory") > counted[0] + 1);
	}
	close(uffd);
	buf_put(&local);
	buf_put(&remote);
	pair_down(&pair);
	check_works();
}

static void fail_requests(void)
{
	without_packets(IBV_WR_RDMA_WRITE);
}

static void fail_responses(void)
{
	without_packets(IBV_WR_RDMA_READ);
}

static const struct test tests[] = {
	{ "objects whose memory is not there", fail_objects, 600 },
	{ "regions whose memory is not there", fail_memory, 600 },
	{ "states and traffic without memory", fail_states, 600 },
	{ "a request without memory for its packet", fail_requests },
	{ "a read's data without memory for its packets", fail_responses },
	{ "links whose memory is not there", fail_links, 3600 },
	{ "the module without memory", fail_load, 600 },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
