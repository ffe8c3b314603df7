/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Shared by the tests of the ODP core. */
#ifndef USER_H
#define USER_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ktap_test.h"
#include "odp_core_test.h"

#define PAGE		4096UL
#define LEAF		(512 * PAGE)
#define EVERYWHERE	(-1UL)
/* end of the range that an implicit region covers */
#define WHOLE		0x7ffffffff000UL

extern const struct test publish_tests[], zap_tests[], registration_tests[],
	lifetime_tests[], memory_tests[], reclaim_tests[], sparse_tests[],
	progress_tests[], storm_tests[];

/* anonymous memory, not populated, without huge pages, placed at a leaf */
char *map_memory(size_t len);

/* a child that has our memory, copied on write, until it is told to end */
int share_with_child(void);
void end_child(int child);

/* the calls of the module; return its result, or -errno */
int cmd(unsigned int nr, struct odp_test_cmd *cmd);
int umem_register(const void *start, size_t len, unsigned int flags);
/* register for writing, and CHECK() it */
int umem_writable(const void *start, size_t len);
int umem_destroy(int umem);
int umem_fault(int umem, const void *start, size_t len, unsigned int flags);
int umem_read(int umem, const void *start, void *buf, size_t len);
int umem_write(int umem, void *start, const void *buf, size_t len);
/* access as a driver does: missing pages are faulted in */
int umem_get(int umem, char *at, void *buf, size_t len);
int umem_put(int umem, char *at, const void *buf, size_t len);
int umem_reap(int umem);
struct odp_test_state umem_state(int umem);

int notify_start(const void *start, size_t len, unsigned int flags);
int notify_end(const void *start, size_t len);
void notify(const void *start, size_t len);

void hold(enum odp_test_point point, unsigned int ms);
int reached(enum odp_test_point point);
void next(enum odp_test_point point);
void let_go(enum odp_test_point point);
/* how many threads have reached a point */
int passed(enum odp_test_point point);
/* set how long a look-up that goes first holds notifiers back; 0: as usual */
void patience(unsigned int ms);

/**
 * struct job - a command in a thread of its own
 * @thread: the thread
 * @nr: the command
 * @cmd: its argument, and result
 * @ret: as of cmd()
 * @done: it has come back
 */
struct job {
	pthread_t thread;
	unsigned int nr;
	struct odp_test_cmd cmd;
	int ret;
	bool done;
};

void job_start(struct job *job, unsigned int nr, struct odp_test_cmd cmd);
bool job_done(struct job *job, unsigned int ms);
int job_join(struct job *job);
void fault_start(struct job *job, int umem, const void *start, size_t len,
		 unsigned int flags);

/**
 * struct notifier - a notifier that runs in a thread of its own
 * @thread: the thread; start and end are one task's
 * @start: first byte of the range
 * @len: of the range
 * @flags: of notify_start()
 * @lock: guards @step
 * @stepped: @step has changed
 * @step: how far it is
 */
struct notifier {
	pthread_t thread;
	const void *start;
	size_t len;
	unsigned int flags;
	pthread_mutex_t lock;
	pthread_cond_t stepped;
	int step;
};

/* return when its start has been called, or (_nowait) is being called */
void notifier_begin(struct notifier *n, const void *start, size_t len);
void notifier_begin_nowait(struct notifier *n, const void *start, size_t len);
/* let it call end, and return when that is done */
void notifier_end(struct notifier *n);

#endif
