/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What a test asks of the kernel's memory management, and what that tells. */
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

/* one value, to a file of the kernel's that is there */
void write_file(const char *name, const char *text);

/* the number of the page that is mapped there; 0: none is */
unsigned long page_frame(const void *at);
/* its page is marked as used, apart from the page table that it is in */
bool page_referenced(const void *at);
bool any_present(const void *addr, size_t len);
unsigned long pages_present(const void *addr, size_t len);

/*
 * Tests get a disk to scribble on by SCRATCH_DEV of the environment, and one of
 * persistent memory by SCRATCH_PMEM.
 */
const char *scratch(const char *variable);
/* nobody uses the disk any more */
void scratch_free(void);
/* there is swap: what there is already, or SCRATCH_DEV; skips without */
void need_swap(void);
/*
 * Every page goes to the swap or the file that it is of. Those that wait in a
 * CPU's list to be put on the LRU go from there only, so each CPU has its turn.
 */
void page_out(void *addr, size_t len);

/*
 * A userfaultfd for memory, of UFFDIO_REGISTER_MODE_*: a fault sleeps until it has
 * been answered or the descriptor is closed. -1: the kernel has not got that.
 */
int userfaultfd_on(void *addr, size_t len, unsigned long mode);
/* the same for missing pages; skips where there is none */
int miss_pages(void *addr, size_t len);
/* the page that somebody waits for; NULL: nobody has for that long */
void *userfaultfd_wait(int fd, unsigned int ms);
/* the same, which is sure to come: hanging is a failure */
void *userfaultfd_wanted(int fd);
/* provide it */
void userfaultfd_copy(int fd, void *page, const void *content);

/* new memory, without a page as yet, that begins where a huge page could */
void *map_aligned(size_t len);

/*
 * Get into a control group of our own, rxe-NAME-PID. It stays, empty, when the
 * process has ended: groups of the tests before are removed. Skips without.
 */
void group_own(const char *name);
void group_write(const char *file, const char *text);
/* the number behind a word, or the file's only one */
unsigned long group_read(const char *file, const char *word);

#endif
