/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The possessions of one hostile process: devices that it has opened, objects that it
 * has made, rings that it has mapped, memory that it registers.
 */
#ifndef WORLD_H
#define WORLD_H

#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <rdma/rdma_user_rxe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "random.h"

#define DEVICES		2
#define OBJECTS		12	/* of a kind and device, at most */
#define RINGS		96
#define STALE		8
#define ARENA		((unsigned char *)0x100000000000UL)
#define ARENA_BYTES	(4UL << 20)
#define PAGE		4096UL
#define REQUEST_AT	((void *)0x200000000000UL)
#define BUFFERS		3
/* what a request of ours is known by, however it ends */
#define WR_ID		0x1badcafe00000000ULL

enum kind { PD, CHANNEL, EVENTS, CQ, SRQ, QP, MR, MW, AH, KINDS };

/**
 * struct ring - a ring that is mapped
 * @buf: NULL: free
 * @size: bytes
 * @offset: in the device file
 * @shift: log2 of a slot's size, from before anybody scribbled over it
 * @mask: slots less one
 * @next: producer index of ours
 * @owned: by an object that is there; else it may be unmapped for another
 */
struct ring {
	struct rxe_queue_buf *buf;
	size_t size;
	uint64_t offset;
	uint32_t shift;
	uint32_t mask;
	uint32_t next;
	bool owned;
};

/**
 * struct object - what a device has made for us
 * @used: it is there, as far as we know
 * @handle: or its file descriptor
 * @number: QPN, rkey, or an address handle's number
 * @lkey: of a region
 * @type: of a QP, a window; access flags of a region; whether an AH is a group's
 * @state: a QP's, as far as we know; of a window, number of the QP that bound it
 * @pd: handle of its protection domain
 * @addr: of a region
 * @len: of a region
 * @rings: a QP's send and receive rings, or the one of a CQ or SRQ
 * @cqs: handles of a QP's
 * @peer: device of the QP that it is connected to
 * @peer_pd: protection domain of that QP
 */
struct object {
	bool used;
	uint32_t handle;
	uint32_t number;
	uint32_t lkey;
	uint32_t type;
	uint32_t state;
	uint32_t pd;
	uint64_t addr;
	uint64_t len;
	struct ring *rings[2];
	uint32_t cqs[2];
	int peer;
	uint32_t peer_pd;
};

struct device {
	int which;
	int fd;
	struct object objects[KINDS][OBJECTS];
	uint32_t stale[STALE];
	unsigned int staled;
};

/**
 * struct surroundings - what all hostile processes are told
 * @paths: of the devices' files
 * @gids: the devices' addresses, of IPv4 and IPv6
 * @gid_index: their indices
 * @buffers: dma-bufs; -1: none
 * @buffer_len: of each
 */
struct surroundings {
	char paths[DEVICES][64];
	uint8_t gids[DEVICES][2][16];
	uint8_t gid_index[DEVICES][2];
	int buffers[BUFFERS];
	size_t buffer_len;
};

/**
 * struct request - a call that is being made up
 * @dev: for which device
 * @command: by write(), with IB_USER_VERBS_CMD_FLAG_EXTENDED; unused by a method
 * @is_method: it is an ioctl() of the method in @hdr
 * @in: what the command takes; the driver's part follows it
 * @in_len: of the command
 * @driver_in_len: of the driver's part
 * @out: what comes back; the driver's part follows it
 * @out_len: of the command
 * @driver_out_len: of the driver's part
 * @method: of an ioctl()
 * @list: what an attribute points at
 * @odd: some of its fields are not as they should be
 * @changed: it may be another call altogether: its outcome says nothing
 */
struct request {
	struct device *dev;
	uint32_t command;
	bool is_method;
	size_t in_len;
	size_t driver_in_len;
	size_t out_len;
	size_t driver_out_len;
	bool odd;
	bool changed;
	struct {
		struct ib_uverbs_ioctl_hdr hdr;
		struct ib_uverbs_attr attrs[20];
	} method;
	unsigned char list[256] __attribute__((aligned(8)));
	unsigned char in[1024] __attribute__((aligned(8)));
	unsigned char out[4096] __attribute__((aligned(8)));
};

/**
 * struct world - of a hostile process
 * @random: state of the main thread's random numbers
 * @around: as all have it
 * @calm: nobody else scribbles into rings, or takes memory away
 * @mutations: one call in so many is mutated
 * @devices: opened
 * @rings: mapped
 * @request: the call that is being made; apart from all else, as a changed pointer
 *	     has the kernel write its answer near by
 */
struct world {
	uint64_t random;
	const struct surroundings *around;
	bool calm;
	unsigned int mutations;
	struct device devices[DEVICES];
	struct ring rings[RINGS];
	struct request *request;
};

/* what became of a call */
enum outcome { FAILED, WORKED, NOTHING };

/**
 * struct call - a kind of call
 * @name: of it
 * @run: make one
 * @weight: how often, compared with others
 * @refused: the driver has none of that kind
 */
struct call {
	const char *name;
	enum outcome (*run)(struct world *w);
	unsigned int weight;
	bool refused;
};

/* what threads do, and what completes: not calls of verbs */
enum deed {
	DEED_SEND, DEED_WRITE, DEED_READ, DEED_CAS, DEED_ADD, DEED_BIND,
	DEED_INVALIDATE, DEED_RECV, DEED_RECV_WRITE, DEED_FAILED,
	DEED_SCRIBBLE, DEED_MADVISE, DEED_UNMAP, DEED_MAP, DEED_MPROTECT,
	DEED_MREMAP, DEEDS
};

extern const char *const deed_names[DEEDS];
void count_deed(enum deed deed, bool worked);
/* a system call of verbs is about to be made */
void note_call(void);

/* world.c */
bool device_open(struct world *w, struct device *dev);
void device_close(struct world *w, struct device *dev);
struct device *any_device(struct world *w);
/* NULL: there are enough */
struct object *object_new(struct device *dev, enum kind kind);
void object_add(struct object *object, uint32_t handle);
void object_gone(struct world *w, struct device *dev, struct object *object);
/* NULL: there is none */
struct object *object_any(struct world *w, struct device *dev, enum kind kind);
/* of a protection domain, rather */
struct object *object_of_pd(struct world *w, struct device *dev, enum kind kind,
			    uint32_t pd);
struct object *object_by_handle(struct device *dev, enum kind kind, uint32_t handle);
/* a handle of that kind, or seldom something else */
uint32_t handle_any(struct world *w, struct device *dev, enum kind kind);
void ring_map(struct world *w, struct device *dev, struct ring **ring,
	      const struct mminfo *info);
void ring_unmap(struct ring *ring);
void *ring_slot(const struct ring *ring, uint32_t index);
/* a range of the arena */
unsigned char *arena_range(uint64_t *random, size_t *len);

/* uverbs.c */
void *begin_write(struct world *w, struct device *dev, uint32_t command,
		  size_t in_len, size_t out_len);
void begin_method(struct world *w, struct device *dev, uint16_t object,
		  uint16_t method);
struct ib_uverbs_attr *add_attr(struct world *w, uint16_t id, uint16_t len,
				uint64_t data);
/* an answer of @len bytes at that place of request.out */
void add_answer(struct world *w, uint16_t id, uint16_t len, size_t at);
/* make the call; true: it did what it was to do */
bool deliver(struct world *w);
/* the answer to a command, and the driver's part of it */
const void *answer_of(const struct world *w);
const void *driver_answer(const struct world *w);

/* shake.c */
void shake_start(struct world *w, uint64_t seed, bool dies);
void shake_stop(void);
void arena_map(uint64_t *random, const struct world *w);
/* run @touch where memory may go away */
bool touch_safely(void (*touch)(void *arg), void *arg);

/* tables of calls */
extern const struct call write_calls[];
extern const struct call method_calls[];
extern const struct call post_calls[];

#endif
