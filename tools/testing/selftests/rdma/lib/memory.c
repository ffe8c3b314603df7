// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ktap_test.h"
#include "memory.h"

#define PAGE_PRESENT	0x8000000000000000ULL
#define PAGE_FRAME	0x007fffffffffffffULL
#define PAGE_REFERENCED	0x4

void write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY);

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

void small_pages(void *addr, size_t len)
{
	CHECK(!madvise(addr, len, MADV_NOHUGEPAGE) || errno == EINVAL);
}

unsigned long page_frame(const void *at)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry;

	CHECK(fd >= 0);
	CHECK_EQ(pread(fd, &entry, sizeof(entry),
		       (uintptr_t)at / PAGE_BYTES * sizeof(entry)),
		 sizeof(entry));
	close(fd);
	return entry & PAGE_PRESENT ? entry & PAGE_FRAME : 0;
}

bool page_referenced(const void *at)
{
	unsigned long frame = page_frame(at);
	int fd = open("/proc/kpageflags", O_RDONLY);
	uint64_t flags;

	CHECK(frame);
	CHECK(fd >= 0);
	CHECK_EQ(pread(fd, &flags, sizeof(flags), frame * sizeof(flags)),
		 sizeof(flags));
	close(fd);
	return flags & PAGE_REFERENCED;
}

bool any_present(const void *addr, size_t len)
{
	const char *at = addr;

	for (; at < (const char *)addr + len; at += PAGE_BYTES)
		if (page_frame(at))
			return true;
	return false;
}

unsigned long pages_present(const void *addr, size_t len)
{
	const char *at = addr;
	unsigned long n = 0;

	for (; at < (const char *)addr + len; at += PAGE_BYTES)
		n += !!page_frame(at);
	return n;
}

const char *scratch(const char *variable)
{
	const char *name = getenv(variable);

	if (!name || !*name || access(name, F_OK))
		return NULL;
	return name;
}

static bool is_swap(const char *name)
{
	FILE *file = fopen("/proc/swaps", "r");
	char line[200], *found = NULL;

	/* the first line is a heading */
	if (file && fgets(line, sizeof(line), file))
		do
			found = fgets(line, sizeof(line), file);
		while (found && name && strncmp(line, name, strlen(name)));
	if (file)
		fclose(file);
	return found;
}

void scratch_free(void)
{
	const char *disk = scratch("SCRATCH_DEV");

	if (disk && is_swap(disk))
		command("swapoff %s", disk);
}

void need_swap(void)
{
	const char *disk = scratch("SCRATCH_DEV");

	if (is_swap(NULL))
		return;
	if (!disk)
		skip("no swap, and no SCRATCH_DEV");
	command("mkswap %s >/dev/null", disk);
	command("swapon %s", disk);
}

void page_out(void *addr, size_t len)
{
	unsigned long long end = now_ms() + HUNG_MS * limit_factor();
	unsigned int tries;
	cpu_set_t before;

	CHECK_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
	for (tries = 0; any_present(addr, len); tries++) {
		CHECK(now_ms() < end);
		run_on(tries);
		CHECK_EQ(madvise(addr, len, MADV_PAGEOUT), 0);
	}
	CHECK_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
}

int userfaultfd_on(void *addr, size_t len, unsigned long mode)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = mode == UFFDIO_REGISTER_MODE_WP ?
				    UFFD_FEATURE_PAGEFAULT_FLAG_WP : 0,
	};
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)addr, .len = len },
		.mode = mode,
	};
	int fd;

	fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -1;
	if (ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &range)) {
		close(fd);
		return -1;
	}
	return fd;
}

int miss_pages(void *addr, size_t len)
{
	int fd = userfaultfd_on(addr, len, UFFDIO_REGISTER_MODE_MISSING);

	if (fd < 0)
		skip("no userfaultfd");
	return fd;
}

void *userfaultfd_wait(int fd, unsigned int ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	struct uffd_msg msg;

	if (poll(&poll_fd, 1, ms) != 1)
		return NULL;
	CHECK_EQ(read(fd, &msg, sizeof(msg)), sizeof(msg));
	CHECK_EQ(msg.event, UFFD_EVENT_PAGEFAULT);
	return (void *)((uintptr_t)msg.arg.pagefault.address & -PAGE_BYTES);
}

void *userfaultfd_wanted(int fd)
{
	void *page = userfaultfd_wait(fd, HUNG_MS * limit_factor());

	CHECK(page);
	return page;
}

void userfaultfd_copy(int fd, void *page, const void *content)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)page,
		.src = (uintptr_t)content,
		.len = PAGE_BYTES,
	};

	CHECK_EQ(ioctl(fd, UFFDIO_COPY, &copy), 0);
}

void *map_aligned(size_t len)
{
	char *addr = mmap(NULL, len + HUGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(addr != MAP_FAILED);
	return (void *)(((uintptr_t)addr + HUGE_BYTES - 1) & -HUGE_BYTES);
}

static char group[100];

void group_write(const char *file, const char *text)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", group, file);
	write_file(path, text);
}

int group_open(const char *file)
{
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", group, file);
	fd = open(path, O_WRONLY);
	CHECK(fd >= 0);
	return fd;
}

unsigned long group_read(const char *file, const char *word)
{
	char path[200], line[200];
	unsigned long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", group, file);
	f = fopen(path, "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, word, strlen(word)))
			n = strtoul(line + strlen(word), NULL, 10);
	fclose(f);
	return n;
}

void group_own(const char *name)
{
	char root[] = "/tmp/groups.XXXXXX", text[200];

	CHECK(mkdtemp(root));
	if (mount("none", root, "cgroup2", 0, NULL))
		skip("no control groups of version 2");
	snprintf(text, sizeof(text), "echo +memory >%s/cgroup.subtree_control",
		 root);
	if (system(text))
		skip("control groups cannot limit memory here");
	snprintf(text, sizeof(text), "rmdir %s/rxe-%s-* 2>/dev/null", root,
		 name);
	system(text);
	snprintf(group, sizeof(group), "%s/rxe-%s-%d", root, name, getpid());
	CHECK_EQ(mkdir(group, 0755), 0);
	group_write("cgroup.procs", "0");
}
