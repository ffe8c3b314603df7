/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Events of the driver: QPs that wait for pages, and go on. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rdma_rxe

#if !defined(RXE_WAIT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define RXE_WAIT_TRACE_H

#include <linux/tracepoint.h>
#include <rdma/odp_umem.h>

#include "base/dev.h"
#include "wait/anchor.h"
#include "wait/direction.h"

TRACE_DEFINE_ENUM(RXE_REQUESTER);
TRACE_DEFINE_ENUM(RXE_COMPLETER);
TRACE_DEFINE_ENUM(RXE_RESPONDER);

#define show_rxe_direction(direction)					\
	__print_symbolic(direction,					\
			 { RXE_REQUESTER, "requester" },		\
			 { RXE_COMPLETER, "completer" },		\
			 { RXE_RESPONDER, "responder" })

/* A direction of a QP parks, as memory that it needs is not present. */
TRACE_EVENT(rxe_park,
	TP_PROTO(const struct rxe_direction *dir, const struct odp_umem *umem,
		 unsigned long addr, size_t need, size_t ahead, bool write),
	TP_ARGS(dir, umem, addr, need, ahead, write),
	TP_STRUCT__entry(
		__array(char, dev, IB_DEVICE_NAME_MAX)
		__field(u32, qpn)
		__field(int, direction)
		__field(const void *, umem)
		__field(pid_t, pid)
		__field(unsigned long, addr)
		__field(size_t, need)
		__field(size_t, ahead)
		__field(bool, write)
	),
	TP_fast_assign(
		strscpy(__entry->dev, dir->anchor->dev->ibdev.name,
			IB_DEVICE_NAME_MAX);
		__entry->qpn = dir->anchor->qpn;
		__entry->direction = dir->kind;
		__entry->umem = umem;
		__entry->pid = odp_umem_pid(umem);
		__entry->addr = addr;
		__entry->need = need;
		__entry->ahead = ahead;
		__entry->write = write;
	),
	TP_printk("dev=%s qpn=%#x %s umem=%p pid=%d addr=%#lx need=%zu ahead=%zu %s",
		  __entry->dev, __entry->qpn,
		  show_rxe_direction(__entry->direction), __entry->umem,
		  __entry->pid, __entry->addr, __entry->need, __entry->ahead,
		  __entry->write ? "write" : "read")
);

/* The fault has ended, with the memory or an error: the direction goes on. */
TRACE_EVENT(rxe_resume,
	TP_PROTO(const struct rxe_direction *dir, const struct odp_umem *umem,
		 unsigned long addr, size_t need, int err),
	TP_ARGS(dir, umem, addr, need, err),
	TP_STRUCT__entry(
		__array(char, dev, IB_DEVICE_NAME_MAX)
		__field(u32, qpn)
		__field(int, direction)
		__field(const void *, umem)
		__field(pid_t, pid)
		__field(unsigned long, addr)
		__field(size_t, need)
		__field(int, err)
	),
	TP_fast_assign(
		strscpy(__entry->dev, dir->anchor->dev->ibdev.name,
			IB_DEVICE_NAME_MAX);
		__entry->qpn = dir->anchor->qpn;
		__entry->direction = dir->kind;
		__entry->umem = umem;
		__entry->pid = odp_umem_pid(umem);
		__entry->addr = addr;
		__entry->need = need;
		__entry->err = err;
	),
	TP_printk("dev=%s qpn=%#x umem=%p pid=%d addr=%#lx need=%zu %s err=%d",
		  __entry->dev, __entry->qpn, __entry->umem, __entry->pid,
		  __entry->addr, __entry->need,
		  show_rxe_direction(__entry->direction), __entry->err)
);

/*
 * The direction no longer waits for its fault, as when the QP is reset. The memory may
 * be gone by now, as its worker may have ended without the QP: it is only named.
 */
TRACE_EVENT(rxe_abandon,
	TP_PROTO(const struct rxe_direction *dir, const struct odp_umem *umem,
		 unsigned long addr, size_t need),
	TP_ARGS(dir, umem, addr, need),
	TP_STRUCT__entry(
		__array(char, dev, IB_DEVICE_NAME_MAX)
		__field(u32, qpn)
		__field(int, direction)
		__field(const void *, umem)
		__field(unsigned long, addr)
		__field(size_t, need)
	),
	TP_fast_assign(
		strscpy(__entry->dev, dir->anchor->dev->ibdev.name,
			IB_DEVICE_NAME_MAX);
		__entry->qpn = dir->anchor->qpn;
		__entry->direction = dir->kind;
		__entry->umem = umem;
		__entry->addr = addr;
		__entry->need = need;
	),
	TP_printk("dev=%s qpn=%#x %s umem=%p addr=%#lx need=%zu",
		  __entry->dev, __entry->qpn,
		  show_rxe_direction(__entry->direction), __entry->umem,
		  __entry->addr, __entry->need)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH wait
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#include <trace/define_trace.h>
