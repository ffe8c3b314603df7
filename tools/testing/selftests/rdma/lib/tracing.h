/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The kernel's trace, as tests read it. */
#ifndef TRACING_H
#define TRACING_H

#include <stdbool.h>

#define TRACING	"/sys/kernel/tracing/"

/* mount tracefs, and empty the trace; skips without tracefs */
void trace_begin(void);
/* write text to a file of tracefs; skips if there is none */
void trace_write(const char *file, const char *text);
/* count the trace's lines that have both @a and @b */
int trace_lines(const char *a, const char *b);

/* count look-ups of pages from here on; false: the kernel has no kprobes */
bool look_ups_begin(void);
/* those of all callers since then; 0 without kprobes */
unsigned long look_ups(void);
void look_ups_end(void);

#endif
