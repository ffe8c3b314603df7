/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Two hosts, both opened by one process, and queue pairs between them, of the RC
 * service by default. All functions CHECK() their success: a test goes on only
 * when it worked.
 */
#ifndef PAIR_H
#define PAIR_H

#include <infiniband/verbs.h>
#include <string.h>

#include "ktap_test.h"

#define ALL_ACCESS	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | \
			 IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC)
#define UC_ACCESS	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE)
#define ODP_ACCESS	(ALL_ACCESS | IBV_ACCESS_ON_DEMAND)

/**
 * host_tests - run_tests() with the two hosts there
 *
 * Makes them by two_hosts.sh if they are not there, and then removes them at the
 * end. Skips all tests if the hosts cannot be made.
 */
void host_tests(const struct test *tests, char **names) __attribute__((noreturn));

/* the command that loads the module again; skips if it must not be unloaded */
const char *load_command(void);
/* run two_hosts.sh; CHECK()s that it worked */
void two_hosts(const char *what);
/* make the link rxe0 or rxe1 again, which was removed */
void make_link(int which);
/* remove rxe0, which nobody uses, and make it again: how long the removal takes, in ms */
unsigned int remove_once(void);
/*
 * whether the removal of a device, which @began at that now_ms(), has taken two
 * seconds at most, times limit_factor(), more than that takes @alone: it waits for no
 * program's memory
 */
bool removed_in_time(unsigned long long began, unsigned int alone);
/* tries that tests of this have, as a host that stands still takes time, too */
#define REMOVAL_TRIES	3
/* the MTU of both hosts' netdevs */
void set_mtu(unsigned int mtu);
/* have both hosts' netdevs send through tc-netem; NULL: without it */
void set_netem(const char *how);
/* the same if the kernel may lack netem; not 0 then */
int try_netem(const char *how);
#define ALL_TOGETHER	65535	/* the maximum */
/* packets per GSO packet on both hosts' netdevs: 1, or ALL_TOGETHER */
void set_together(unsigned int packets);

/**
 * struct host - one host's device
 * @ctx: of the device
 * @pd: one
 * @gids: the RoCE v2 GIDs, of IPv4 and of IPv6
 */
struct host {
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct host_gid {
		union ibv_gid gid;
		int index;
	} gids[2];
};

/* hosta is 0, hostb 1 */
void host_open(struct host *host, int which);
/* any device; its @gids are the caller's to fill */
void host_open_device(struct host *host, const char *name);
void host_close(struct host *host);

/**
 * struct pair_config - how the queue pairs are configured; zero is the default
 * @type: of the service: RC, UC or UD (RC)
 * @srq: for what they receive
 * @qkey: of datagrams
 * @mtu: path MTU (IBV_MTU_1024)
 * @ipv6: the addresses
 * @depth: of both queues (64)
 * @max_sge: of both queues (4)
 * @inline_size: bytes
 * @no_access: the queue pair grants nothing to its peer
 * @rd_atomic: outstanding reads and atomics (4)
 * @timeout: local ACK timeout, as coded (16: 268 ms); more by LIMIT_FACTOR
 * @no_timeout: the ACK timer does not run
 * @no_retry: retry_cnt is 0, not 7
 * @rnr_retry: plus one, so that zero is the default (7: for ever)
 * @rnr_timer: min_rnr_timer, as coded (1: 10 us)
 * @signal_all: every send completes with a CQE
 * @psn: of both (a number that wraps soon)
 * @channel: completion channels
 */
struct pair_config {
	enum ibv_qp_type type;
	struct ibv_srq *srq;
	unsigned int qkey;
	enum ibv_mtu mtu;
	bool ipv6;
	unsigned int depth;
	unsigned int max_sge;
	unsigned int inline_size;
	bool no_access;
	unsigned int rd_atomic;
	unsigned int timeout;
	bool no_timeout;
	bool no_retry;
	unsigned int rnr_retry;
	unsigned int rnr_timer;
	bool signal_all;
	unsigned int psn;
	bool channel;
};

/**
 * struct end - one end of a connection
 * @host: where it is
 * @qp: the queue pair
 * @send_cq: for what it sends
 * @recv_cq: for what it receives
 * @send_channel: of @send_cq, if wanted
 * @recv_channel: of @recv_cq, if wanted
 */
struct end {
	struct host *host;
	struct ibv_qp *qp;
	struct ibv_cq *send_cq;
	struct ibv_cq *recv_cq;
	struct ibv_comp_channel *send_channel;
	struct ibv_comp_channel *recv_channel;
};

struct pair {
	struct host hosts[2];
	struct end a;
	struct end b;
};

/* both hosts, and a connection between them */
void pair_up(struct pair *pair, const struct pair_config *config);
void pair_down(struct pair *pair);
/* another connection between the hosts, and its end */
void connect_ends(struct end *a, struct host *host_a, struct end *b,
		  struct host *host_b, const struct pair_config *config);
void end_destroy(struct end *end);

/* the steps of connect_ends() */
void end_create(struct end *end, struct host *host,
		const struct pair_config *config);
void end_to_init(struct end *end, const struct pair_config *config);
/* the same if it may be refused; returns an errno */
int end_try_init(struct end *end, const struct pair_config *config);
void end_to_rtr(struct end *end, unsigned int peer_qpn,
		const union ibv_gid *peer_gid, const struct pair_config *config);
void end_to_rts(struct end *end, const struct pair_config *config);
/* create an end and take it to RTS, without a peer: of datagrams */
void end_up(struct end *end, struct host *host,
	    const struct pair_config *config);
/* the same if the queue pair may have failed since; returns an errno */
int end_try_rts(struct end *end, const struct pair_config *config);
void end_to_error(struct end *end);
void end_to_reset(struct end *end);
enum ibv_qp_state end_state(struct end *end);

/* the next asynchronous event of a host, and CHECK() its type */
enum ibv_event_type next_async_event(struct host *host);
void expect_async_event(struct host *host, enum ibv_event_type type);
/* no asynchronous event is there */
void no_async_event(struct host *host);

/**
 * struct buf - registered memory
 * @addr: anonymous pages, none populated, or what buf_reg() was given
 * @len: bytes
 * @access: the registration's flags
 * @mr: for all of it
 */
struct buf {
	unsigned char *addr;
	size_t len;
	int access;
	struct ibv_mr *mr;
};

void buf_get(struct buf *buf, struct host *host, size_t len,
	     int access);
/* register memory that exists; unmapping @addr is left to the caller */
void buf_reg(struct buf *buf, struct host *host, void *addr,
	     size_t len, int access);
void buf_put(struct buf *buf);
/* discard the pages of on-demand memory: the next access faults */
void buf_drop(struct buf *buf);
struct ibv_sge buf_sge(const struct buf *buf, size_t offset, size_t len);

/* a pattern in which each byte depends on its offset and on the seed */
void fill_pattern(void *addr, size_t len, unsigned int seed);
/* CHECK() all bytes, and show the first that differs */
void check_pattern(const void *addr, size_t len, unsigned int seed);
/* CHECK() that each byte is @value */
void check_bytes(const void *addr, size_t len, unsigned char value);

void post_send(struct end *end, struct ibv_send_wr *wr);
void post_recv(struct end *end, const struct buf *buf, size_t offset,
	       size_t len, uint64_t wr_id);

/* one signalled operation with one SGE, its remote side @remote + @offset */
void post_one(struct end *end, enum ibv_wr_opcode opcode, struct ibv_sge sge,
	      const struct buf *remote, size_t offset);

/* the next completion; hanging for half a minute is a failure */
struct ibv_wc wait_cqe(struct ibv_cq *cq);
/* the next completion, which must have succeeded */
struct ibv_wc wait_ok(struct ibv_cq *cq);
/* the next completion, which must have this status */
struct ibv_wc wait_status(struct ibv_cq *cq, enum ibv_wc_status status);
/* no completion is there */
void check_idle(struct ibv_cq *cq);
/* post, as of post_one(), and wait for its success */
void do_one(struct end *end, enum ibv_wr_opcode opcode, struct ibv_sge sge,
	    const struct buf *remote, size_t offset);

/**
 * struct rereg - a re-registration
 * @flags: enum ibv_rereg_mr_flags, which of the others change
 * @addr: of the memory
 * @len: bytes
 * @access: enum ibv_access_flags
 * @pd: the protection domain
 */
struct rereg {
	int flags;
	void *addr;
	size_t len;
	int access;
	struct ibv_pd *pd;
};

/* re-register: librxe has no call for it, so send the command. Returns an errno */
int try_rereg_mr(struct ibv_mr *mr, const struct rereg *again);
/* ibv_advise_mr(), which librxe has from rdma-core 65 on. Returns an errno */
int try_advise_mr(struct ibv_pd *pd, unsigned int advice, uint32_t flags,
		  const struct ibv_sge *sges, uint32_t num);

/* a write into new memory arrives; @access is of both sides' memory */
void check_arrives(struct end *from, struct end *to, int access);
/* a connection of its own between the hosts moves data */
void check_works(void);

/**
 * struct resources - the objects that the devices hold
 * @text: the counts, as "rdma res show" tells them
 */
struct resources {
	char text[400];
};

void resources_get(struct resources *resources);
/* wait until there are as many as @before: some objects end late */
void resources_check(const struct resources *before);

/* one of the port's hardware counters */
unsigned long long counter_at(const char *device, const char *name);
/* the same, of hosta or hostb */
unsigned long long counter_of(int which, const char *name);
/* the sum of both hosts' */
unsigned long long counter_sum(const char *name);

#endif
