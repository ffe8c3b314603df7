/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Paging, userfaultfd and control groups, as tests use them. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#define PAGE_BYTES	4096UL
#define HUGE_BYTES	(2UL << 20)

#ifndef MADV_COLD
#define MADV_COLD	20
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/* write a value to a file of sysfs or procfs, which must exist */
void write_file(const char *name, const char *text);

/* no huge pages there, where the kernel has any (one with PREEMPT_RT does not) */
void small_pages(void *addr, size_t len);

/* the PFN of the page that is mapped there; 0: none is */
unsigned long page_frame(const void *at);
/* whether its page has PG_referenced, whatever the page table says */
bool page_referenced(const void *at);
bool any_present(const void *addr, size_t len);
unsigned long pages_present(const void *addr, size_t len);

/*
 * Tests get a disk to scribble on by SCRATCH_DEV of the environment, and one of
 * persistent memory by SCRATCH_PMEM.
 */
const char *scratch(const char *variable);
/* free the disk: switch swap on it off */
void scratch_free(void);
/* make sure that there is swap, if need be on SCRATCH_DEV; skips without */
void need_swap(void);
/*
 * Reclaim every page, to the swap or to its file. Pages in a per-CPU LRU batch
 * are reclaimed only from that CPU, so each CPU has its turn.
 */
void page_out(void *addr, size_t len);

/*
 * A userfaultfd for memory, of UFFDIO_REGISTER_MODE_*: a fault sleeps until it has
 * been answered or the descriptor is closed. -1: the kernel does not have the mode.
 */
int userfaultfd_on(void *addr, size_t len, unsigned long mode);
/* the same for missing pages; skips where there is none */
int miss_pages(void *addr, size_t len);
/* the page that a fault waits for; NULL: no fault came within @ms */
void *userfaultfd_wait(int fd, unsigned int ms);
/* the same, for a fault that must come: hanging is a failure */
void *userfaultfd_wanted(int fd);
/* provide the page */
void userfaultfd_copy(int fd, void *page, const void *content);

/* new memory, not populated, aligned to a huge page */
void *map_aligned(size_t len);

/*
 * Enter a new control group, rxe-NAME-PID. It stays, empty, when the process has
 * ended; groups of earlier tests are removed here. Skips without memcg.
 */
void group_own(const char *name);
void group_write(const char *file, const char *text);
/* open a file of it, to be written by pwrite() */
int group_open(const char *file);
/* the number behind a word, or the file's only one */
unsigned long group_read(const char *file, const char *word);

#endif
