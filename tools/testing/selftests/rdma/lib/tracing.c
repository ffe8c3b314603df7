// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "ktap_test.h"
#include "tracing.h"

#define PROBES		TRACING "kprobe_events"
#define LOOK_UPS	TRACING "events/kprobes/rxe_look_ups/enable"

void trace_write(const char *file, const char *text)
{
	FILE *f = fopen(file, "w");

	if (!f)
		skip("no tracing in this kernel");
	CHECK(fputs(text, f) >= 0);
	CHECK_EQ(fclose(f), 0);
}

void trace_begin(void)
{
	/* fails where it is mounted already */
	mount("tracefs", TRACING, "tracefs", 0, NULL);
	trace_write(TRACING "trace", "");
}

int trace_lines(const char *a, const char *b)
{
	FILE *f = fopen(TRACING "trace", "r");
	char line[400];
	int n = 0;

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, a) && strstr(line, b);
	CHECK_EQ(fclose(f), 0);
	return n;
}

bool look_ups_begin(void)
{
	trace_begin();
	if (access(PROBES, W_OK))
		return false;
	/* of a test that has failed */
	if (!access(LOOK_UPS, W_OK))
		trace_write(LOOK_UPS, "0");
	trace_write(PROBES, "p:rxe_look_ups get_user_pages_remote\n");
	trace_write(LOOK_UPS, "1");
	return true;
}

unsigned long look_ups(void)
{
	FILE *file = fopen(TRACING "kprobe_profile", "r");
	unsigned long hits, n = 0;
	char line[200];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " rxe_look_ups %lu", &hits) == 1)
			n = hits;
	fclose(file);
	return n;
}

void look_ups_end(void)
{
	trace_write(LOOK_UPS, "0");
	trace_write(PROBES, "");
}
