/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Events of the driver: QPs that wait for pages, and go on. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rdma_rxe

#if !defined(RXE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define RXE_TRACE_H

#include <linux/tracepoint.h>

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
	TP_PROTO(u32 qpn, int direction, unsigned long addr, size_t need,
		 size_t ahead, bool write),
	TP_ARGS(qpn, direction, addr, need, ahead, write),
	TP_STRUCT__entry(
		__field(u32, qpn)
		__field(int, direction)
		__field(unsigned long, addr)
		__field(size_t, need)
		__field(size_t, ahead)
		__field(bool, write)
	),
	TP_fast_assign(
		__entry->qpn = qpn;
		__entry->direction = direction;
		__entry->addr = addr;
		__entry->need = need;
		__entry->ahead = ahead;
		__entry->write = write;
	),
	TP_printk("qpn=%#x %s addr=%#lx need=%zu ahead=%zu %s", __entry->qpn,
		  show_rxe_direction(__entry->direction), __entry->addr,
		  __entry->need, __entry->ahead,
		  __entry->write ? "write" : "read")
);

/* The fault has ended, with the memory or an error: the direction goes on. */
TRACE_EVENT(rxe_resume,
	TP_PROTO(u32 qpn, int direction, int err),
	TP_ARGS(qpn, direction, err),
	TP_STRUCT__entry(
		__field(u32, qpn)
		__field(int, direction)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->qpn = qpn;
		__entry->direction = direction;
		__entry->err = err;
	),
	TP_printk("qpn=%#x %s err=%d", __entry->qpn,
		  show_rxe_direction(__entry->direction), __entry->err)
);

/* The direction no longer waits for its fault, as when the QP is reset. */
TRACE_EVENT(rxe_abandon,
	TP_PROTO(u32 qpn, int direction),
	TP_ARGS(qpn, direction),
	TP_STRUCT__entry(
		__field(u32, qpn)
		__field(int, direction)
	),
	TP_fast_assign(
		__entry->qpn = qpn;
		__entry->direction = direction;
	),
	TP_printk("qpn=%#x %s", __entry->qpn,
		  show_rxe_direction(__entry->direction))
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH wait
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#include <trace/define_trace.h>
