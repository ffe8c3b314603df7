// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * An access sees the same data as the CPU would at that address.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "user.h"

static void fill(char *buf, size_t len, int seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = i * 31 + (i >> 8) * 7 + seed;
}

#define SIZE	(16 * PAGE)

static void both_ways(void)
{
	static char buf[SIZE], expected[SIZE];
	char *memory = map_memory(2 * LEAF), *base;
	size_t at, len;
	int umem, i;

	umem = umem_writable(memory + 13, 2 * LEAF - 26);
	base = memory + LEAF - SIZE / 2;
	for (i = 0; i < 100; i++) {
		at = i * 977 % (SIZE / 2);
		len = 1 + i * 1231 % (SIZE / 2);
		test_at("%zu bytes at %zu", len, at);
		fill(expected, len, i);
		CHECK_EQ(umem_put(umem, base + at, expected, len), 0);
		CHECK(!memcmp(base + at, expected, len));
		fill(base + at, len, i + 1);
		CHECK_EQ(umem_get(umem, base + at, buf, len), 0);
		CHECK(!memcmp(base + at, buf, len));
	}
	/* not a byte before it or behind it */
	CHECK_EQ(umem_read(umem, memory + 12, buf, 1), -EFAULT);
	CHECK_EQ(umem_read(umem, memory + 2 * LEAF - 14, buf, 2), -EFAULT);
	CHECK_EQ(umem_fault(umem, memory + 12, 1, 0), -EFAULT);
	CHECK_EQ(umem_fault(umem, memory + 13, 2 * LEAF, 0), -EFAULT);
}

static void discarded(void)
{
	char *memory = map_memory(4 * PAGE), byte = 1;
	int umem = umem_writable(memory, 4 * PAGE);

	memset(memory, 1, 4 * PAGE);
	CHECK_EQ(umem_put(umem, memory, &byte, 1), 0);
	CHECK_EQ(madvise(memory, PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(umem_read(umem, memory, &byte, 1), -EAGAIN);
	CHECK_EQ(umem_get(umem, memory, &byte, 1), 0);
	CHECK_EQ(byte, 0);
	/* the zero page is not written to */
	byte = 7;
	CHECK_EQ(umem_put(umem, memory, &byte, 1), 0);
	CHECK_EQ(memory[0], 7);
	CHECK_EQ(umem_get(umem, memory + PAGE, &byte, 1), 0);
	CHECK_EQ(byte, 1);
}

static void unmapped(void)
{
	char *memory = map_memory(4 * PAGE), byte = 3;
	int umem = umem_writable(memory, 4 * PAGE);

	CHECK_EQ(umem_put(umem, memory, &byte, 1), 0);
	CHECK_EQ(munmap(memory, PAGE), 0);
	CHECK_EQ(umem_get(umem, memory, &byte, 1), -EFAULT);
	CHECK_EQ(umem_put(umem, memory, &byte, 1), -EFAULT);
	CHECK_EQ(umem_put(umem, memory + PAGE - 1, "xy", 2), -EFAULT);
	CHECK_EQ(umem_put(umem, memory + PAGE, "y", 1), 0);
	CHECK(mmap(memory, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == memory);
	CHECK_EQ(umem_get(umem, memory, &byte, 1), 0);
	CHECK_EQ(byte, 0);
}

static void protected(void)
{
	char *memory = map_memory(4 * PAGE), byte = 3;
	int umem = umem_writable(memory, 4 * PAGE);

	CHECK_EQ(umem_put(umem, memory, &byte, 1), 0);
	CHECK_EQ(mprotect(memory, PAGE, PROT_READ), 0);
	byte = 9;
	CHECK_EQ(umem_put(umem, memory, &byte, 1), -EFAULT);
	CHECK_EQ(umem_get(umem, memory, &byte, 1), 0);
	CHECK_EQ(byte, 3);
	CHECK_EQ(mprotect(memory, PAGE, PROT_NONE), 0);
	CHECK_EQ(umem_get(umem, memory, &byte, 1), -EFAULT);
	CHECK_EQ(mprotect(memory, PAGE, PROT_READ | PROT_WRITE), 0);
	CHECK_EQ(umem_put(umem, memory, "z", 1), 0);
	CHECK_EQ(memory[0], 'z');
}

static void moved(void)
{
	char *memory = map_memory(4 * PAGE), *there, byte = 3;
	int umem = umem_writable(memory, 4 * PAGE);

	CHECK_EQ(umem_put(umem, memory, &byte, 1), 0);
	there = mremap(memory, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       map_memory(PAGE));
	CHECK(there != MAP_FAILED);
	CHECK_EQ(there[0], 3);
	CHECK_EQ(umem_get(umem, memory, &byte, 1), -EFAULT);
	/* and back: the page that was moved away is seen again */
	there[0] = 8;
	CHECK(mremap(there, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		     memory) == memory);
	CHECK_EQ(umem_get(umem, memory, &byte, 1), 0);
	CHECK_EQ(byte, 8);
}

static void forked(void)
{
	char *memory = map_memory(2 * PAGE), byte = 1;
	int umem = umem_writable(memory, 2 * PAGE), status, fds[2];
	pid_t child;

	CHECK_EQ(umem_put(umem, memory, &byte, 1), 0);
	CHECK_EQ(pipe(fds), 0);
	child = fork();
	if (!child) {
		memory[PAGE] = 5;
		close(fds[1]);
		CHECK_EQ(read(fds[0], &byte, 1), 0);
		_exit(memory[0]);
	}
	byte = 2;
	CHECK_EQ(umem_put(umem, memory, &byte, 1), 0);
	CHECK_EQ(memory[0], 2);
	close(fds[1]);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(WEXITSTATUS(status), 1);
	CHECK_EQ(umem_get(umem, memory + PAGE, &byte, 1), 0);
	CHECK_EQ(byte, 0);
}

static void shared_file(void)
{
	int fd = memfd_create("odp", 0), umem;
	char *memory, *other, byte;

	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, 4 * PAGE), 0);
	memory = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      0);
	other = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(memory != MAP_FAILED && other != MAP_FAILED);
	umem = umem_writable(memory, 4 * PAGE);
	CHECK_EQ(umem_put(umem, memory + 10, "hello", 6), 0);
	CHECK(!strcmp(other + 10, "hello"));
	CHECK_EQ(madvise(memory, 4 * PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(umem_read(umem, memory, &byte, 1), -EAGAIN);
	other[10] = 'j';
	CHECK_EQ(umem_get(umem, memory + 10, &byte, 1), 0);
	CHECK_EQ(byte, 'j');
	/* beyond the end of the file accesses fail, as the CPU gets SIGBUS */
	CHECK_EQ(ftruncate(fd, PAGE), 0);
	CHECK_EQ(umem_get(umem, memory + PAGE, &byte, 1), -EFAULT);
	CHECK_EQ(umem_get(umem, memory + 10, &byte, 1), 0);
}

static void huge_pages(void)
{
	char *memory = map_memory(2 * LEAF), byte;
	int umem = umem_writable(memory, 2 * LEAF), i;

	if (madvise(memory, 2 * LEAF, MADV_HUGEPAGE))
		skip("no transparent huge pages");
	for (i = 0; i < 1024; i++)
		memory[i * PAGE + i] = i;
	CHECK_EQ(umem_fault(umem, memory, 2 * LEAF, ODP_TEST_WRITE), 0);
	CHECK_EQ(umem_state(umem).mapped, 1024);
	/* splits one */
	CHECK_EQ(madvise(memory + 5 * PAGE, PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(mprotect(memory + LEAF, PAGE, PROT_READ), 0);
	for (i = 0; i < 1024; i++) {
		CHECK_EQ(umem_get(umem, memory + i * PAGE + i, &byte, 1), 0);
		CHECK_EQ(byte, i == 5 ? 0 : (char)i);
	}
}

/* Memory without pages: here the firmware's. */
static void no_pages(void)
{
	int fd = open("/dev/mem", O_RDONLY), umem;
	char byte, *memory;

	if (fd < 0)
		skip("no /dev/mem");
	memory = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0xf0000);
	CHECK(memory != MAP_FAILED);
	umem = umem_register(memory, PAGE, 0);
	CHECK(umem >= 0);
	CHECK_EQ(umem_get(umem, memory, &byte, 1), -EFAULT);
}

static void refused(void)
{
	char *memory = map_memory(PAGE);

	CHECK_EQ(umem_register(memory, 0, 0), -EINVAL);
	CHECK_EQ(umem_register(memory, -1UL, 0), -EINVAL);
	CHECK_EQ(umem_register((void *)0xffff888000000000UL, PAGE, 0),
		 -EFAULT);
	CHECK_EQ(umem_register((void *)0xfffffffffff000UL, 2 * PAGE, 0),
		 -EFAULT);
}

/* A fault without a wait does what takes none for the memory's owner, no more. */
static void no_wait(void)
{
	const unsigned int flags = ODP_TEST_WRITE | ODP_TEST_NOWAIT;
	char *fresh = map_memory(4 * PAGE), *late = map_memory(4 * PAGE);
	char page[PAGE] = {};
	int umem, fd;

	umem = umem_writable(fresh, 4 * PAGE);
	CHECK_EQ(umem_fault(umem, fresh, 4 * PAGE, flags), 0);
	CHECK_EQ(umem_state(umem).mapped, 4);
	CHECK_EQ(munmap(fresh, PAGE), 0);
	CHECK_EQ(umem_fault(umem, fresh, PAGE, flags), -EFAULT);

	fd = miss_pages(late, 4 * PAGE);
	umem = umem_writable(late, 4 * PAGE);
	CHECK_EQ(umem_fault(umem, late, 4 * PAGE, flags), -EBUSY);
	/* nobody has been asked for it */
	CHECK(!userfaultfd_wait(fd, 0));
	userfaultfd_copy(fd, late, page);
	CHECK_EQ(umem_fault(umem, late, PAGE, flags), 0);
	CHECK_EQ(umem_fault(umem, late, 4 * PAGE, flags), -EBUSY);
	CHECK_EQ(umem_state(umem).mapped, 1);
	close(fd);
}

/*
 * A file system may have a server: only what is mapped is there for sure. The shell,
 * as the test itself may be in an overlay's tmpfs, and is mapped from there.
 */
static void no_wait_for_a_file(void)
{
	int fd = open("/bin/sh", O_RDONLY), umem;
	char *file;
	struct statfs fs;

	CHECK(fd >= 0);
	CHECK_EQ(fstatfs(fd, &fs), 0);
	if (fs.f_type == TMPFS_MAGIC)
		skip("the shell is in a tmpfs");
	file = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(file != MAP_FAILED);
	umem = umem_register(file, PAGE, 0);
	CHECK(umem >= 0);
	CHECK_EQ(umem_fault(umem, file, PAGE, ODP_TEST_NOWAIT), -EBUSY);
	CHECK_EQ(file[0], 0x7f);
	CHECK_EQ(umem_fault(umem, file, PAGE, ODP_TEST_NOWAIT), 0);
	close(fd);
}

const struct test memory_tests[] = {
	{ "data, both ways, any length and offset", both_ways },
	{ "discarded memory", discarded },
	{ "unmapped memory", unmapped },
	{ "protected memory", protected },
	{ "moved memory", moved },
	{ "memory shared with a child", forked },
	{ "a shared file", shared_file },
	{ "huge pages that split", huge_pages },
	{ "memory without pages", no_pages },
	{ "memory that a fault would have to wait for", no_wait },
	{ "a file, and a fault that is not to wait", no_wait_for_a_file },
	{ "ranges that are refused", refused },
	{}
};
