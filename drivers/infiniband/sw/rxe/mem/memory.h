/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The memory of regions: looked up, pinned and accounted once, however many
 * regions share it, one after the other.
 */
#ifndef RXE_MEMORY_H
#define RXE_MEMORY_H

#include <linux/refcount.h>
#include <linux/types.h>

struct dma_buf;
struct ib_device;
struct ib_umem;
struct mm_struct;
struct odp_umem;
struct page;
struct rxe_ucontext;

/**
 * struct rxe_memory - the memory of regions
 * @refs: of the regions that share it
 * @mm: of the process that has registered it, held by @umem or @odp; NULL: it
 *	belongs to no process
 * @umem: of pinned memory
 * @pages: of pinned memory
 * @odp: memory paged on demand
 * @dmabuf: a buffer of another device's driver, held
 * @kaddr: where all of @dmabuf is mapped
 */
struct rxe_memory {
	refcount_t refs;
	struct mm_struct *mm;
	struct ib_umem *umem;
	struct page **pages;
	struct odp_umem *odp;
	struct dma_buf *dmabuf;
	void *kaddr;
};

struct rxe_memory *rxe_memory_alloc(void);
struct rxe_memory *rxe_memory_pin(struct ib_device *ibdev, u64 start,
				  u64 length, int access);
struct rxe_memory *rxe_memory_register_odp(struct rxe_ucontext *uctx,
					   u64 start, u64 length, int access);
struct rxe_memory *rxe_memory_get(struct rxe_memory *memory);
void rxe_memory_put(struct rxe_memory *memory);

bool rxe_memory_is_foreign(const struct rxe_memory *memory);
int rxe_memory_allow(struct rxe_memory *memory, int access);
bool rxe_is_hugetlb(u64 start, u64 length);

#endif
