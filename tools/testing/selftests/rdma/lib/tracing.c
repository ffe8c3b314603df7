// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "ktap_test.h"
#include "tracing.h"

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
