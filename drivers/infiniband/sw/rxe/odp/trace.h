/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Events of the on-demand paging core: what happens to the pages of a umem. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rdma_odp

#if !defined(ODP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define ODP_TRACE_H

#include <linux/tracepoint.h>
#include <rdma/odp_umem.h>

/* Pages are to be faulted in, for an access or a prefetch. */
TRACE_EVENT(odp_fault,
	TP_PROTO(const struct odp_umem *umem, unsigned long addr, size_t len,
		 unsigned int flags),
	TP_ARGS(umem, addr, len, flags),
	TP_STRUCT__entry(
		__field(const void *, umem)
		__field(pid_t, pid)
		__field(unsigned long, addr)
		__field(size_t, len)
		__field(unsigned int, flags)
	),
	TP_fast_assign(
		__entry->umem = umem;
		__entry->pid = odp_umem_pid(umem);
		__entry->addr = addr;
		__entry->len = len;
		__entry->flags = flags;
	),
	TP_printk("umem=%p pid=%d addr=%#lx len=%zu flags=%s", __entry->umem,
		  __entry->pid, __entry->addr, __entry->len,
		  __print_flags(__entry->flags, "|",
				{ ODP_FAULT_WRITE, "write" },
				{ ODP_FAULT_PREFETCH, "prefetch" },
				{ ODP_FAULT_PRESENT, "present" },
				{ ODP_FAULT_TRY, "try" },
				{ ODP_FAULT_NOWAIT, "nowait" }))
);

/* Pages were looked up and can be accessed; @added of them could not before. */
TRACE_EVENT(odp_publish,
	TP_PROTO(const struct odp_umem *umem, unsigned long addr,
		 unsigned long nr, int added),
	TP_ARGS(umem, addr, nr, added),
	TP_STRUCT__entry(
		__field(const void *, umem)
		__field(pid_t, pid)
		__field(unsigned long, addr)
		__field(unsigned long, nr)
		__field(int, added)
	),
	TP_fast_assign(
		__entry->umem = umem;
		__entry->pid = odp_umem_pid(umem);
		__entry->addr = addr;
		__entry->nr = nr;
		__entry->added = added;
	),
	TP_printk("umem=%p pid=%d addr=%#lx pages=%lu added=%d", __entry->umem,
		  __entry->pid, __entry->addr, __entry->nr, __entry->added)
);

/* A look-up was thrown away, as a notifier started over its pages meanwhile. */
TRACE_EVENT(odp_retry,
	TP_PROTO(const struct odp_umem *umem, unsigned long addr,
		 unsigned long nr),
	TP_ARGS(umem, addr, nr),
	TP_STRUCT__entry(
		__field(const void *, umem)
		__field(pid_t, pid)
		__field(unsigned long, addr)
		__field(unsigned long, nr)
	),
	TP_fast_assign(
		__entry->umem = umem;
		__entry->pid = odp_umem_pid(umem);
		__entry->addr = addr;
		__entry->nr = nr;
	),
	TP_printk("umem=%p pid=%d addr=%#lx pages=%lu", __entry->umem,
		  __entry->pid, __entry->addr, __entry->nr)
);

/* A notifier ran over a part of a umem, and @zapped pages were unpublished. */
TRACE_EVENT(odp_invalidate,
	TP_PROTO(const struct odp_umem *umem, unsigned long start,
		 unsigned long end, unsigned long zapped),
	TP_ARGS(umem, start, end, zapped),
	TP_STRUCT__entry(
		__field(const void *, umem)
		__field(pid_t, pid)
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(unsigned long, zapped)
	),
	TP_fast_assign(
		__entry->umem = umem;
		__entry->pid = odp_umem_pid(umem);
		__entry->start = start;
		__entry->end = end;
		__entry->zapped = zapped;
	),
	TP_printk("umem=%p pid=%d start=%#lx end=%#lx zapped=%lu",
		  __entry->umem, __entry->pid, __entry->start, __entry->end, __entry->zapped)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH odp
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#include <trace/define_trace.h>
