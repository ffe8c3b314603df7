// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <errno.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "netns.h"
#include "pair.h"

#define WORKS_SIZE	65536
#define REMOVAL_MS	2000
/* how long to poll without a sleep, in ms */
#define BUSY_MS		10

static const char *const device_names[] = { "rxe0", "rxe1" };

static bool hosts_are_ours;

static int run_two_hosts(const char *what)
{
	char path[PATH_MAX] = "", command[PATH_MAX + 40];

	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
		return -1;
	snprintf(command, sizeof(command), "'%s/../lib/two_hosts.sh' %s >/dev/null",
		 dirname(path), what);
	return system(command);
}

static bool have_devices(void)
{
	char path[100];
	int i;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/sys/class/infiniband/%s",
			 device_names[i]);
		if (access(path, F_OK))
			return false;
	}
	return true;
}

static void remove_hosts(void)
{
	if (hosts_are_ours)
		run_two_hosts("down");
}

void host_tests(const struct test *tests, char **names)
{
	if (!have_devices()) {
		hosts_are_ours = true;
		atexit(remove_hosts);
		if (run_two_hosts("up")) {
			printf("1..0 # SKIP no two hosts: needs root and rdma_rxe\n");
			exit(4);
		}
	}
	run_tests(tests, names);
}

void two_hosts(const char *what)
{
	CHECK_EQ(run_two_hosts(what), 0);
}

void make_link(int which)
{
	link_add(which ? "hostb" : "hosta", device_names[which],
		 which ? "vb" : "va");
}

unsigned int remove_once(void)
{
	unsigned long long began = now_ms();
	unsigned int took;

	command("rdma link delete rxe0");
	took = now_ms() - began;
	make_link(0);
	return took;
}

bool removed_in_time(unsigned long long began, unsigned int alone)
{
	unsigned int took = now_ms() - began;

	printf("# removed within %u ms, alone %u ms\n", took, alone);
	return took <= alone + REMOVAL_MS * limit_factor();
}

void set_mtu(unsigned int mtu)
{
	char what[40];

	snprintf(what, sizeof(what), "mtu %u", mtu);
	two_hosts(what);
}

void set_together(unsigned int packets)
{
	char what[40];

	snprintf(what, sizeof(what), "together %u", packets);
	two_hosts(what);
}

int try_netem(const char *how)
{
	char what[200];

	snprintf(what, sizeof(what), "netem %s", how ? how : "");
	return run_two_hosts(what);
}

void set_netem(const char *how)
{
	CHECK_EQ(try_netem(how), 0);
}

/* Only this driver's devices have the attribute "parent". */
static void check_only_our_links(void)
{
	glob_t found;
	size_t i;

	CHECK_EQ(glob("/sys/class/infiniband/*/parent", 0, NULL, &found), 0);
	for (i = 0; i < found.gl_pathc; i++)
		if (!strstr(found.gl_pathv[i], "/rxe0/") &&
		    !strstr(found.gl_pathv[i], "/rxe1/"))
			skip("there are other links, and they would be lost");
	globfree(&found);
}

const char *load_command(void)
{
	static char insmod[300];
	const char *ko = getenv("RXE_KO");

	check_only_our_links();
	if (ko) {
		snprintf(insmod, sizeof(insmod), "insmod '%s'", ko);
		return insmod;
	}
	if (system("modinfo -n rdma_rxe >/dev/null 2>&1"))
		skip("modprobe finds no rdma_rxe, and RXE_KO is not set");
	if (!system("grep -q O /sys/module/rdma_rxe/taint") &&
	    !system("modinfo -F intree rdma_rxe | grep -q Y"))
		skip("modprobe finds the kernel's own rdma_rxe, and RXE_KO is not set");
	return "modprobe rdma_rxe";
}

static bool is_mapped_ipv4(const union ibv_gid *gid)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(gid->raw, prefix, sizeof(prefix));
}

static bool is_link_local(const union ibv_gid *gid)
{
	return gid->raw[0] == 0xfe && (gid->raw[1] & 0xc0) == 0x80;
}

static void find_gids(struct host *host)
{
	struct ibv_gid_entry entries[32];
	ssize_t n, i;
	int family;

	host->gids[0].index = -1;
	host->gids[1].index = -1;
	n = ibv_query_gid_table(host->ctx, entries, 32, 0);
	CHECK(n > 0);
	for (i = 0; i < n; i++) {
		if (entries[i].gid_type != IBV_GID_TYPE_ROCE_V2 ||
		    is_link_local(&entries[i].gid))
			continue;
		family = is_mapped_ipv4(&entries[i].gid) ? 0 : 1;
		host->gids[family].gid = entries[i].gid;
		host->gids[family].index = entries[i].gid_index;
	}
	CHECK(host->gids[0].index >= 0);
	CHECK(host->gids[1].index >= 0);
}

void host_open_device(struct host *host, const char *name)
{
	struct ibv_device **list;
	int n, i;

	memset(host, 0, sizeof(*host));
	list = ibv_get_device_list(&n);
	CHECK(list);
	for (i = 0; i < n; i++)
		if (!strcmp(ibv_get_device_name(list[i]), name))
			host->ctx = ibv_open_device(list[i]);
	ibv_free_device_list(list);
	CHECK(host->ctx);
	host->pd = ibv_alloc_pd(host->ctx);
	CHECK(host->pd);
}

void host_open(struct host *host, int which)
{
	host_open_device(host, device_names[which]);
	find_gids(host);
}

void host_close(struct host *host)
{
	CHECK_EQ(ibv_dealloc_pd(host->pd), 0);
	CHECK_EQ(ibv_close_device(host->ctx), 0);
}

static unsigned int or(unsigned int value, unsigned int otherwise)
{
	return value ? value : otherwise;
}

static struct ibv_cq *create_cq(struct host *host, int depth,
				struct ibv_comp_channel **channel, bool want)
{
	struct ibv_cq *cq;

	*channel = NULL;
	if (want) {
		*channel = ibv_create_comp_channel(host->ctx);
		CHECK(*channel);
	}
	cq = ibv_create_cq(host->ctx, depth, NULL, *channel, 0);
	CHECK(cq);
	return cq;
}

void end_create(struct end *end, struct host *host,
		const struct pair_config *config)
{
	unsigned int depth = or(config->depth, 64);
	struct ibv_qp_init_attr attr = {
		.cap = {
			.max_send_wr = depth,
			.max_recv_wr = depth,
			.max_send_sge = or(config->max_sge, 4),
			.max_recv_sge = or(config->max_sge, 4),
			.max_inline_data = config->inline_size,
		},
		.qp_type = or(config->type, IBV_QPT_RC),
		.srq = config->srq,
		.sq_sig_all = config->signal_all,
	};

	end->host = host;
	end->send_cq = create_cq(host, depth + 1, &end->send_channel,
				 config->channel);
	end->recv_cq = create_cq(host, depth + 1, &end->recv_channel,
				 config->channel);
	attr.send_cq = end->send_cq;
	attr.recv_cq = end->recv_cq;
	end->qp = ibv_create_qp(host->pd, &attr);
	CHECK(end->qp);
}

int end_try_init(struct end *end, const struct pair_config *config)
{
	int access = end->qp->qp_type == IBV_QPT_UC ? UC_ACCESS :
						      ALL_ACCESS;
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qp_access_flags = config->no_access ? 0 : access,
		.qkey = config->qkey,
	};

	return ibv_modify_qp(end->qp, &attr,
			     IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
			     (end->qp->qp_type == IBV_QPT_UD ?
				      IBV_QP_QKEY : IBV_QP_ACCESS_FLAGS));
}

void end_to_init(struct end *end, const struct pair_config *config)
{
	CHECK_EQ(end_try_init(end, config), 0);
}

struct masks {
	int to_rtr;
	int to_rts;
};

/* the attributes that a service has */
static struct masks masks_of(const struct end *end)
{
	struct masks masks = {
		.to_rtr = IBV_QP_STATE,
		.to_rts = IBV_QP_STATE | IBV_QP_SQ_PSN,
	};

	if (end->qp->qp_type != IBV_QPT_UD)
		masks.to_rtr |= IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
				IBV_QP_RQ_PSN;
	if (end->qp->qp_type == IBV_QPT_RC) {
		masks.to_rtr |= IBV_QP_MAX_DEST_RD_ATOMIC |
				IBV_QP_MIN_RNR_TIMER;
		masks.to_rts |= IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
				IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC;
	}
	return masks;
}

static unsigned int psn_of(const struct pair_config *config)
{
	return or(config->psn, 0xfffff0);
}

void end_to_rtr(struct end *end, unsigned int peer_qpn,
		const union ibv_gid *peer_gid, const struct pair_config *config)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = or(config->mtu, IBV_MTU_1024),
		.dest_qp_num = peer_qpn,
		.rq_psn = psn_of(config),
		.max_dest_rd_atomic = or(config->rd_atomic, 4),
		.min_rnr_timer = or(config->rnr_timer, 1),
		.ah_attr = {
			.is_global = 1,
			.port_num = 1,
			.grh = {
				.dgid = *peer_gid,
				.sgid_index =
					end->host->gids[config->ipv6].index,
				.hop_limit = 64,
			},
		},
	};
	int tries = 0, err;

	/*
	 * The core gives a neighbour one second to answer. A netdev that came
	 * up just now may lose the question, which is repeated after one second.
	 */
	do {
		err = ibv_modify_qp(end->qp, &attr, masks_of(end).to_rtr);
	} while (err == ETIMEDOUT && tries++ < 10);
	CHECK_EQ(err, 0);
}

/*
 * The ACK timeout, doubled or quadrupled for each doubling of limit_factor(), up
 * to the maximum that can be coded.
 */
static unsigned int timeout_of(const struct pair_config *config)
{
	unsigned int factor, timeout, doublings = 0;

	if (config->no_timeout)
		return 0;
	for (factor = limit_factor(); factor > 1; factor /= 2)
		doublings++;
	timeout = config->timeout ? config->timeout + doublings :
				    16 + 2 * doublings;
	return timeout < 31 ? timeout : 31;
}

int end_try_rts(struct end *end, const struct pair_config *config)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.timeout = timeout_of(config),
		.retry_cnt = config->no_retry ? 0 : 7,
		.rnr_retry = config->rnr_retry ? config->rnr_retry - 1 : 7,
		.sq_psn = psn_of(config),
		.max_rd_atomic = or(config->rd_atomic, 4),
	};

	return ibv_modify_qp(end->qp, &attr, masks_of(end).to_rts);
}

void end_to_rts(struct end *end, const struct pair_config *config)
{
	CHECK_EQ(end_try_rts(end, config), 0);
}

void end_up(struct end *end, struct host *host,
	    const struct pair_config *config)
{
	end_create(end, host, config);
	end_to_init(end, config);
	end_to_rtr(end, 0, &host->gids[0].gid, config);
	end_to_rts(end, config);
}

void end_to_error(struct end *end)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_ERR };

	CHECK_EQ(ibv_modify_qp(end->qp, &attr, IBV_QP_STATE), 0);
}

void end_to_reset(struct end *end)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };

	CHECK_EQ(ibv_modify_qp(end->qp, &attr, IBV_QP_STATE), 0);
}

enum ibv_qp_state end_state(struct end *end)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	CHECK_EQ(ibv_query_qp(end->qp, &attr, IBV_QP_STATE, &init), 0);
	return attr.qp_state;
}

void connect_ends(struct end *a, struct host *host_a, struct end *b,
		  struct host *host_b, const struct pair_config *config)
{
	end_create(a, host_a, config);
	end_create(b, host_b, config);
	end_to_init(a, config);
	end_to_init(b, config);
	end_to_rtr(a, b->qp->qp_num, &host_b->gids[config->ipv6].gid, config);
	end_to_rtr(b, a->qp->qp_num, &host_a->gids[config->ipv6].gid, config);
	end_to_rts(a, config);
	end_to_rts(b, config);
}

static void destroy_cq(struct ibv_cq *cq, struct ibv_comp_channel *channel)
{
	CHECK_EQ(ibv_destroy_cq(cq), 0);
	if (channel)
		CHECK_EQ(ibv_destroy_comp_channel(channel), 0);
}

void end_destroy(struct end *end)
{
	CHECK_EQ(ibv_destroy_qp(end->qp), 0);
	destroy_cq(end->send_cq, end->send_channel);
	destroy_cq(end->recv_cq, end->recv_channel);
}

void pair_up(struct pair *pair, const struct pair_config *config)
{
	host_open(&pair->hosts[0], 0);
	host_open(&pair->hosts[1], 1);
	connect_ends(&pair->a, &pair->hosts[0], &pair->b, &pair->hosts[1],
		     config);
}

void pair_down(struct pair *pair)
{
	end_destroy(&pair->a);
	end_destroy(&pair->b);
	host_close(&pair->hosts[0]);
	host_close(&pair->hosts[1]);
}

void buf_reg(struct buf *buf, struct host *host, void *addr,
	     size_t len, int access)
{
	buf->addr = addr;
	buf->len = len;
	buf->access = access;
	buf->mr = ibv_reg_mr(host->pd, addr, len, access);
	CHECK(buf->mr);
}

static int poll_event(struct host *host, int ms)
{
	struct pollfd pollfd = { .fd = host->ctx->async_fd, .events = POLLIN };

	return poll(&pollfd, 1, ms);
}

enum ibv_event_type next_async_event(struct host *host)
{
	struct ibv_async_event event;

	CHECK_EQ(poll_event(host, HUNG_MS * limit_factor()), 1);
	CHECK_EQ(ibv_get_async_event(host->ctx, &event), 0);
	ibv_ack_async_event(&event);
	return event.event_type;
}

void expect_async_event(struct host *host, enum ibv_event_type type)
{
	CHECK_EQ(next_async_event(host), type);
}

void no_async_event(struct host *host)
{
	CHECK_EQ(poll_event(host, 0), 0);
}

void buf_get(struct buf *buf, struct host *host, size_t len,
	     int access)
{
	void *addr = mmap(NULL, len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(addr != MAP_FAILED);
	buf_reg(buf, host, addr, len, access);
}

void buf_put(struct buf *buf)
{
	CHECK_EQ(ibv_dereg_mr(buf->mr), 0);
	CHECK_EQ(munmap(buf->addr, buf->len), 0);
}

void buf_drop(struct buf *buf)
{
	if (buf->access & IBV_ACCESS_ON_DEMAND)
		CHECK_EQ(madvise(buf->addr, buf->len, MADV_DONTNEED), 0);
}

struct ibv_sge buf_sge(const struct buf *buf, size_t offset, size_t len)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)buf->addr + offset,
		.length = len,
		.lkey = buf->mr->lkey,
	};

	return sge;
}

#define WORD	sizeof(uint64_t)

/*
 * The word that byte @i begins: byte by byte, a test's patterns would take an emulated
 * guest seconds. Multiplying mixes the low bits upward, shifting brings them down again;
 * the first word of seed 0 is not to be zero.
 */
static uint64_t pattern(size_t i, unsigned int seed)
{
	uint64_t x = i / WORD + 1 + ((uint64_t)seed << 32);

	x *= 0x9e3779b97f4a7c15ULL;
	x = (x ^ x >> 32) * 0x9e3779b97f4a7c15ULL;
	return x ^ x >> 32;
}

/* of the last word there may be less */
static void copy_word(void *to, const void *from, size_t left)
{
	if (left >= WORD)
		memcpy(to, from, WORD);
	else
		memcpy(to, from, left);
}

void fill_pattern(void *addr, size_t len, unsigned int seed)
{
	unsigned char *p = addr;
	uint64_t word;
	size_t i;

	for (i = 0; i < len; i += WORD) {
		word = pattern(i, seed);
		copy_word(p + i, &word, len - i);
	}
}

static void show_difference(size_t i, unsigned char is, unsigned char expected)
{
	printf("# byte %zu is %#x, expected %#x\n", i, is, expected);
	fail(__FILE__, __LINE__, "data is right");
}

/* in words that differ, the first of which is byte @i: memory may have changed since */
static void find_difference(size_t i, const unsigned char *is,
			    const unsigned char *expected)
{
	for (; *is == *expected; i++, is++, expected++)
		;
	show_difference(i, *is, *expected);
}

void check_pattern(const void *addr, size_t len, unsigned int seed)
{
	const unsigned char *p = addr;
	uint64_t is, expected;
	size_t i;

	for (i = 0; i < len; i += WORD) {
		expected = pattern(i, seed);
		is = expected;
		copy_word(&is, p + i, len - i);
		if (is != expected)
			find_difference(i, (unsigned char *)&is,
					(unsigned char *)&expected);
	}
}

void check_bytes(const void *addr, size_t len, unsigned char value)
{
	const unsigned char *p = addr;
	size_t i;

	if (!len || (*p == value && !memcmp(p, p + 1, len - 1)))
		return;
	for (i = 0; i < len; i++)
		if (p[i] != value)
			show_difference(i, p[i], value);
	/* the memory has changed since */
	fail(__FILE__, __LINE__, "data is right at the first look");
}

void post_send(struct end *end, struct ibv_send_wr *wr)
{
	struct ibv_send_wr *bad;

	CHECK_EQ(ibv_post_send(end->qp, wr, &bad), 0);
}

void post_recv(struct end *end, const struct buf *buf, size_t offset,
	       size_t len, uint64_t wr_id)
{
	struct ibv_sge sge = buf_sge(buf, offset, len);
	struct ibv_recv_wr wr = {
		.wr_id = wr_id,
		.sg_list = &sge,
		.num_sge = 1,
	}, *bad;

	CHECK_EQ(ibv_post_recv(end->qp, &wr, &bad), 0);
}

void post_one(struct end *end, enum ibv_wr_opcode opcode, struct ibv_sge sge,
	      const struct buf *remote, size_t offset)
{
	struct ibv_send_wr wr = {
		.wr_id = 0x1234,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
	};

	if (remote) {
		wr.wr.rdma.remote_addr = (uintptr_t)remote->addr + offset;
		wr.wr.rdma.rkey = remote->mr->rkey;
	}
	post_send(end, &wr);
}

struct ibv_wc wait_cqe(struct ibv_cq *cq)
{
	unsigned long long began = now_ms(), now;
	unsigned long long end = began + HUNG_MS * limit_factor();
	struct ibv_wc wc;
	int n;

	while (!(n = ibv_poll_cq(cq, 1, &wc))) {
		now = now_ms();
		CHECK(now < end);
		if (now < began + BUSY_MS)
			sched_yield();
		else
			sleep_ms(1);
	}
	CHECK_EQ(n, 1);
	return wc;
}

struct ibv_wc wait_status(struct ibv_cq *cq, enum ibv_wc_status status)
{
	struct ibv_wc wc = wait_cqe(cq);

	CHECK_EQ(wc.status, status);
	return wc;
}

struct ibv_wc wait_ok(struct ibv_cq *cq)
{
	return wait_status(cq, IBV_WC_SUCCESS);
}

void check_idle(struct ibv_cq *cq)
{
	struct ibv_wc wc;

	CHECK_EQ(ibv_poll_cq(cq, 1, &wc), 0);
}

void do_one(struct end *end, enum ibv_wr_opcode opcode, struct ibv_sge sge,
	    const struct buf *remote, size_t offset)
{
	post_one(end, opcode, sge, remote, offset);
	wait_ok(end->send_cq);
}

/* not by write(), which the core refuses to a forked child */
int try_rereg_mr(struct ibv_mr *mr, const struct rereg *again)
{
	struct ib_uverbs_rereg_mr_resp answer = {};
	struct ib_uverbs_rereg_mr request = {
		.mr_handle = mr->handle,
		.flags = again->flags,
		.start = (uintptr_t)again->addr,
		.length = again->len,
		.hca_va = (uintptr_t)again->addr,
		.pd_handle = again->pd ? again->pd->handle : 0,
		.access_flags = again->access,
	};
	struct {
		struct ib_uverbs_ioctl_hdr hdr;
		struct ib_uverbs_attr attrs[3];
	} cmd = {
		.hdr = {
			.length = sizeof(cmd),
			.object_id = UVERBS_OBJECT_DEVICE,
			.method_id = UVERBS_METHOD_INVOKE_WRITE,
			.num_attrs = NUM(cmd.attrs),
			.driver_id = RDMA_DRIVER_RXE,
		},
		.attrs = {
			{ .attr_id = UVERBS_ATTR_WRITE_CMD, .len = 8,
			  .flags = UVERBS_ATTR_F_MANDATORY,
			  .data = IB_USER_VERBS_CMD_REREG_MR },
			{ .attr_id = UVERBS_ATTR_CORE_IN,
			  .len = sizeof(request),
			  .flags = UVERBS_ATTR_F_MANDATORY,
			  .data = (uintptr_t)&request },
			{ .attr_id = UVERBS_ATTR_CORE_OUT,
			  .len = sizeof(answer),
			  .flags = UVERBS_ATTR_F_MANDATORY,
			  .data = (uintptr_t)&answer },
		},
	};

	if (ioctl(mr->context->cmd_fd, RDMA_VERBS_IOCTL, &cmd))
		return errno;

	mr->lkey = answer.lkey;
	mr->rkey = answer.rkey;
	return 0;
}

int try_advise_mr(struct ibv_pd *pd, unsigned int advice, uint32_t flags,
		  const struct ibv_sge *sges, uint32_t num)
{
	struct {
		struct ib_uverbs_ioctl_hdr hdr;
		struct ib_uverbs_attr attrs[4];
	} cmd = {
		.hdr = {
			.length = sizeof(cmd),
			.object_id = UVERBS_OBJECT_MR,
			.method_id = UVERBS_METHOD_ADVISE_MR,
			.num_attrs = NUM(cmd.attrs),
			.driver_id = RDMA_DRIVER_RXE,
		},
		.attrs = {
			{ .attr_id = UVERBS_ATTR_ADVISE_MR_PD_HANDLE,
			  .flags = UVERBS_ATTR_F_MANDATORY,
			  .data = pd->handle },
			{ .attr_id = UVERBS_ATTR_ADVISE_MR_ADVICE, .len = 8,
			  .flags = UVERBS_ATTR_F_MANDATORY, .data = advice },
			{ .attr_id = UVERBS_ATTR_ADVISE_MR_FLAGS, .len = 4,
			  .flags = UVERBS_ATTR_F_MANDATORY, .data = flags },
			{ .attr_id = UVERBS_ATTR_ADVISE_MR_SGE_LIST,
			  .len = num * sizeof(*sges),
			  .flags = UVERBS_ATTR_F_MANDATORY,
			  .data = (uintptr_t)sges },
		},
	};

	return ioctl(pd->context->cmd_fd, RDMA_VERBS_IOCTL, &cmd) ? errno : 0;
}

void check_arrives(struct end *from, struct end *to, int access)
{
	struct buf local, remote;

	buf_get(&local, from->host, WORKS_SIZE, access);
	buf_get(&remote, to->host, WORKS_SIZE, access);
	fill_pattern(local.addr, WORKS_SIZE, 5);
	do_one(from, IBV_WR_RDMA_WRITE, buf_sge(&local, 0, WORKS_SIZE), &remote,
	       0);
	check_pattern(remote.addr, WORKS_SIZE, 5);
	buf_put(&local);
	buf_put(&remote);
}

void check_works(void)
{
	struct pair_config config = {};
	struct pair pair;

	pair_up(&pair, &config);
	check_arrives(&pair.a, &pair.b, ODP_ACCESS);
	pair_down(&pair);
}

/* "3: rxe0: pd 0 cq 0 ...": the number is another with each link of that name */
void resources_get(struct resources *resources)
{
	char *to = resources->text, line[200], *name;
	FILE *pipe;
	int i;

	pipe = popen("rdma res show rxe0 && rdma res show rxe1", "r");
	CHECK(pipe);
	for (i = 0; i < 2; i++) {
		CHECK(fgets(line, sizeof(line), pipe));
		name = strstr(line, device_names[i]);
		CHECK(name);
		name[strcspn(name, "\n")] = 0;
		to = stpcpy(stpcpy(to, name), ". ");
	}
	CHECK_EQ(pclose(pipe), 0);
}

void resources_check(const struct resources *before)
{
	unsigned long long end = now_ms() + HUNG_MS * limit_factor();
	struct resources now;

	for (;;) {
		resources_get(&now);
		if (!strcmp(now.text, before->text))
			return;
		if (now_ms() > end)
			break;
		sleep_ms(50);
	}
	printf("# before: %s\n# now: %s\n", before->text, now.text);
	fail(__FILE__, __LINE__, "nothing is left behind");
}

unsigned long long counter_at(const char *device, const char *name)
{
	unsigned long long value;
	char path[200];
	FILE *file;

	/* the counters that are read may be up to 10 ms old */
	sleep_ms(20);
	snprintf(path, sizeof(path),
		 "/sys/class/infiniband/%s/ports/1/hw_counters/%s",
		 device, name);
	file = fopen(path, "r");
	CHECK(file);
	CHECK_EQ(fscanf(file, "%llu", &value), 1);
	fclose(file);
	return value;
}

unsigned long long counter_of(int which, const char *name)
{
	return counter_at(device_names[which], name);
}

unsigned long long counter_sum(const char *name)
{
	return counter_of(0, name) + counter_of(1, name);
}
