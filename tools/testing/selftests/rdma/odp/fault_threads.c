// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A fault that nobody serves sleeps in a thread of the kernel's. Programs, users,
 * and all of them, have so many of these. Further faults wait for their turn, and
 * hold up nobody else, nor memory that takes no sleep.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "pair.h"

/* the driver's bounds: fault.h */
#define OF_PROGRAM	32
#define OF_USER		96
#define OF_ALL		256

#define OPENS		4
#define LEN		64
#define NOBODY		1000

/**
 * struct program - writes from memory that is not there
 * @hosts: the writer's device, opened so often
 * @other: the other device
 * @n: how many writes
 * @pairs: their connections
 * @mem: a page for each
 * @from: the same, registered with each open
 * @to: where it goes, @LEN bytes each
 * @uffd: who would have to answer
 */
struct program {
	struct host hosts[OPENS];
	struct host other;
	int n;
	struct pair *pairs;
	unsigned char *mem;
	struct buf from[OPENS];
	struct buf to;
	int uffd;
};

static void read_line(const char *pid, const char *file, char *line, size_t len)
{
	char name[300];
	ssize_t got = 0;
	int fd;

	snprintf(name, sizeof(name), "/proc/%s/%s", pid, file);
	fd = open(name, O_RDONLY);
	/* the thread may be gone */
	if (fd >= 0) {
		got = read(fd, line, len - 1);
		close(fd);
	}
	line[got > 0 ? got : 0] = 0;
}

/* threads of the kernel's that sleep until a userfaultfd is answered */
static int sleepers(void)
{
	char line[100];
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	int n = 0;

	CHECK(dir);
	while ((entry = readdir(dir))) {
		if (!isdigit(entry->d_name[0]))
			continue;
		read_line(entry->d_name, "comm", line, sizeof(line));
		if (strncmp(line, "kworker/", 8))
			continue;
		read_line(entry->d_name, "wchan", line, sizeof(line));
		n += !strcmp(line, "handle_userfault");
	}
	closedir(dir);
	return n;
}

/* so many sleep, and no more come; a driver without a bound gets time for that */
static void check_sleepers(int n)
{
	int i;

	UNTIL(sleepers() >= n);
	for (i = 0; i < 10; i++) {
		sleep_ms(20);
		CHECK_EQ(sleepers(), n);
	}
}

static void program_map(struct program *program, int n)
{
	program->n = n;
	program->mem = mmap(NULL, n * PAGE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(program->mem != MAP_FAILED);
	small_pages(program->mem, n * PAGE_BYTES);
	program->uffd = miss_pages(program->mem, n * PAGE_BYTES);
}

static void program_write(struct program *program)
{
	const struct pair_config config = { .depth = 2 };
	struct pair *pair;
	int i;

	host_open(&program->other, 1);
	for (i = 0; i < OPENS; i++) {
		host_open(&program->hosts[i], 0);
		buf_reg(&program->from[i], &program->hosts[i], program->mem,
			program->n * PAGE_BYTES, ODP_ACCESS);
	}
	program->pairs = calloc(program->n, sizeof(*program->pairs));
	CHECK(program->pairs);
	buf_get(&program->to, &program->other, program->n * LEN, ODP_ACCESS);
	for (i = 0; i < program->n; i++) {
		pair = &program->pairs[i];
		connect_ends(&pair->a, &program->hosts[i % OPENS], &pair->b,
			     &program->other, &config);
		post_one(&pair->a, IBV_WR_RDMA_WRITE,
			 buf_sge(&program->from[i % OPENS], i * PAGE_BYTES, LEN),
			 &program->to, i * LEN);
	}
}

static void provide(struct program *program, int i)
{
	static unsigned char content[PAGE_BYTES];

	fill_pattern(content, PAGE_BYTES, i);
	userfaultfd_copy(program->uffd, program->mem + i * PAGE_BYTES, content);
}

static void check_written(struct program *program, int i)
{
	test_at("write %d", i);
	wait_ok(program->pairs[i].a.send_cq);
	check_pattern(program->to.addr + i * LEN, LEN, i);
}

static void program_down(struct program *program)
{
	int i;

	for (i = 0; i < program->n; i++) {
		end_destroy(&program->pairs[i].a);
		end_destroy(&program->pairs[i].b);
	}
	for (i = 0; i < OPENS; i++) {
		CHECK_EQ(ibv_dereg_mr(program->from[i].mr), 0);
		host_close(&program->hosts[i]);
	}
	buf_put(&program->to);
	host_close(&program->other);
	close(program->uffd);
	CHECK_EQ(munmap(program->mem, program->n * PAGE_BYTES), 0);
}

static void bounded(void)
{
	struct program program;
	int i;

	program_map(&program, 5 * OF_PROGRAM);
	program_write(&program);
	check_sleepers(OF_PROGRAM);
	for (i = 0; i < program.n; i++)
		provide(&program, i);
	for (i = 0; i < program.n; i++)
		check_written(&program, i);
	CHECK_EQ(sleepers(), 0);
	program_down(&program);
}

/* Served in the order in which the kernel asks, as a handler does. */
static void taken_in_turns(void)
{
	struct program program;
	unsigned char *page;
	int i;

	program_map(&program, 3 * OF_PROGRAM);
	program_write(&program);
	for (i = 0; i < program.n; i++) {
		page = userfaultfd_wanted(program.uffd);
		provide(&program, (page - program.mem) / PAGE_BYTES);
	}
	for (i = 0; i < program.n; i++)
		check_written(&program, i);
	program_down(&program);
}

/* All of the program's turns are taken for good. */
static void no_sleep_needed(void)
{
	bool asked[2 * OF_PROGRAM] = {};
	struct program program;
	unsigned char *page;
	int i;

	program_map(&program, 2 * OF_PROGRAM);
	program_write(&program);
	check_sleepers(OF_PROGRAM);
	for (i = 0; i < OF_PROGRAM; i++) {
		page = userfaultfd_wanted(program.uffd);
		asked[(page - program.mem) / PAGE_BYTES] = true;
	}
	/* new memory of the program's, on-demand at both ends */
	for (i = 0; i < 10; i++)
		check_works();
	/* memory that comes though nobody has been asked for it */
	for (i = 0; i < program.n; i++) {
		if (asked[i])
			continue;
		provide(&program, i);
		check_written(&program, i);
	}
	CHECK_EQ(sleepers(), OF_PROGRAM);
	for (i = 0; i < program.n; i++)
		if (asked[i])
			provide(&program, i);
	for (i = 0; i < program.n; i++)
		if (asked[i])
			check_written(&program, i);
	program_down(&program);
}

/* Faults that its queue pairs abandon while they wait for a turn get none. */
static void left_in_the_queue(void)
{
	struct resources before;
	struct program program;
	int i;

	resources_get(&before);
	program_map(&program, 2 * OF_PROGRAM);
	program_write(&program);
	check_sleepers(OF_PROGRAM);
	for (i = 0; i < program.n; i++)
		end_to_error(&program.pairs[i].a);
	for (i = 0; i < program.n; i++)
		wait_status(program.pairs[i].a.send_cq, IBV_WC_WR_FLUSH_ERR);
	program_down(&program);
	UNTIL(!sleepers());
	resources_check(&before);
}

static pid_t start(uid_t uid, int n)
{
	struct program program;
	int ready;
	pid_t pid;

	pid = fork_ready(&ready);
	if (pid)
		return pid;

	/* users may not have a userfaultfd that the kernel's faults wait for */
	program_map(&program, n);
	CHECK_EQ(setuid(uid), 0);
	program_write(&program);
	ready_until_killed(ready);
}

/* A program whose pages come when they are asked for is served meanwhile. */
static void check_serves(uid_t uid)
{
	struct program program;
	int i, status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		program_map(&program, 5);
		CHECK_EQ(setuid(uid), 0);
		program_write(&program);
		for (i = 0; i < program.n; i++)
			provide(&program, ((unsigned char *)
				userfaultfd_wanted(program.uffd) - program.mem) /
				PAGE_BYTES);
		for (i = 0; i < program.n; i++)
			check_written(&program, i);
		program_down(&program);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

static void users(void)
{
	const int of_user = OF_USER / OF_PROGRAM;
	pid_t pids[20];
	int n = 0, i;

	for (i = 0; i < of_user - 1; i++)
		pids[n++] = start(0, OF_PROGRAM + 8);
	check_sleepers(OF_USER - OF_PROGRAM);
	check_serves(0);
	for (i = 0; i < 2; i++)
		pids[n++] = start(0, OF_PROGRAM + 8);
	check_sleepers(OF_USER);
	check_works();
	check_serves(NOBODY);

	for (i = 0; i < of_user + 1; i++)
		pids[n++] = start(NOBODY, OF_PROGRAM + 8);
	check_sleepers(2 * OF_USER);
	for (i = 0; i < of_user; i++)
		pids[n++] = start(NOBODY + 1, OF_PROGRAM + 8);
	check_sleepers(OF_ALL);
	check_works();
	/* for a user without any there always is one */
	check_serves(NOBODY + 2);
	pids[n++] = start(NOBODY + 2, 3);
	check_sleepers(OF_ALL + 1);

	while (n--) {
		kill(pids[n], SIGKILL);
		CHECK_EQ(waitpid(pids[n], NULL, 0), pids[n]);
	}
	UNTIL(!sleepers());
	check_works();
}

static const struct test tests[] = {
	{ "threads of a program with faults that nobody serves", bounded },
	{ "more faults than a program has threads, served one by one",
	  taken_in_turns },
	{ "memory that is there, beside faults that nobody serves",
	  no_sleep_needed },
	{ "queue pairs that fail while their faults wait for a thread",
	  left_in_the_queue },
	{ "threads of users with faults that nobody serves", users, 240 },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
