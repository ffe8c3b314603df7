// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Programs that do whatever a program can: every verb in any order, with arguments at
 * random, into each other and into their own rings, until they end or are killed. None
 * of it may harm anybody else, or stay.
 *
 * HOSTILE_SEED of the environment makes the same calls come again, HOSTILE_CALLS says
 * how many; 100,000 else, ten times that with LONG_TESTS.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dmabuf.h"
#include "memory.h"
#include "pair.h"
#include "world.h"

#define PROGRAMS	2	/* at once */
#define CALLS_EACH	1500	/* of a program, if it is not killed */
#define MAX_CALLS	100	/* kinds */
#define MORE		10	/* tenths of all calls, until each kind has worked */
#define NOBODY		65534
#define GROUP_LIMIT	"192M"

static const struct call *const tables[] = { write_calls, method_calls, post_calls };

const char *const deed_names[DEEDS] = {
	[DEED_SEND] = "send completed",
	[DEED_WRITE] = "write completed",
	[DEED_READ] = "read completed",
	[DEED_CAS] = "compare and swap completed",
	[DEED_ADD] = "fetch and add completed",
	[DEED_BIND] = "bind of a window completed",
	[DEED_INVALIDATE] = "local invalidation completed",
	[DEED_RECV] = "receive completed",
	[DEED_RECV_WRITE] = "receive completed by a write",
	[DEED_FAILED] = "request completed with an error",
	[DEED_SCRIBBLE] = "store into a ring",
	[DEED_MADVISE] = "madvise",
	[DEED_UNMAP] = "munmap",
	[DEED_MAP] = "mmap",
	[DEED_MPROTECT] = "mprotect",
	[DEED_MREMAP] = "mremap",
};

struct tally {
	unsigned long tried;
	unsigned long worked;
};

/**
 * struct program - a hostile process, as the test sees it
 * @pid: of it; 0: none runs
 * @calls: that it has made
 * @at: kind of the call that it is in
 * @seen: @calls when it last changed
 * @since: when that was
 * @kill_at: when it is to be killed; 0: it is not
 */
struct program {
	pid_t pid;
	unsigned long calls;
	unsigned int at;
	unsigned long seen;
	unsigned long long since;
	unsigned long long kill_at;
};

/**
 * struct usage - what the kernel holds
 * @kernel_kb: memory that is the kernel's own, and cannot be reclaimed
 * @threads: of the kernel, but for workers that idle
 */
struct usage {
	long kernel_kb;
	long threads;
};

/**
 * struct shared - what all processes of the test see
 * @calls: by kind, in the order of the tables
 * @deeds: by enum deed
 * @total: system calls of verbs that were made
 * @ended: programs that came to their end
 * @killed: programs that were killed
 * @crashed: programs that had an answer written over what they needed
 * @programs: those that run
 * @ran: the programs have run
 * @before: what there was before
 * @resources: what the devices held before
 */
static struct shared {
	struct tally calls[MAX_CALLS];
	struct tally deeds[DEEDS];
	unsigned long total;
	unsigned long ended;
	unsigned long killed;
	unsigned long crashed;
	struct program programs[PROGRAMS];
	bool ran;
	struct usage before;
	struct resources resources;
} *shared;

static uint64_t seed;
static struct surroundings around;

static void count(struct tally *tally, bool worked)
{
	__atomic_fetch_add(&tally->tried, 1, __ATOMIC_RELAXED);
	if (worked)
		__atomic_fetch_add(&tally->worked, 1, __ATOMIC_RELAXED);
}

void count_deed(enum deed deed, bool worked)
{
	count(&shared->deeds[deed], worked);
}

void note_call(void)
{
	__atomic_fetch_add(&shared->total, 1, __ATOMIC_RELAXED);
}

/* The calls of all tables in one list, and which of them a number is for. */
static struct {
	const struct call *calls[MAX_CALLS];
	unsigned int n;
	unsigned int weight;
} all;

static void list_calls(void)
{
	const struct call *call;
	unsigned int i;

	for (i = 0; i < NUM(tables); i++) {
		for (call = tables[i]; call->name; call++) {
			CHECK(all.n < MAX_CALLS);
			all.calls[all.n++] = call;
			all.weight += call->weight;
		}
	}
}

static unsigned int any_call(struct world *w)
{
	unsigned int at = rnd(&w->random) % all.weight, i;

	for (i = 0; at >= all.calls[i]->weight; i++)
		at -= all.calls[i]->weight;
	return i;
}

/* one call; false: there was nothing to make it with */
static bool make_call(struct world *w, struct program *me)
{
	unsigned int i = any_call(w);
	enum outcome outcome;

	me->at = i;
	w->request->odd = false;
	outcome = all.calls[i]->run(w);
	if (outcome == NOTHING)
		return false;
	count(&shared->calls[i], outcome == WORKED && !w->request->odd);
	return true;
}

static void become(struct world *w, uint64_t number, uint64_t random)
{
	struct rlimit lock = { 8 << 20, 8 << 20 };
	int i;

	w->random = random;
	w->around = &around;
	w->calm = number % 3 == 0;
	w->mutations = number % 3 == 1 ? 4 : 24;
	/* the kernel is to end them rather than anybody else */
	write_file("/proc/self/oom_score_adj", "1000");
	if (number % 2) {
		CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &lock), 0);
		CHECK_EQ(setgid(NOBODY), 0);
		CHECK_EQ(setuid(NOBODY), 0);
		prctl(PR_SET_DUMPABLE, 1);
	}
	CHECK(mmap(ARENA, ARENA_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == ARENA);
	w->request = mmap(REQUEST_AT, sizeof(*w->request), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(w->request == REQUEST_AT);
	for (i = 0; i < DEVICES; i++) {
		w->devices[i].which = i;
		while (!device_open(w, &w->devices[i]))
			if (w->devices[i].fd >= 0)
				close(w->devices[i].fd);
	}
}

static void be_hostile(struct program *me, uint64_t number, unsigned long calls)
{
	uint64_t random = seed + number * 0x1000003;
	static struct world w;

	become(&w, number, rnd(&random));
	shake_start(&w, rnd(&random), one_in(&random, 4));
	while (me->calls < calls) {
		if (make_call(&w, me))
			__atomic_fetch_add(&me->calls, 1, __ATOMIC_RELAXED);
	}
	if (one_in(&random, 2))
		shake_stop();
	_exit(0);
}

static void start_program(struct program *program, uint64_t number,
			  unsigned long calls)
{
	uint64_t random = seed + number * 0x10003;

	memset(program, 0, sizeof(*program));
	program->since = now_ms();
	if (one_in(&random, 4))
		program->kill_at = now_ms() + rnd(&random) % 1500;
	program->pid = fork();
	CHECK(program->pid >= 0);
	if (!program->pid)
		be_hostile(program, number, calls);
}

static void show_stacks(pid_t pid)
{
	char text[200];

	printf("# tasks of the program that hangs:\n");
	fflush(stdout);
	snprintf(text, sizeof(text),
		 "for t in /proc/%d/task/*; do cat $t/comm $t/wchan $t/stack; done | sed 's/^/# /'",
		 pid);
	if (system(text))
		printf("# (none)\n");
}

/* A call that takes a minute is taken for one that never returns. */
static void check_moves(struct program *program)
{
	unsigned long calls = __atomic_load_n(&program->calls, __ATOMIC_RELAXED);

	if (calls != program->seen) {
		program->seen = calls;
		program->since = now_ms();
	}
	if (now_ms() - program->since < HUNG_MS * limit_factor())
		return;
	show_stacks(program->pid);
	printf("# \"%s\" does not return, after %lu calls\n",
	       all.calls[program->at]->name, calls);
	fail(__FILE__, __LINE__, "each call returns");
}

/* The kernel may have written an answer where a changed pointer said. */
static bool is_own_fault(int number)
{
	return number == SIGSEGV || number == SIGBUS;
}

/* The end of one, of whichever kind; false: it goes on. */
static bool reap(struct program *program)
{
	int status;

	if (program->kill_at && now_ms() > program->kill_at) {
		kill(program->pid, SIGKILL);
		program->kill_at = 0;
	}
	if (!waitpid(program->pid, &status, WNOHANG)) {
		check_moves(program);
		return false;
	}
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		shared->killed++;
	else if (WIFSIGNALED(status) && is_own_fault(WTERMSIG(status)))
		shared->crashed++;
	else if (WIFEXITED(status) && !WEXITSTATUS(status))
		shared->ended++;
	else
		CHECK_EQ(status, 0);
	program->pid = 0;
	return true;
}

static void run_programs(unsigned long calls, uint64_t *number)
{
	unsigned long goal = shared->total + calls;
	struct program *program;
	unsigned int i, running;

	do {
		running = 0;
		for (i = 0; i < PROGRAMS; i++) {
			program = &shared->programs[i];
			if (program->pid && !reap(program)) {
				running++;
				continue;
			}
			if (shared->total < goal) {
				start_program(program, (*number)++, CALLS_EACH);
				running++;
			}
		}
		sleep_ms(5);
	} while (running);
}

static long memory_of(const char *word)
{
	char line[200];
	long n = 0;
	FILE *file;

	file = fopen("/proc/meminfo", "r");
	CHECK(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, word, strlen(word)))
			n = strtol(line + strlen(word), NULL, 10);
	fclose(file);
	return n;
}

/* Idle workers of the kernel's pools stay for some minutes. */
static long count_threads(void)
{
	char comm[40], state;
	long threads = 0;
	glob_t found;
	size_t i;
	FILE *file;

	CHECK_EQ(glob("/proc/[0-9]*/stat", 0, NULL, &found), 0);
	for (i = 0; i < found.gl_pathc; i++) {
		file = fopen(found.gl_pathv[i], "r");
		if (!file)
			continue;
		if (fscanf(file, "%*d (%39[^)]) %c", comm, &state) == 2)
			threads += strncmp(comm, "kworker", 7) || state == 'D' ||
				   state == 'S';
		fclose(file);
	}
	globfree(&found);
	return threads;
}

static struct usage usage_now(void)
{
	struct usage usage;

	write_file("/proc/sys/vm/drop_caches", "3");
	usage.kernel_kb = memory_of("SUnreclaim:") + memory_of("VmallocUsed:") +
			  memory_of("Percpu:") + memory_of("KernelStack:") +
			  memory_of("PageTables:");
	usage.threads = count_threads();
	return usage;
}

static void find_devices(void)
{
	char path[30], name[40];
	struct host host;
	glob_t found;
	FILE *file;
	size_t n;
	int i;

	CHECK_EQ(glob("/sys/class/infiniband_verbs/uverbs*/ibdev", 0, NULL, &found), 0);
	for (n = 0; n < found.gl_pathc; n++) {
		file = fopen(found.gl_pathv[n], "r");
		CHECK(file && fscanf(file, "%39s", name) == 1);
		fclose(file);
		CHECK(sscanf(found.gl_pathv[n], "/sys/class/infiniband_verbs/%29[^/]",
			     path) == 1);
		for (i = 0; i < DEVICES; i++)
			if (name[3] == '0' + i && !strncmp(name, "rxe", 3))
				snprintf(around.paths[i], sizeof(around.paths[i]),
					 "/dev/infiniband/%s", path);
	}
	globfree(&found);
	for (i = 0; i < DEVICES; i++) {
		CHECK(around.paths[i][0]);
		host_open(&host, i);
		for (n = 0; n < 2; n++) {
			memcpy(around.gids[i][n], host.gids[n].gid.raw, 16);
			around.gid_index[i][n] = host.gids[n].index;
		}
		host_close(&host);
	}
}

static void make_buffers(void)
{
	struct buffer buffer;
	int i;

	around.buffer_len = BUFFER_BYTES;
	for (i = 0; i < BUFFERS; i++)
		around.buffers[i] = buffer_try(&buffer) ? buffer.fd : -1;
}

static unsigned long wanted_calls(void)
{
	const char *text = getenv("HOSTILE_CALLS");

	if (text && atol(text) > 0)
		return atol(text);
	return getenv("LONG_TESTS") ? 1000000 : 100000;
}

static bool as_it_should(const struct tally *tally, bool refused)
{
	return refused ? !tally->worked && tally->tried : tally->worked;
}

static bool each_has_worked(void)
{
	unsigned int i;

	for (i = 0; i < all.n; i++)
		if (!as_it_should(&shared->calls[i], all.calls[i]->refused))
			return false;
	for (i = 0; i < DEEDS; i++)
		if (!as_it_should(&shared->deeds[i], false))
			return false;
	return true;
}

static void hostile_programs(void)
{
	unsigned long calls = wanted_calls();
	uint64_t number = 0;
	int more;

	find_devices();
	make_buffers();
	group_own("hostile");
	group_write("memory.max", GROUP_LIMIT);
	write_file("/proc/self/oom_score_adj", "-1000");
	resources_get(&shared->resources);

	/* the kernel's own caches are as large as they get */
	test_at("HOSTILE_SEED=%#llx", (unsigned long long)seed);
	run_programs(calls / 10, &number);
	sleep_ms(500);
	shared->before = usage_now();
	run_programs(calls - calls / 10, &number);
	/* what is rare may need luck */
	for (more = 0; more < MORE && !each_has_worked(); more++)
		run_programs(calls / 10, &number);
	printf("# %lu calls; %lu programs ended, %lu crashed\n", shared->total,
	       shared->ended, shared->crashed);
	printf("# %lu were killed, of them %lu by the group's limit\n", shared->killed,
	       group_read("memory.events", "oom_kill "));
	shared->ran = true;
}

static void need_programs(void)
{
	if (!shared->ran)
		skip("hostile programs have not run to their end");
}

static bool show(const char *name, const struct tally *tally, bool refused)
{
	printf("# %-34s %7lu tried %7lu worked\n", name, tally->tried, tally->worked);
	return as_it_should(tally, refused);
}

static void each_worked(void)
{
	unsigned int i, wrong = 0;

	need_programs();
	for (i = 0; i < all.n; i++)
		if (!show(all.calls[i]->name, &shared->calls[i],
			  all.calls[i]->refused)) {
			printf("#   %s\n", all.calls[i]->refused ?
					   "is to be tried, and refused" : "never worked");
			wrong++;
		}
	for (i = 0; i < DEEDS; i++)
		if (!show(deed_names[i], &shared->deeds[i], false)) {
			printf("#   never\n");
			wrong++;
		}
	CHECK_EQ(wrong, 0);
}

/* kB that the kernel's caches may take more, whatever runs */
#define SLACK_KB	4096

static void nothing_stays(void)
{
	unsigned long long end = now_ms() + HUNG_MS * limit_factor();
	struct usage now;

	need_programs();
	resources_check(&shared->resources);
	for (;;) {
		now = usage_now();
		if (now.threads <= shared->before.threads &&
		    now.kernel_kb < shared->before.kernel_kb + SLACK_KB)
			break;
		if (now_ms() > end)
			break;
		sleep_ms(500);
	}
	printf("# kernel memory: %ld kB before, %ld kB now; threads: %ld, %ld\n",
	       shared->before.kernel_kb, now.kernel_kb, shared->before.threads,
	       now.threads);
	CHECK(now.threads <= shared->before.threads);
	CHECK(now.kernel_kb < shared->before.kernel_kb + SLACK_KB);
}

static void others_work(void)
{
	need_programs();
	check_works();
}

static struct test tests[] = {
	{ "hostile programs", hostile_programs, 600 },
	{ "each kind of call of hostile programs", each_worked },
	{ "what hostile programs leave behind", nothing_stays },
	{ "a program after hostile ones", others_work },
	{}
};

int main(int argc, char **argv)
{
	seed = seed_from("HOSTILE_SEED");
	if (getenv("LONG_TESTS"))
		tests[0].seconds = 3600;
	list_calls();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	host_tests(tests, argv + 1);
}
