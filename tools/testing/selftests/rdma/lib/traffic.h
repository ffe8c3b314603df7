/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Two processes, one on each host, send to each other and check the data until
 * the traffic ends. How it ends is the subject of the tests.
 */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <sys/types.h>

#include "pair.h"

struct traffic;

/**
 * struct traffic_side - one of the two processes
 * @traffic: the traffic that it is part of
 * @which: 0 on hosta, 1 on hostb
 * @host: its device
 * @end: its queue pair
 * @buf: all its memory
 * @peer: the other side's, in the form that post_one() takes
 * @peer_mr: of @peer
 * @posted: sends, writes and reads
 * @completed: of these
 * @received: messages that came
 * @flushed: receive requests that failed
 * @failed: a send, write or read has failed
 * @failure: the first one's status
 * @fatal: the device has told that it is gone
 */
struct traffic_side {
	struct traffic *traffic;
	int which;
	struct host host;
	struct end end;
	struct buf buf;
	struct buf peer;
	struct ibv_mr peer_mr;
	unsigned int posted;
	unsigned int completed;
	unsigned int received;
	unsigned int flushed;
	bool failed;
	enum ibv_wc_status failure;
	bool fatal;
};

/**
 * traffic_start - start the two processes
 * @access: of their memory
 * @ended: what each does once its traffic has come to an end; then it exits
 *
 * Every message is looked at byte by byte. On-demand memory is dropped after
 * each, so that there are always faults under way.
 */
struct traffic *traffic_start(int access,
			      void (*ended)(struct traffic_side *side));
/* both sides have received some more since this was called */
void traffic_moves(struct traffic *traffic);
/* the local ACK timeout of traffics that are started from now on, as coded */
void traffic_timeout(unsigned int timeout);
/* side @which gets a signal that it survives */
void traffic_signal(struct traffic *traffic, unsigned int which, int signal);
pid_t traffic_pid(const struct traffic *traffic, unsigned int which);
/* side @which dies by SIGKILL */
void traffic_kill(struct traffic *traffic, unsigned int which);
/* the same, by somebody else's */
void traffic_killed(struct traffic *traffic, unsigned int which);
/* both sides are in traffic_hold() */
void traffic_wait_held(struct traffic *traffic);
/* let them go on, and see them exit without a complaint */
void traffic_end(struct traffic *traffic);

/* for sides: wait here, with all that is open, for traffic_end() */
void traffic_hold(struct traffic_side *side);
/* for sides: the peer does not answer any more, and the requests say so */
void traffic_peer_gone(struct traffic_side *side);
/*
 * The same when a process was killed: its address space goes before its queue
 * pairs, and on-demand memory with it. An access that still comes is refused.
 */
void traffic_peer_killed(struct traffic_side *side);
/* for sides: the device is gone, all calls say so, none hangs */
void traffic_device_gone(struct traffic_side *side);

#endif
