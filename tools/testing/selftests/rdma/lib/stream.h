/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Messages of one connection, posted one after the other by a thread, while the
 * test changes their source and sink memory.
 */
#ifndef STREAM_H
#define STREAM_H

#include <pthread.h>

#include "pair.h"

#define STREAM_SIZE	(256 * 1024)

/**
 * struct stream - messages of STREAM_SIZE bytes
 * @pair: the connection
 * @local: of the end that posts
 * @remote: of its peer
 * @opcode: RDMA write or read
 * @versions: each word of the source is set to the number of the message, and
 *	      each of the sink is looked at
 * @status: of the last message
 * @messages: that have completed
 * @failed: one has failed; it was the last
 * @over: the thread is to post no more
 * @thread: posts the messages
 */
struct stream {
	struct pair pair;
	struct buf local;
	struct buf remote;
	enum ibv_wr_opcode opcode;
	bool versions;
	enum ibv_wc_status status;
	unsigned long messages;
	bool failed;
	bool over;
	pthread_t thread;
};

static inline const struct buf *source_of(const struct stream *s)
{
	return s->opcode == IBV_WR_RDMA_READ ? &s->remote : &s->local;
}

static inline const struct buf *sink_of(const struct stream *s)
{
	return s->opcode == IBV_WR_RDMA_READ ? &s->local : &s->remote;
}

/* with new on-demand memory at both ends */
void stream_up(struct stream *s, enum ibv_wr_opcode opcode);
/* with memory of the caller's */
void stream_up_on(struct stream *s, enum ibv_wr_opcode opcode, void *source,
		  void *sink);
/* the memory stays */
void stream_down(struct stream *s);

void stream_start(struct stream *s);
/* wait for @n more messages, the first of which may be half done already */
void stream_pass(struct stream *s, unsigned long n);
/* wait until a message fails; its status is in @status */
void stream_join(struct stream *s);
/* end the stream; no message may have failed */
void stream_stop(struct stream *s);

#endif
