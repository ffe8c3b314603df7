// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The driver explains itself: by trace events, by details of "rdma resource", and by
 * dynamic debug, which says why a verb was refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "links.h"
#include "memory.h"
#include "pair.h"
#include "tracing.h"

#define EVENTS		TRACING "events/rdma_rxe/enable"
#define CONTROL		"/proc/dynamic_debug/control"
/* of the first packet of both ends */
#define PSN		0x123
/* as coded: 1 ms, for what has to fail in the end */
#define HASTY		8
/* as coded: 1.28 ms */
#define RNR_TIMER	14
#define SIZE		4096
/* connections that are made, and go */
#define GOING		30

/* the objects of all devices, as "rdma -j -dd resource show" tells them */
static char shown[1 << 20];

static void events_begin(void)
{
	trace_begin();
	trace_write(EVENTS, "1");
	trace_write(TRACING "trace", "");
}

static void events_end(void)
{
	trace_write(EVENTS, "0");
}

/* Is there this event, of a host's queue pair? */
static bool traced(int which, const char *event, unsigned int qpn,
		   const char *rest)
{
	char begin[100], line[200];

	snprintf(begin, sizeof(begin), " %s: dev=rxe%d qpn=%#x ", event, which,
		 qpn);
	snprintf(line, sizeof(line), "%s%s", begin, rest);
	return trace_lines(line, "\n");
}

/* One write of a page; @wrong: by a key that is not the region's. */
static void post_write(struct end *from, const struct buf *local,
		       const struct buf *remote, bool wrong)
{
	struct ibv_sge sge = buf_sge(local, 0, SIZE);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma.remote_addr = (uintptr_t)remote->addr,
		.wr.rdma.rkey = remote->mr->rkey ^ wrong,
	};

	post_send(from, &wr);
}

static void states(void)
{
	static const char *const steps[] = {
		"from=RESET to=INIT by=modify",
		"from=INIT to=RTR by=modify",
		"from=RTR to=RTS by=modify",
		"from=RTS to=ERR by=modify",
		"from=ERR to=RESET by=destroy",
	};
	struct pair_config config = {};
	unsigned int qpn, i;
	struct pair pair;

	events_begin();
	pair_up(&pair, &config);
	qpn = pair.a.qp->qp_num;
	end_to_error(&pair.a);
	pair_down(&pair);
	events_end();
	for (i = 0; i < NUM(steps); i++) {
		test_at("%s", steps[i]);
		CHECK(traced(0, "rxe_state", qpn, steps[i]));
	}
}

static void wrong_key(void)
{
	static const char nak[] = "syndrome=0x62 remote_access psn=0x123";
	struct pair_config config = { .psn = PSN };
	struct buf local, remote;
	unsigned int qpn_a, qpn_b;
	struct pair pair;

	events_begin();
	pair_up(&pair, &config);
	qpn_a = pair.a.qp->qp_num;
	qpn_b = pair.b.qp->qp_num;
	buf_get(&local, &pair.hosts[0], SIZE, ALL_ACCESS);
	buf_get(&remote, &pair.hosts[1], SIZE, ALL_ACCESS);
	post_write(&pair.a, &local, &remote, true);
	wait_status(pair.a.send_cq, IBV_WC_REM_ACCESS_ERR);
	CHECK(traced(1, "rxe_nak_sent", qpn_b, nak));
	CHECK(traced(1, "rxe_state", qpn_b, "from=RTS to=ERR by=error"));
	CHECK(traced(0, "rxe_nak_rcvd", qpn_a, nak));
	/* the completion comes before the state */
	UNTIL(traced(0, "rxe_state", qpn_a, "from=RTS to=ERR by=error"));
	events_end();
	buf_put(&local);
	buf_put(&remote);
	pair_down(&pair);
}

static void receiver_not_ready(void)
{
	static const char nak[] = "timer=14 psn=0x123";
	struct pair_config config = { .psn = PSN, .rnr_timer = RNR_TIMER };
	struct buf local, remote;
	unsigned int qpn_a, qpn_b;
	struct pair pair;

	events_begin();
	pair_up(&pair, &config);
	qpn_a = pair.a.qp->qp_num;
	qpn_b = pair.b.qp->qp_num;
	buf_get(&local, &pair.hosts[0], SIZE, ALL_ACCESS);
	buf_get(&remote, &pair.hosts[1], SIZE, ALL_ACCESS);
	post_one(&pair.a, IBV_WR_SEND, buf_sge(&local, 0, 1), NULL, 0);
	UNTIL(traced(0, "rxe_rnr_nak_rcvd", qpn_a, nak));
	CHECK(traced(1, "rxe_rnr_nak_sent", qpn_b, nak));
	UNTIL(traced(0, "rxe_retransmit", qpn_a,
		     "why=rnr first=0x123 last=0x123 retries=7"));
	events_end();
	post_recv(&pair.b, &remote, 0, SIZE, 1);
	wait_ok(pair.a.send_cq);
	wait_ok(pair.b.recv_cq);
	buf_put(&local);
	buf_put(&remote);
	pair_down(&pair);
}

static void receiver_never_ready(void)
{
	struct pair_config config = {
		.psn = PSN, .rnr_timer = RNR_TIMER, .rnr_retry = 1,
	};
	struct pair pair;
	struct buf local;

	events_begin();
	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], SIZE, ALL_ACCESS);
	post_one(&pair.a, IBV_WR_SEND, buf_sge(&local, 0, 1), NULL, 0);
	wait_status(pair.a.send_cq, IBV_WC_RNR_RETRY_EXC_ERR);
	CHECK(traced(0, "rxe_retries_exceeded", pair.a.qp->qp_num,
		     "why=rnr psn=0x123"));
	events_end();
	buf_put(&local);
	pair_down(&pair);
}

/* The first of two packets is lost; no timer runs, so that the second one shows it. */
static void lost_packet(void)
{
	static const char nak[] = "syndrome=0x60 psn_sequence psn=0x123";
	struct pair_config config = { .psn = PSN, .no_timeout = true };
	unsigned long long sent;
	struct buf local, remote;
	unsigned int qpn_a, qpn_b;
	struct pair pair;

	/* neighbours are resolved then */
	check_works();
	events_begin();
	pair_up(&pair, &config);
	qpn_a = pair.a.qp->qp_num;
	qpn_b = pair.b.qp->qp_num;
	buf_get(&local, &pair.hosts[0], SIZE, ALL_ACCESS);
	buf_get(&remote, &pair.hosts[1], SIZE, ALL_ACCESS);
	if (try_netem("loss 100%"))
		skip("no netem in this kernel");
	sent = counter_of(0, "sent_pkts");
	post_one(&pair.a, IBV_WR_RDMA_WRITE, buf_sge(&local, 0, 1), &remote, 0);
	UNTIL(counter_of(0, "sent_pkts") > sent);
	set_netem(NULL);
	post_one(&pair.a, IBV_WR_RDMA_WRITE, buf_sge(&local, 0, 1), &remote, 1);
	wait_ok(pair.a.send_cq);
	wait_ok(pair.a.send_cq);
	events_end();
	CHECK(traced(1, "rxe_drop", qpn_b,
		     "psn=0x124 counted=1 why=out_of_seq_request"));
	CHECK(traced(1, "rxe_nak_sent", qpn_b, nak));
	CHECK(traced(0, "rxe_nak_rcvd", qpn_a, nak));
	CHECK(traced(0, "rxe_retransmit", qpn_a,
		     "why=nak first=0x123 last=0x124 retries=6"));
	buf_put(&local);
	buf_put(&remote);
	pair_down(&pair);
}

/* Packets for a queue pair that is gone are dropped, until no retry is left. */
static void no_queue_pair(void)
{
	struct pair_config config = { .psn = PSN, .timeout = HASTY };
	struct host hosts[2];
	struct buf local, remote;
	unsigned int qpn_a, qpn_b;
	struct end a, b;
	int i;

	for (i = 0; i < 2; i++)
		host_open(&hosts[i], i);
	connect_ends(&a, &hosts[0], &b, &hosts[1], &config);
	qpn_a = a.qp->qp_num;
	qpn_b = b.qp->qp_num;
	buf_get(&local, &hosts[0], SIZE, ALL_ACCESS);
	buf_get(&remote, &hosts[1], SIZE, ALL_ACCESS);
	end_destroy(&b);
	events_begin();
	post_one(&a, IBV_WR_RDMA_WRITE, buf_sge(&local, 0, 1), &remote, 0);
	wait_status(a.send_cq, IBV_WC_RETRY_EXC_ERR);
	events_end();
	CHECK(traced(1, "rxe_drop", qpn_b,
		     "psn=0x123 counted=1 why=rcvd_no_qp"));
	CHECK(traced(0, "rxe_retransmit", qpn_a,
		     "why=timeout first=0x123 last=0x123 retries=6"));
	CHECK(traced(0, "rxe_retries_exceeded", qpn_a, "why=timeout psn=0x123"));
	buf_put(&local);
	buf_put(&remote);
	end_destroy(&a);
	for (i = 0; i < 2; i++)
		host_close(&hosts[i]);
}

/* A fault is followed from its park to its end: the memory, and whose it is. */
static void missing_page(void)
{
	struct pair_config config = {};
	char memory[100], line[200];
	struct buf local, remote;
	struct pair pair;

	events_begin();
	trace_write(TRACING "events/rdma_odp/enable", "1");
	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], SIZE, ALL_ACCESS);
	buf_get(&remote, &pair.hosts[1], SIZE, ODP_ACCESS);
	post_write(&pair.a, &local, &remote, false);
	wait_ok(pair.a.send_cq);
	trace_write(TRACING "events/rdma_odp/enable", "0");
	events_end();
	snprintf(memory, sizeof(memory), " pid=%d addr=%#lx ", getpid(),
		 (unsigned long)remote.addr);
	snprintf(line, sizeof(line), "rxe_park: dev=rxe1 qpn=%#x responder umem=",
		 pair.b.qp->qp_num);
	CHECK(trace_lines(line, memory));
	snprintf(line, sizeof(line), "rxe_resume: dev=rxe1 qpn=%#x umem=",
		 pair.b.qp->qp_num);
	CHECK(trace_lines(line, memory));
	CHECK(trace_lines("odp_fault: umem=", memory));
	CHECK(trace_lines("odp_publish: umem=", memory));
	buf_put(&local);
	buf_put(&remote);
	pair_down(&pair);
}

static void read_resource(const char *what)
{
	char command[80];
	FILE *pipe;
	size_t n;

	snprintf(command, sizeof(command), "rdma -j -dd resource show %s", what);
	pipe = popen(command, "r");
	CHECK(pipe);
	n = fread(shown, 1, sizeof(shown) - 1, pipe);
	shown[n] = 0;
	CHECK_EQ(pclose(pipe), 0);
}

/* The next object of "rdma -j" from @at on that has @text, ended by a NUL; or NULL. */
static char *object_with(char *at, const char *text)
{
	char *object, *end;

	for (object = strchr(at, '{'); object; object = strchr(end + 1, '{')) {
		end = strchr(object, '}');
		CHECK(end);
		*end = 0;
		if (strstr(object, text))
			return object;
	}
	return NULL;
}

/* A detail of an object, which not every version of rdma names alike; -1: none */
static long detail(const char *object, const char *name)
{
	static const char *const forms[] = { "\"drv_%s\":", "\"%s\":" };
	const char *found;
	char key[60];
	unsigned int i;

	for (i = 0; i < NUM(forms); i++) {
		snprintf(key, sizeof(key), forms[i], name);
		found = strstr(object, key);
		if (found)
			return strtol(found + strlen(key), NULL, 0);
	}
	return -1;
}

static void check_detail(const char *object, const char *name, long value)
{
	test_at("%s of %s", name, object);
	CHECK_EQ(detail(object, name), value);
}

static char *shown_qp(const struct end *end)
{
	char lqpn[40];
	char *object;

	read_resource("qp");
	snprintf(lqpn, sizeof(lqpn), "\"lqpn\":%u,", end->qp->qp_num);
	object = object_with(shown, lqpn);
	CHECK(object);
	return object;
}

/* The details of a queue pair in use, and of one that waits for a page. */
static void details_of_qps(void)
{
	/* the timeout is 4.3 s: nothing is repeated while the page is missing */
	struct pair_config config = { .depth = 7, .timeout = 20 };
	struct buf local, remote;
	struct pair pair;
	char *qp;
	int uffd;

	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], SIZE, ALL_ACCESS);
	buf_get(&remote, &pair.hosts[1], SIZE, ODP_ACCESS);
	memset(local.addr, 1, SIZE);
	post_recv(&pair.b, &remote, 0, SIZE, 1);
	uffd = miss_pages(remote.addr, SIZE);
	post_write(&pair.a, &local, &remote, false);
	CHECK(userfaultfd_wanted(uffd) == remote.addr);

	qp = shown_qp(&pair.b);
	check_detail(qp, "rq_size", 7);
	check_detail(qp, "rq_posted", 1);
	check_detail(qp, "responder_parked", 1);
	CHECK(detail(qp, "responder_backlog") > 0);
	/* the fault sleeps */
	check_detail(qp, "responder_borrows", 0);
	check_detail(qp, "requester_parked", 0);
	check_detail(qp, "sq_done", 0);
	qp = shown_qp(&pair.a);
	check_detail(qp, "sq_size", 7);
	check_detail(qp, "sq_done", 0);
	check_detail(qp, "sq_next", 1);
	check_detail(qp, "sq_fetched", 1);
	check_detail(qp, "sq_posted", 0);

	userfaultfd_copy(uffd, remote.addr, local.addr);
	wait_ok(pair.a.send_cq);
	qp = shown_qp(&pair.a);
	check_detail(qp, "sq_done", 1);
	check_detail(qp, "retries", 7);
	qp = shown_qp(&pair.b);
	check_detail(qp, "responder_parked", 0);
	check_detail(qp, "responder_backlog", 0);
	check_detail(qp, "abandoned_faults", 0);
	close(uffd);
	buf_put(&local);
	buf_put(&remote);
	pair_down(&pair);
}

static bool kernel_before(unsigned int major, unsigned int minor)
{
	struct utsname name;
	unsigned long first;
	char *dot;

	CHECK_EQ(uname(&name), 0);
	first = strtoul(name.release, &dot, 10);
	return first < major ||
	       (first == major && strtoul(dot + 1, NULL, 10) < minor);
}

/* An object of this process with these values, of which some have no number. */
static bool shows_ours(const char *what, const char *name, long value,
		       const char *text)
{
	char pid[40], *object;

	read_resource(what);
	snprintf(pid, sizeof(pid), "\"pid\":%d,", getpid());
	for (object = object_with(shown, pid); object;
	     object = object_with(object + strlen(object) + 1, pid))
		if (detail(object, name) == value && strstr(object, text))
			return true;
	return false;
}

static void details_of_others(void)
{
	struct ibv_srq_init_attr init = {
		.attr = { .max_wr = 15, .max_sge = 1 },
	};
	struct pair_config config = {};
	struct buf local, remote;
	struct ibv_srq *srq;
	struct pair pair;

	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], 3 * SIZE, ALL_ACCESS);
	buf_get(&remote, &pair.hosts[1], 3 * SIZE, ODP_ACCESS);
	small_pages(remote.addr, 3 * SIZE);
	post_write(&pair.a, &local, &remote, false);
	/* its completion stays in the queue */
	UNTIL(shows_ours("cq", "filled", 1, "armed\":\"no\""));
	CHECK_EQ(ibv_req_notify_cq(pair.a.send_cq, 1), 0);
	CHECK(shows_ours("cq", "filled", 1, "armed\":\"solicited\""));
	CHECK(shows_ours("mr", "pages_pinned", 3, "kind\":\"pinned\""));
	CHECK(shows_ours("mr", "pages_mapped", 1, "odp\":\"explicit\""));
	wait_ok(pair.a.send_cq);

	srq = ibv_create_srq(pair.hosts[0].pd, &init);
	CHECK(srq);
	/* kernels before 6.12 show no more of it than its number */
	if (!kernel_before(6, 12)) {
		CHECK(shows_ours("srq", "filled", 0, ""));
		CHECK(shows_ours("srq", "size", 15, ""));
		CHECK(shows_ours("srq", "limit", 0, ""));
	}
	CHECK_EQ(ibv_destroy_srq(srq), 0);
	buf_put(&local);
	buf_put(&remote);
	pair_down(&pair);
}

/* Objects go while "rdma resource" looks at them. */
static void details_of_what_goes(void)
{
	struct pair_config config = {};
	struct ibv_srq_init_attr init = {
		.attr = { .max_wr = 15, .max_sge = 1 },
	};
	const char *const kinds[] = { "qp", "cq", "srq" };
	struct ibv_srq *srq;
	struct pair pair;
	pid_t pids[3];
	unsigned int i;

	for (i = 0; i < NUM(pids); i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		while (!pids[i])
			read_resource(kinds[i]);
	}
	for (i = 0; i < GOING; i++) {
		test_at("round %u", i);
		pair_up(&pair, &config);
		srq = ibv_create_srq(pair.hosts[0].pd, &init);
		CHECK(srq);
		CHECK_EQ(ibv_destroy_srq(srq), 0);
		pair_down(&pair);
	}
	for (i = 0; i < NUM(pids); i++) {
		CHECK_EQ(kill(pids[i], SIGKILL), 0);
		CHECK_EQ(waitpid(pids[i], NULL, 0), pids[i]);
	}
	check_works();
}

/* The kernel's log from here on; -1: it cannot be read. */
static int log_begin(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	if (log >= 0)
		CHECK(lseek(log, 0, SEEK_END) >= 0);
	return log;
}

/* Does a record that has not been read yet have @text? Others are read as well. */
static bool log_has(int log, const char *text)
{
	char record[2000];
	ssize_t n;

	for (;;) {
		n = read(log, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return false;
		record[n] = 0;
		if (strstr(record, text))
			return true;
	}
}

static void debug_write(const char *text)
{
	FILE *file = fopen(CONTROL, "w");

	if (!file)
		skip("no dynamic debug in this kernel");
	CHECK(fputs(text, file) >= 0);
	CHECK_EQ(fclose(file), 0);
}

static void refuse_queues(struct host *host, int log)
{
	struct ibv_srq_init_attr srq = {
		.attr = { .max_wr = 1, .max_sge = 33 },
	};
	struct ibv_cq *cq;

	CHECK(!ibv_create_cq(host->ctx, 32768, NULL, NULL, 0));
	CHECK(log_has(log, "rxe0: create CQ: 32768 completions"));
	CHECK(!ibv_create_srq(host->pd, &srq));
	CHECK(log_has(log, "rxe0: create SRQ: max_wr 1 is not 1 to 1048576, or max_sge 33"));
	cq = ibv_create_cq(host->ctx, 1, NULL, NULL, 0);
	CHECK(cq);
	CHECK(!ibv_create_qp(host->pd, &(struct ibv_qp_init_attr) {
		.qp_type = IBV_QPT_RC,
		.send_cq = cq,
		.recv_cq = cq,
		.cap = { .max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 33 },
	}));
	CHECK(log_has(log, "rxe0: create QP: max_send_wr 1, max_send_sge 33"));
	CHECK_EQ(ibv_destroy_cq(cq), 0);
}

static void refuse_qp(struct host *host, int log)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTS };
	struct pair_config config = {};
	char text[80];
	struct end end;

	end_create(&end, host, &config);
	CHECK_EQ(ibv_modify_qp(end.qp, &attr, IBV_QP_STATE), EINVAL);
	snprintf(text, sizeof(text),
		 "rxe0: modify QP %#x: in state 0 not from 0 to 3",
		 end.qp->qp_num);
	CHECK(log_has(log, text));
	end_destroy(&end);
}

static void refuse_memory(struct host *host, int log)
{
	struct rereg to_odp = {
		.flags = IBV_REREG_MR_CHANGE_ACCESS, .access = ODP_ACCESS,
	};
	struct buf buf;

	buf_get(&buf, host, SIZE, ALL_ACCESS);
	CHECK(!ibv_reg_mr(host->pd, buf.addr, 0, ALL_ACCESS));
	CHECK(log_has(log, "rxe0: register MR: length 0 is 0"));
	CHECK_EQ(try_rereg_mr(buf.mr, &to_odp), EINVAL);
	CHECK(log_has(log, ": the same memory stays pinned"));
	CHECK_EQ(try_advise_mr(host->pd, 99, 0,
			       &(struct ibv_sge) {}, 1), EOPNOTSUPP);
	CHECK(log_has(log, "rxe0: advise MR: advice 99 is not supported"));
	buf_put(&buf);
}

/* The core refuses a window of no type itself: one in use refuses its region's end. */
static void refuse_window(int log)
{
	struct pair_config config = {};
	struct ibv_mw_bind bind = { .send_flags = IBV_SEND_SIGNALED };
	struct ibv_mw *mw;
	struct pair pair;
	struct buf buf;

	pair_up(&pair, &config);
	buf_get(&buf, &pair.hosts[1], SIZE, ALL_ACCESS | IBV_ACCESS_MW_BIND);
	mw = ibv_alloc_mw(pair.hosts[1].pd, IBV_MW_TYPE_1);
	CHECK(mw);
	bind.bind_info.mr = buf.mr;
	bind.bind_info.addr = (uintptr_t)buf.addr;
	bind.bind_info.length = SIZE;
	bind.bind_info.mw_access_flags = IBV_ACCESS_REMOTE_READ;
	CHECK_EQ(ibv_bind_mw(pair.b.qp, mw, &bind), 0);
	wait_ok(pair.b.send_cq);
	CHECK_EQ(ibv_dereg_mr(buf.mr), EBUSY);
	CHECK(log_has(log, ": memory windows are bound to it"));
	CHECK_EQ(ibv_dealloc_mw(mw), 0);
	buf_put(&buf);
	pair_down(&pair);
}

/* From an IPv4 address to an IPv6 group: the core resolves no groups. */
static void refuse_ah(struct host *host, int log)
{
	struct ibv_ah_attr attr = {
		.is_global = 1,
		.port_num = 1,
		.grh = {
			.dgid = gid_of("ff0e::1:2"),
			.sgid_index = host->gids[0].index,
		},
	};

	CHECK(!ibv_create_ah(host->pd, &attr));
	CHECK(log_has(log, "rxe0: address vector: not both of"));
}

static void reasons(void)
{
	struct host host;
	int log = log_begin();

	if (log < 0)
		skip("the kernel's log cannot be read");
	debug_write("module rdma_rxe +p\n");
	host_open(&host, 0);
	refuse_queues(&host, log);
	refuse_qp(&host, log);
	refuse_memory(&host, log);
	refuse_ah(&host, log);
	refuse_window(log);
	debug_write("module rdma_rxe -p\n");
	/* nothing is said unless it is asked for */
	CHECK(!ibv_create_cq(host.ctx, 32768, NULL, NULL, 0));
	CHECK(!log_has(log, "create CQ: 32768 completions"));
	host_close(&host);
	close(log);
}

static const struct test tests[] = {
	{ "each state of a queue pair is traced", states },
	{ "a NAK of a wrong key is traced at both ends", wrong_key },
	{ "an RNR NAK is traced at both ends", receiver_not_ready },
	{ "a receiver that is never ready is traced", receiver_never_ready },
	{ "a lost packet and its repetition are traced", lost_packet },
	{ "packets that are for no queue pair are traced", no_queue_pair },
	{ "a park is traced with its memory, and whose it is", missing_page },
	{ "rdma resource shows what queue pairs wait for", details_of_qps },
	{ "rdma resource shows completion queues, regions, shared queues",
	  details_of_others },
	{ "rdma resource beside objects that go", details_of_what_goes },
	{ "dynamic debug says why a verb was refused", reasons },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
