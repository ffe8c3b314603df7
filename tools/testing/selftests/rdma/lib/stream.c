// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <stdint.h>

#include "stream.h"

#define WORDS	(STREAM_SIZE / sizeof(uint64_t))

static unsigned long messages_of(struct stream *s)
{
	return __atomic_load_n(&s->messages, __ATOMIC_ACQUIRE);
}

static void set_words(const struct buf *buf, uint64_t value)
{
	uint64_t *word = (uint64_t *)buf->addr;
	size_t i;

	for (i = 0; i < WORDS; i++)
		word[i] = value;
}

static void check_words(const struct buf *buf, uint64_t value)
{
	const uint64_t *word = (const uint64_t *)buf->addr;
	size_t i;

	for (i = 0; i < WORDS; i++)
		CHECK_EQ(word[i], value);
}

static void *run(void *arg)
{
	struct stream *s = arg;
	struct ibv_wc wc;

	while (!__atomic_load_n(&s->over, __ATOMIC_ACQUIRE)) {
		if (s->versions)
			set_words(source_of(s), s->messages + 1);
		post_one(&s->pair.a, s->opcode,
			 buf_sge(&s->local, 0, STREAM_SIZE), &s->remote, 0);
		wc = wait_cqe(s->pair.a.send_cq);
		s->status = wc.status;
		if (wc.status != IBV_WC_SUCCESS) {
			__atomic_store_n(&s->failed, true, __ATOMIC_RELEASE);
			break;
		}
		if (s->versions)
			check_words(sink_of(s), s->messages + 1);
		__atomic_fetch_add(&s->messages, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void connect_stream(struct stream *s, enum ibv_wr_opcode opcode)
{
	const struct pair_config config = {};

	memset(s, 0, sizeof(*s));
	s->opcode = opcode;
	pair_up(&s->pair, &config);
}

void stream_up(struct stream *s, enum ibv_wr_opcode opcode)
{
	connect_stream(s, opcode);
	buf_get(&s->local, &s->pair.hosts[0], STREAM_SIZE, ODP_ACCESS);
	buf_get(&s->remote, &s->pair.hosts[1], STREAM_SIZE, ODP_ACCESS);
}

void stream_up_on(struct stream *s, enum ibv_wr_opcode opcode, void *source,
		  void *sink)
{
	bool read = opcode == IBV_WR_RDMA_READ;

	connect_stream(s, opcode);
	buf_reg(&s->local, &s->pair.hosts[0], read ? sink : source,
		STREAM_SIZE, ODP_ACCESS);
	buf_reg(&s->remote, &s->pair.hosts[1], read ? source : sink,
		STREAM_SIZE, ODP_ACCESS);
}

void stream_down(struct stream *s)
{
	CHECK_EQ(ibv_dereg_mr(s->local.mr), 0);
	CHECK_EQ(ibv_dereg_mr(s->remote.mr), 0);
	pair_down(&s->pair);
}

void stream_start(struct stream *s)
{
	CHECK(!pthread_create(&s->thread, NULL, run, s));
}

void stream_pass(struct stream *s, unsigned long n)
{
	unsigned long until = messages_of(s) + n + 1;

	while (messages_of(s) < until) {
		if (__atomic_load_n(&s->failed, __ATOMIC_ACQUIRE))
			CHECK_EQ(s->status, IBV_WC_SUCCESS);
		sleep_ms(1);
	}
}

void stream_join(struct stream *s)
{
	CHECK(!pthread_join(s->thread, NULL));
}

void stream_stop(struct stream *s)
{
	__atomic_store_n(&s->over, true, __ATOMIC_RELEASE);
	stream_join(s);
	CHECK_EQ(s->status, IBV_WC_SUCCESS);
}
