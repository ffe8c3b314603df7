// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Calls of the test module.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "user.h"

/* open file of the test, inherited by its children */
static int dev = -1;

char *map_memory(size_t len)
{
	char *at, *start;

	at = mmap(NULL, len + LEAF, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(at != MAP_FAILED);
	start = (char *)(((unsigned long)at + LEAF - 1) & ~(LEAF - 1));
	/* a kernel with PREEMPT_RT has none */
	CHECK(!madvise(start, len, MADV_NOHUGEPAGE) || errno == EINVAL);
	return start;
}

int share_with_child(void)
{
	int child = fork();

	CHECK(child >= 0);
	if (!child)
		for (;;)
			pause();
	return child;
}

/* Not left to our exit: the child's exit releases points that the next test holds. */
void end_child(int child)
{
	CHECK_EQ(kill(child, SIGKILL), 0);
	CHECK_EQ(waitpid(child, NULL, 0), child);
}

static void open_device(void)
{
	if (dev < 0)
		dev = open(ODP_TEST_DEVICE, O_RDWR);
	CHECK(dev >= 0);
}

int cmd(unsigned int nr, struct odp_test_cmd *cmd)
{
	int ret;

	open_device();
	ret = ioctl(dev, nr, cmd);
	return ret < 0 ? -errno : ret;
}

int umem_register(const void *start, size_t len, unsigned int flags)
{
	struct odp_test_cmd c = {
		.start = (unsigned long)start,
		.len = len,
		.flags = flags,
	};
	int err = cmd(ODP_TEST_REGISTER, &c);

	return err ? err : (int)c.umem;
}

int umem_writable(const void *start, size_t len)
{
	int umem = umem_register(start, len, ODP_TEST_WRITE);

	CHECK(umem >= 0);
	return umem;
}

int umem_destroy(int umem)
{
	struct odp_test_cmd c = { .umem = umem };

	return cmd(ODP_TEST_DESTROY, &c);
}

int umem_fault(int umem, const void *start, size_t len, unsigned int flags)
{
	struct odp_test_cmd c = {
		.umem = umem,
		.start = (unsigned long)start,
		.len = len,
		.flags = flags,
	};

	return cmd(ODP_TEST_FAULT, &c);
}

static int umem_access(int umem, unsigned long start, unsigned long buf,
		       size_t len, unsigned int flags)
{
	struct odp_test_cmd c = {
		.umem = umem,
		.start = start,
		.len = len,
		.buf = buf,
		.flags = flags,
	};

	return cmd(ODP_TEST_ACCESS, &c);
}

int umem_read(int umem, const void *start, void *buf, size_t len)
{
	return umem_access(umem, (unsigned long)start, (unsigned long)buf, len,
			   0);
}

int umem_write(int umem, void *start, const void *buf, size_t len)
{
	return umem_access(umem, (unsigned long)start, (unsigned long)buf, len,
			   ODP_TEST_WRITE);
}

/* fault as often as needed: other threads may take pages away meanwhile */
static int through(int umem, char *at, void *buf, size_t len,
		   unsigned int flags)
{
	int err, tries;

	for (tries = 0; tries < 100; tries++) {
		err = umem_access(umem, (unsigned long)at, (unsigned long)buf,
				  len, flags);
		if (err != -EAGAIN)
			return err;
		err = umem_fault(umem, at, len, flags);
		if (err)
			return err;
	}
	return -EAGAIN;
}

int umem_get(int umem, char *at, void *buf, size_t len)
{
	return through(umem, at, buf, len, 0);
}

int umem_put(int umem, char *at, const void *buf, size_t len)
{
	return through(umem, at, (void *)buf, len, ODP_TEST_WRITE);
}

int umem_reap(int umem)
{
	struct odp_test_cmd c = { .umem = umem };

	return cmd(ODP_TEST_REAP, &c);
}

struct odp_test_state umem_state(int umem)
{
	struct odp_test_state state = { .umem = umem };

	open_device();
	CHECK(!ioctl(dev, ODP_TEST_STATE, &state));
	return state;
}

int notify_start(const void *start, size_t len, unsigned int flags)
{
	struct odp_test_cmd c = {
		.start = (unsigned long)start,
		.len = len,
		.flags = flags,
	};

	return cmd(ODP_TEST_NOTIFY_START, &c);
}

int notify_end(const void *start, size_t len)
{
	struct odp_test_cmd c = { .start = (unsigned long)start, .len = len };

	return cmd(ODP_TEST_NOTIFY_END, &c);
}

void notify(const void *start, size_t len)
{
	CHECK_EQ(notify_start(start, len, 0), 0);
	CHECK_EQ(notify_end(start, len), 0);
}

static int point_cmd(unsigned int nr, enum odp_test_point point,
		     unsigned int ms)
{
	struct odp_test_cmd c = { .start = point, .ms = ms * limit_factor() };

	return cmd(nr, &c);
}

void hold(enum odp_test_point point, unsigned int ms)
{
	CHECK_EQ(point_cmd(ODP_TEST_HOLD, point, ms), 0);
}

int reached(enum odp_test_point point)
{
	return point_cmd(ODP_TEST_REACHED, point, HUNG_MS);
}

void next(enum odp_test_point point)
{
	CHECK_EQ(point_cmd(ODP_TEST_NEXT, point, 0), 0);
}

void let_go(enum odp_test_point point)
{
	CHECK_EQ(point_cmd(ODP_TEST_LET_GO, point, 0), 0);
}

int passed(enum odp_test_point point)
{
	return point_cmd(ODP_TEST_PASSED, point, 0);
}

void patience(unsigned int ms)
{
	struct odp_test_cmd c = { .ms = ms * limit_factor() };

	CHECK_EQ(cmd(ODP_TEST_PATIENCE, &c), 0);
}

static void *job_run(void *arg)
{
	struct job *job = arg;

	job->ret = cmd(job->nr, &job->cmd);
	__atomic_store_n(&job->done, true, __ATOMIC_RELEASE);
	return NULL;
}

void job_start(struct job *job, unsigned int nr, struct odp_test_cmd cmd)
{
	open_device();
	job->nr = nr;
	job->cmd = cmd;
	job->done = false;
	CHECK(!pthread_create(&job->thread, NULL, job_run, job));
}

bool job_done(struct job *job, unsigned int ms)
{
	unsigned long long end = now_ms() + ms * limit_factor();

	while (!__atomic_load_n(&job->done, __ATOMIC_ACQUIRE)) {
		if (now_ms() > end)
			return false;
		sleep_ms(1);
	}
	return true;
}

int job_join(struct job *job)
{
	CHECK(job_done(job, HUNG_MS));
	pthread_join(job->thread, NULL);
	return job->ret;
}

void fault_start(struct job *job, int umem, const void *start, size_t len,
		 unsigned int flags)
{
	struct odp_test_cmd c = {
		.umem = umem,
		.start = (unsigned long)start,
		.len = len,
		.flags = flags,
	};

	job_start(job, ODP_TEST_FAULT, c);
}

enum { BEGUN = 1, STARTED, TO_END };

static void step_to(struct notifier *n, int step)
{
	pthread_mutex_lock(&n->lock);
	n->step = step;
	pthread_cond_broadcast(&n->stepped);
	pthread_mutex_unlock(&n->lock);
}

/* Asleep: a slow guest has no time for many threads that poll. */
static void wait_step(struct notifier *n, int step)
{
	struct timespec end;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += HUNG_MS / 1000 * limit_factor();
	pthread_mutex_lock(&n->lock);
	while (n->step < step && !err)
		err = pthread_cond_clockwait(&n->stepped, &n->lock,
					     CLOCK_MONOTONIC, &end);
	CHECK(n->step >= step);
	pthread_mutex_unlock(&n->lock);
}

static void *notifier_run(void *arg)
{
	struct notifier *n = arg;

	step_to(n, BEGUN);
	CHECK_EQ(notify_start(n->start, n->len, n->flags), 0);
	step_to(n, STARTED);
	wait_step(n, TO_END);
	CHECK_EQ(notify_end(n->start, n->len), 0);
	return NULL;
}

void notifier_begin_nowait(struct notifier *n, const void *start, size_t len)
{
	open_device();
	*n = (struct notifier) {
		.start = start,
		.len = len,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.stepped = PTHREAD_COND_INITIALIZER,
	};
	CHECK(!pthread_create(&n->thread, NULL, notifier_run, n));
	wait_step(n, BEGUN);
}

void notifier_begin(struct notifier *n, const void *start, size_t len)
{
	notifier_begin_nowait(n, start, len);
	wait_step(n, STARTED);
}

void notifier_end(struct notifier *n)
{
	wait_step(n, STARTED);
	step_to(n, TO_END);
	CHECK(!pthread_join(n->thread, NULL));
}
