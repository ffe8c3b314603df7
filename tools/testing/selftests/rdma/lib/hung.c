// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#define _GNU_SOURCE
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hung.h"

/* so many are printed, of the hundreds that a test may have */
#define THREADS		40
#define COUNTERS	"/sys/class/infiniband/*/ports/1/hw_counters/*"

/* The start of a small file, without the newline at its end; "": not readable. */
static void read_start(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "r");
	size_t n = 0;

	if (file) {
		n = fread(text, 1, size - 1, file);
		fclose(file);
	}
	while (n && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
}

/* The state and the process group of a thread, behind its name, which may have blanks. */
static int read_stat(const char *dir, char *state, pid_t *group)
{
	char path[300], text[600], *end;

	snprintf(path, sizeof(path), "%s/stat", dir);
	read_start(path, text, sizeof(text));
	end = strrchr(text, ')');
	return end && sscanf(end, ") %c %*d %d", state, group) == 2;
}

static void print_stack(const char *dir)
{
	char path[300], text[2000], *line, *rest;

	snprintf(path, sizeof(path), "%s/stack", dir);
	read_start(path, text, sizeof(text));
	for (line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		printf("#     %s\n", line);
}

static void print_thread(const char *dir, char state)
{
	char path[300], name[40], wait[100];

	snprintf(path, sizeof(path), "%s/comm", dir);
	read_start(path, name, sizeof(name));
	snprintf(path, sizeof(path), "%s/wchan", dir);
	read_start(path, wait, sizeof(wait));
	printf("#   %s %s: %c, %s\n", strrchr(dir, '/') + 1, name, state, wait);
	print_stack(dir);
}

static void print_threads(pid_t group)
{
	unsigned int printed = 0;
	glob_t found = {};
	pid_t its_group;
	char state;
	size_t i;

	glob("/proc/[0-9]*/task/[0-9]*", 0, NULL, &found);
	for (i = 0; i < found.gl_pathc && printed < THREADS; i++) {
		if (!read_stat(found.gl_pathv[i], &state, &its_group) ||
		    its_group != group)
			continue;
		print_thread(found.gl_pathv[i], state);
		printed++;
	}
	globfree(&found);
}

static void print_counters(void)
{
	glob_t found = {};
	char text[40];
	size_t i;

	glob(COUNTERS, 0, NULL, &found);
	for (i = 0; i < found.gl_pathc; i++) {
		read_start(found.gl_pathv[i], text, sizeof(text));
		if (*text && strcmp(text, "0"))
			printf("#   %s: %s\n",
			       found.gl_pathv[i] + strlen("/sys/class/infiniband/"),
			       text);
	}
	globfree(&found);
}

void hung_report(pid_t group)
{
	char load[100];

	read_start("/proc/loadavg", load, sizeof(load));
	printf("#   load %s\n", load);
	print_threads(group);
	print_counters();
}
