// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "ktap_test.h"
#include "memory.h"
#include "netns.h"

int enter(const char *ns)
{
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	char path[100];
	int there;

	snprintf(path, sizeof(path), "/run/netns/%s", ns);
	there = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(own >= 0);
	CHECK(there >= 0);
	CHECK_EQ(setns(there, CLONE_NEWNET), 0);
	close(there);
	return own;
}

void leave(int own)
{
	CHECK_EQ(setns(own, CLONE_NEWNET), 0);
	close(own);
}

/* An open file stays that namespace's. */
FILE *open_in(const char *ns, const char *name)
{
	int own = enter(ns);
	char path[100];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/thread-self/net/%s", name);
	file = fopen(path, "re");
	CHECK(file);
	leave(own);
	return file;
}

void set_sysctl(const char *ns, const char *name, const char *value)
{
	int own = enter(ns);
	char path[100];

	test_at("%s of %s is to be %s", name, ns, value);
	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	write_file(path, value);
	leave(own);
}

/* Notes are one line of a test's output. */
static void note_lines(const char *text, char *lines)
{
	char *end;

	for (end = strchr(lines, '\n'); end; end = strchr(end, '\n'))
		*end = ';';
	test_at("%s: %s", text, lines);
}

void ip_lines(const char *ns, const char *fmt, ...)
{
	char lines[1000], text[100];
	va_list args;
	FILE *pipe;
	int len;

	va_start(args, fmt);
	len = vsnprintf(lines, sizeof(lines), fmt, args);
	va_end(args);
	CHECK(len < (int)sizeof(lines));
	snprintf(text, sizeof(text), "ip %s%s -batch -", ns ? "-n " : "",
		 ns ? ns : "");
	pipe = popen(text, "w");
	CHECK(pipe);
	CHECK(fputs(lines, pipe) >= 0);
	note_lines(text, lines);
	CHECK_EQ(pclose(pipe), 0);
}

void link_add(const char *ns, const char *device, const char *netdev)
{
	int own = enter(ns);

	command("rdma link add %s type rxe netdev %s", device, netdev);
	leave(own);
}
