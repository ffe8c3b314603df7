/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The differences between the kernels that the driver is built for. */
#ifndef RXE_COMPAT_H
#define RXE_COMPAT_H

#include <linux/hrtimer.h>
#include <linux/hugetlb_inline.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/timer.h>
#include <linux/version.h>
#include <rdma/ib_umem.h>

/*
 * Per-CPU data is guarded by BH being disabled: one task of a CPU at a time. From 6.18
 * on PREEMPT_RT keeps to that only where it is configured to.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0) && defined(CONFIG_PREEMPT_RT) && \
	!defined(CONFIG_PREEMPT_RT_NEEDS_BH_LOCK)
#error "PREEMPT_RT is supported with CONFIG_PREEMPT_RT_NEEDS_BH_LOCK only"
#endif

/* RDMA core */

#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 2, 0)
#define rxe_umem_get ib_umem_get_va
#else
#define rxe_umem_get ib_umem_get
#endif

/* 6.12: create_cq() gets the uverbs attributes instead of the udata */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
#define RXE_CREATE_CQ_ARG	struct uverbs_attr_bundle *attrs
#define rxe_create_cq_udata()	(attrs ? &attrs->driver_udata : NULL)
#else
#define RXE_CREATE_CQ_ARG	struct ib_udata *udata
#define rxe_create_cq_udata()	udata
#endif

/* 7.2: resizing is for programs only, and takes an unsigned number */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 2, 0)
#define rxe_resize_cq_op	resize_user_cq
typedef unsigned int rxe_cqe_t;
#else
#define rxe_resize_cq_op	resize_cq
typedef int rxe_cqe_t;
#endif

/* 6.17: takes a DMA handle; this driver does not make any */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
#define RXE_REG_USER_MR_ARGS	struct ib_dmah *dmah, struct ib_udata *udata
#else
#define RXE_REG_USER_MR_ARGS	struct ib_udata *udata
#endif

/* 6.12: reg_user_mr_dmabuf() gets the attributes instead of the udata */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
#define RXE_REG_DMABUF_ARGS	struct ib_dmah *dmah, \
				struct uverbs_attr_bundle *attrs
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#define RXE_REG_DMABUF_ARGS	struct uverbs_attr_bundle *attrs
#else
#define RXE_REG_DMABUF_ARGS	struct ib_udata *udata
#endif

/* 6.14: the core reports port events itself, unless the driver does */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
#define RXE_REPORT_PORT_EVENT_OP	\
	.report_port_event = rxe_report_port_event,
#else
#define RXE_REPORT_PORT_EVENT_OP
#endif

/* 6.12: details of shared receive queues */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#define RXE_FILL_RES_SRQ_OP	\
	.fill_res_srq_entry = rxe_fill_res_srq,
#else
#define RXE_FILL_RES_SRQ_OP
#endif

/* 6.3: flush and atomic write */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define IB_OPCODE_RC_FLUSH		0x1c
#define IB_OPCODE_RC_ATOMIC_WRITE	0x1d
#define IB_WR_FLUSH			14
#define IB_WR_ATOMIC_WRITE		15
#define IB_WC_FLUSH			8
#define IB_WC_ATOMIC_WRITE		9
#define IB_ACCESS_FLUSH_GLOBAL		0x100
#define IB_ACCESS_FLUSH_PERSISTENT	0x200

struct rxe_flush_wr {
	__aligned_u64 remote_addr;
	__u32 length;
	__u32 rkey;
	__u8 type;
	__u8 level;
};

#define rxe_wr_flush(send_wr)	((const struct rxe_flush_wr *)&(send_wr)->wr)
#define RXE_PLACEMENT_CAPS	0
#define RXE_ODP_PLACEMENT_CAPS	0
#else
#define rxe_wr_flush(send_wr)	(&(send_wr)->wr.flush)
#define RXE_PLACEMENT_CAPS	(IB_DEVICE_FLUSH_GLOBAL | IB_DEVICE_ATOMIC_WRITE)
/* IB_UVERBS_ODP_SUPPORT_FLUSH and _ATOMIC_WRITE, which came later */
#define RXE_ODP_PLACEMENT_CAPS	(BIT(6) | BIT(7))
#endif

/* 6.14: crc32_le() uses the processor's instructions for CRCs */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
#define RXE_CRC_OF_CRYPTO
#endif

/* network; before 7.2 IPv6 can be a module, and tunnels take a struct socket */

#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 2, 0)
#define rxe_ip6_dst_lookup_flow	ip6_dst_lookup_flow
#define rxe_tunnel_sock(sock)	((sock)->sk)
#else
#include <net/ipv6_stubs.h>
#define rxe_ip6_dst_lookup_flow	ipv6_stub->ipv6_dst_lookup_flow
#define rxe_tunnel_sock(sock)	(sock)
#endif

/* 7.2: per-CPU workqueues, the default before, need a flag */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 2, 0)
#define RXE_WQ_PERCPU	WQ_PERCPU
#else
#define RXE_WQ_PERCPU	0
#endif

/* dma-buf; 6.2: callers without the buffer's lock use another function */

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define rxe_dma_buf_vmap	dma_buf_vmap_unlocked
#define rxe_dma_buf_vunmap	dma_buf_vunmap_unlocked
#else
#define rxe_dma_buf_vmap	dma_buf_vmap
#define rxe_dma_buf_vunmap	dma_buf_vunmap
#endif

/* 6.13: the namespace is a string */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define RXE_IMPORT_NS_DMA_BUF	MODULE_IMPORT_NS("DMA_BUF")
#else
#define RXE_IMPORT_NS_DMA_BUF	MODULE_IMPORT_NS(DMA_BUF)
#endif

/* timers */

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#define timer_container_of	from_timer
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

/* 6.1 does not have it */
#ifndef lockdep_assert_in_rcu_read_lock
#define lockdep_assert_in_rcu_read_lock()	\
	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "RCU is not read-locked")
#endif

/* 6.3: a mapping's flags are changed through functions only */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma,
				unsigned long flags)
{
	vma->vm_flags |= flags;
}
#endif

/* ODP core */

static inline long odp_get_user_pages_remote(struct mm_struct *mm,
					     unsigned long start,
					     unsigned long nr,
					     unsigned int flags,
					     struct page **pages, int *locked)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
	return get_user_pages_remote(mm, start, nr, flags, pages, NULL, locked);
#else
	return get_user_pages_remote(mm, start, nr, flags, pages, locked);
#endif
}

/*
 * How many pages get_user_pages_remote() can look up with FOLL_NOFAULT: before
 * 6.5 it faults in those of hugetlbfs all the same. The mmap_lock is held.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
static inline unsigned long odp_pages_nofault(struct mm_struct *mm,
					      unsigned long addr,
					      unsigned long nr)
{
	struct vm_area_struct *vma = vma_lookup(mm, addr);

	if (!vma)
		return nr;
	if (is_vm_hugetlb_page(vma))
		return 0;
	return min(nr, (vma->vm_end - addr) >> PAGE_SHIFT);
}
#else
static inline unsigned long odp_pages_nofault(struct mm_struct *mm,
					      unsigned long addr,
					      unsigned long nr)
{
	return nr;
}
#endif

/* the return type of an mmu_notifier's aging callbacks */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
typedef int odp_young_t;
#else
typedef bool odp_young_t;
#endif

#endif
