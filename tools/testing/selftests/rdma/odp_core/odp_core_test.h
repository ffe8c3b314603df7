/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Commands of /dev/odp_core_test: the calls of the ODP core, its notifier
 * callbacks with made-up ranges, and holding a thread at a named point of the
 * core. Each open file is an owner; a child that inherits it uses it with its own
 * memory.
 */
#ifndef ODP_CORE_TEST_H
#define ODP_CORE_TEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define ODP_TEST_DEVICE		"/dev/odp_core_test"

/* struct odp_test_cmd.flags; each is of the commands that name it */
#define ODP_TEST_WRITE		0x1
#define ODP_TEST_PREFETCH	0x2
#define ODP_TEST_NON_BLOCKABLE	0x4
#define ODP_TEST_CLEAR		0x8
#define ODP_TEST_PRESENT	0x10
#define ODP_TEST_NOWAIT		0x20

/* where a thread can be held; as enum odp_point */
enum odp_test_point {
	ODP_TEST_LOOKED_UP,
	ODP_TEST_WAITING,
	ODP_TEST_STARTED,
	ODP_TEST_DYING,
	ODP_TEST_BEGUN,
	ODP_TEST_WOKEN,
	ODP_TEST_HELD_BACK,
	ODP_TEST_POINTS,
};

/**
 * struct odp_test_cmd - one command
 * @umem: which umem; set by ODP_TEST_REGISTER
 * @flags: ODP_TEST_ flags
 * @start: first byte
 * @len: in bytes
 * @buf: user memory that is copied to or from
 * @ms: how long at most
 * @at: ktime_get_ns() when the command was done
 */
struct odp_test_cmd {
	__u32 umem;
	__u32 flags;
	__u64 start;
	__u64 len;
	__u64 buf;
	__u64 ms;
	__u64 at;
};

/**
 * struct odp_test_state - state of a umem
 * @umem: in: which
 * @leaves: of its page table
 * @page_faults: see struct odp_counters, as the next four
 * @page_invalidations: counter
 * @page_prefetch: counter
 * @retries: counter
 * @mapped: counter
 * @zaps: calls of the zap callback
 * @zap_start: of the last one
 * @zap_end: of the last one
 * @bad_zaps: allowed to sleep in atomic context, or called with the
 *	      context's lock held
 * @total_faults: page_faults in the totals of all umems of the file
 */
struct odp_test_state {
	__u32 umem;
	__u32 leaves;
	__u64 page_faults;
	__u64 page_invalidations;
	__u64 page_prefetch;
	__u64 retries;
	__u64 mapped;
	__u64 zaps;
	__u64 zap_start;
	__u64 zap_end;
	__u64 bad_zaps;
	__u64 total_faults;
};

#define ODP_TEST_CMD(nr)	_IOWR('O', nr, struct odp_test_cmd)

/* start, len, WRITE: register; umem is set */
#define ODP_TEST_REGISTER	ODP_TEST_CMD(0)
#define ODP_TEST_DESTROY	ODP_TEST_CMD(1)
/* start, len, WRITE, PREFETCH, PRESENT; ASYNC: in a kernel thread, see JOIN */
#define ODP_TEST_FAULT		ODP_TEST_CMD(2)
#define ODP_TEST_FAULT_ASYNC	ODP_TEST_CMD(3)
/* the result of the umem's FAULT_ASYNC, or -EBUSY after ms */
#define ODP_TEST_JOIN		ODP_TEST_CMD(4)
/* start, len, buf, WRITE; in each run of memory it stays for ms */
#define ODP_TEST_ACCESS		ODP_TEST_CMD(5)
/* start: references to the page */
#define ODP_TEST_PAGE_REFS	ODP_TEST_CMD(6)
/* start, len, NON_BLOCKABLE: the notifier of the caller's mm */
#define ODP_TEST_NOTIFY_START	ODP_TEST_CMD(7)
#define ODP_TEST_NOTIFY_END	ODP_TEST_CMD(8)
/* start, len, CLEAR: 1 or 0 */
#define ODP_TEST_YOUNG		ODP_TEST_CMD(9)
#define ODP_TEST_RELEASE	ODP_TEST_CMD(10)
/* free empty leaves now */
#define ODP_TEST_REAP		ODP_TEST_CMD(11)
/* start: the point. Threads that come to it are held for ms at most */
#define ODP_TEST_HOLD		ODP_TEST_CMD(12)
/* start: the point. Wait until a thread is held, or -ETIMEDOUT after ms */
#define ODP_TEST_REACHED	ODP_TEST_CMD(13)
/* start: the point. Let the held thread go; the next one is held again */
#define ODP_TEST_NEXT		ODP_TEST_CMD(14)
/* start: the point. Let all go */
#define ODP_TEST_LET_GO		ODP_TEST_CMD(15)
/* start: the point. Threads that have reached it since the module was loaded */
#define ODP_TEST_PASSED		ODP_TEST_CMD(16)
/* look-ups that go first hold notifiers back for ms; 0: as long as usual */
#define ODP_TEST_PATIENCE	ODP_TEST_CMD(17)
#define ODP_TEST_STATE		_IOWR('O', 32, struct odp_test_state)

#endif
