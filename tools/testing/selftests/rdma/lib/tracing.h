/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What a test reads in the kernel's trace. */
#ifndef TRACING_H
#define TRACING_H

#define TRACING	"/sys/kernel/tracing/"

/* tracefs is there, and the trace is empty; skips without */
void trace_begin(void);
/* text, to a file of tracefs; skips where there is none */
void trace_write(const char *file, const char *text);
/* how many of the trace's lines have @a and @b in them */
int trace_lines(const char *a, const char *b);

#endif
