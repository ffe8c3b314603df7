/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Events of the driver: what becomes of QPs, and of packets that do no good. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rdma_rxe

#ifndef RXE_TRACE_ENUMS
#define RXE_TRACE_ENUMS

/* who changes the state of a QP */
enum rxe_state_by {
	RXE_BY_MODIFY,
	RXE_BY_ERROR,
	RXE_BY_DESTROY,
};

/* why requests are sent again */
enum rxe_again {
	RXE_AGAIN_TIMEOUT,
	RXE_AGAIN_NAK,
	RXE_AGAIN_GAP,
	RXE_AGAIN_RNR,
	RXE_AGAIN_DROPPED,
};

#endif

#if !defined(RXE_BASE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define RXE_BASE_TRACE_H

#include <linux/tracepoint.h>
#include <rdma/ib_verbs.h>

#include "base/dev.h"
#include "base/stats.h"
#include "base/wire.h"

TRACE_DEFINE_ENUM(IB_QPS_RESET);
TRACE_DEFINE_ENUM(IB_QPS_INIT);
TRACE_DEFINE_ENUM(IB_QPS_RTR);
TRACE_DEFINE_ENUM(IB_QPS_RTS);
TRACE_DEFINE_ENUM(IB_QPS_SQD);
TRACE_DEFINE_ENUM(IB_QPS_SQE);
TRACE_DEFINE_ENUM(IB_QPS_ERR);

#define show_rxe_state(state)						\
	__print_symbolic(state,						\
			 { IB_QPS_RESET, "RESET" },			\
			 { IB_QPS_INIT, "INIT" },			\
			 { IB_QPS_RTR, "RTR" },				\
			 { IB_QPS_RTS, "RTS" },				\
			 { IB_QPS_SQD, "SQD" },				\
			 { IB_QPS_SQE, "SQE" },				\
			 { IB_QPS_ERR, "ERR" })

TRACE_DEFINE_ENUM(RXE_BY_MODIFY);
TRACE_DEFINE_ENUM(RXE_BY_ERROR);
TRACE_DEFINE_ENUM(RXE_BY_DESTROY);

#define show_rxe_state_by(by)						\
	__print_symbolic(by,						\
			 { RXE_BY_MODIFY, "modify" },			\
			 { RXE_BY_ERROR, "error" },			\
			 { RXE_BY_DESTROY, "destroy" })

TRACE_DEFINE_ENUM(RXE_AGAIN_TIMEOUT);
TRACE_DEFINE_ENUM(RXE_AGAIN_NAK);
TRACE_DEFINE_ENUM(RXE_AGAIN_GAP);
TRACE_DEFINE_ENUM(RXE_AGAIN_RNR);
TRACE_DEFINE_ENUM(RXE_AGAIN_DROPPED);

#define show_rxe_again(why)						\
	__print_symbolic(why,						\
			 { RXE_AGAIN_TIMEOUT, "timeout" },		\
			 { RXE_AGAIN_NAK, "nak" },			\
			 { RXE_AGAIN_GAP, "gap" },			\
			 { RXE_AGAIN_RNR, "rnr" },			\
			 { RXE_AGAIN_DROPPED, "dropped" })

TRACE_DEFINE_ENUM(RXE_SYN_NAK_PSN_SEQ);
TRACE_DEFINE_ENUM(RXE_SYN_NAK_INV_REQ);
TRACE_DEFINE_ENUM(RXE_SYN_NAK_REM_ACCESS);
TRACE_DEFINE_ENUM(RXE_SYN_NAK_REM_OP);

#define show_rxe_syndrome(syndrome)					\
	__print_symbolic(syndrome,					\
			 { RXE_SYN_NAK_PSN_SEQ, "psn_sequence" },	\
			 { RXE_SYN_NAK_INV_REQ, "invalid_request" },	\
			 { RXE_SYN_NAK_REM_ACCESS, "remote_access" },	\
			 { RXE_SYN_NAK_REM_OP, "remote_operation" })

TRACE_DEFINE_ENUM(RXE_STAT_OUT_OF_SEQ_REQUEST);
TRACE_DEFINE_ENUM(RXE_STAT_SEND_ERR);
TRACE_DEFINE_ENUM(RXE_STAT_ICRC_ERR);
TRACE_DEFINE_ENUM(RXE_STAT_PARKED_REFUSED);
TRACE_DEFINE_ENUM(RXE_STAT_SEND_NO_MEMORY);
TRACE_DEFINE_ENUM(RXE_STAT_OUT_OF_BUFFER);
TRACE_DEFINE_ENUM(RXE_STAT_RCVD_DROPS);
TRACE_DEFINE_ENUM(RXE_STAT_QKEY_VIOLATION);
TRACE_DEFINE_ENUM(RXE_STAT_RCVD_MALFORMED);
TRACE_DEFINE_ENUM(RXE_STAT_RCVD_NO_QP);
TRACE_DEFINE_ENUM(RXE_STAT_RCVD_NOT_READY);
TRACE_DEFINE_ENUM(RXE_STAT_UNEXPECTED_RESPONSE);

/* the names of the counters */
#define show_rxe_drop(why)						\
	__print_symbolic(why,						\
			 { RXE_STAT_OUT_OF_SEQ_REQUEST,			\
			   "out_of_seq_request" },			\
			 { RXE_STAT_SEND_ERR, "send_err" },		\
			 { RXE_STAT_ICRC_ERR, "rcvd_icrc_err" },	\
			 { RXE_STAT_PARKED_REFUSED, "parked_refused" },	\
			 { RXE_STAT_SEND_NO_MEMORY, "send_no_memory" },	\
			 { RXE_STAT_OUT_OF_BUFFER, "out_of_buffer" },	\
			 { RXE_STAT_RCVD_DROPS, "rcvd_drops" },		\
			 { RXE_STAT_QKEY_VIOLATION, "qkey_violations" },	\
			 { RXE_STAT_RCVD_MALFORMED, "rcvd_malformed" },	\
			 { RXE_STAT_RCVD_NO_QP, "rcvd_no_qp" },		\
			 { RXE_STAT_RCVD_NOT_READY, "rcvd_not_ready" },	\
			 { RXE_STAT_UNEXPECTED_RESPONSE,		\
			   "unexpected_response" })

/* A QP enters another state. */
TRACE_EVENT(rxe_state,
	TP_PROTO(const struct rxe_dev *dev, u32 qpn, int from, int to, int by),
	TP_ARGS(dev, qpn, from, to, by),
	TP_STRUCT__entry(
		__array(char, dev, IB_DEVICE_NAME_MAX)
		__field(u32, qpn)
		__field(int, from)
		__field(int, to)
		__field(int, by)
	),
	TP_fast_assign(
		strscpy(__entry->dev, dev->ibdev.name, IB_DEVICE_NAME_MAX);
		__entry->qpn = qpn;
		__entry->from = from;
		__entry->to = to;
		__entry->by = by;
	),
	TP_printk("dev=%s qpn=%#x from=%s to=%s by=%s", __entry->dev,
		  __entry->qpn, show_rxe_state(__entry->from),
		  show_rxe_state(__entry->to), show_rxe_state_by(__entry->by))
);

DECLARE_EVENT_CLASS(rxe_nak,
	TP_PROTO(const struct rxe_dev *dev, u32 qpn, u8 syndrome, u32 psn),
	TP_ARGS(dev, qpn, syndrome, psn),
	TP_STRUCT__entry(
		__array(char, dev, IB_DEVICE_NAME_MAX)
		__field(u32, qpn)
		__field(u8, syndrome)
		__field(u32, psn)
	),
	TP_fast_assign(
		strscpy(__entry->dev, dev->ibdev.name, IB_DEVICE_NAME_MAX);
		__entry->qpn = qpn;
		__entry->syndrome = syndrome;
		__entry->psn = psn;
	),
	TP_printk("dev=%s qpn=%#x syndrome=%#x %s psn=%#x", __entry->dev,
		  __entry->qpn, __entry->syndrome,
		  show_rxe_syndrome(__entry->syndrome), __entry->psn)
);

/* The responder refuses a request, or has missed one before it. */
DEFINE_EVENT(rxe_nak, rxe_nak_sent,
	TP_PROTO(const struct rxe_dev *dev, u32 qpn, u8 syndrome, u32 psn),
	TP_ARGS(dev, qpn, syndrome, psn)
);

/* The peer of a requester has. */
DEFINE_EVENT(rxe_nak, rxe_nak_rcvd,
	TP_PROTO(const struct rxe_dev *dev, u32 qpn, u8 syndrome, u32 psn),
	TP_ARGS(dev, qpn, syndrome, psn)
);

DECLARE_EVENT_CLASS(rxe_rnr_nak,
	TP_PROTO(const struct rxe_dev *dev, u32 qpn, u8 timer, u32 psn),
	TP_ARGS(dev, qpn, timer, psn),
	TP_STRUCT__entry(
		__array(char, dev, IB_DEVICE_NAME_MAX)
		__field(u32, qpn)
		__field(u8, timer)
		__field(u32, psn)
	),
	TP_fast_assign(
		strscpy(__entry->dev, dev->ibdev.name, IB_DEVICE_NAME_MAX);
		__entry->qpn = qpn;
		__entry->timer = timer;
		__entry->psn = psn;
	),
	TP_printk("dev=%s qpn=%#x timer=%u psn=%#x", __entry->dev,
		  __entry->qpn, __entry->timer, __entry->psn)
);

/* The responder has the requester wait. */
DEFINE_EVENT(rxe_rnr_nak, rxe_rnr_nak_sent,
	TP_PROTO(const struct rxe_dev *dev, u32 qpn, u8 timer, u32 psn),
	TP_ARGS(dev, qpn, timer, psn)
);

/* The peer of a requester has it wait. */
DEFINE_EVENT(rxe_rnr_nak, rxe_rnr_nak_rcvd,
	TP_PROTO(const struct rxe_dev *dev, u32 qpn, u8 timer, u32 psn),
	TP_ARGS(dev, qpn, timer, psn)
);

/* The requester goes back: the PSNs from @first to @last may be sent again. */
TRACE_EVENT(rxe_retransmit,
	TP_PROTO(const struct rxe_dev *dev, u32 qpn, int why, u32 first,
		 u32 last, u8 retries),
	TP_ARGS(dev, qpn, why, first, last, retries),
	TP_STRUCT__entry(
		__array(char, dev, IB_DEVICE_NAME_MAX)
		__field(u32, qpn)
		__field(int, why)
		__field(u32, first)
		__field(u32, last)
		__field(u8, retries)
	),
	TP_fast_assign(
		strscpy(__entry->dev, dev->ibdev.name, IB_DEVICE_NAME_MAX);
		__entry->qpn = qpn;
		__entry->why = why;
		__entry->first = first;
		__entry->last = last;
		__entry->retries = retries;
	),
	TP_printk("dev=%s qpn=%#x why=%s first=%#x last=%#x retries=%u",
		  __entry->dev, __entry->qpn, show_rxe_again(__entry->why),
		  __entry->first, __entry->last, __entry->retries)
);

/* No retry is left: the request fails, and the connection with it. */
TRACE_EVENT(rxe_retries_exceeded,
	TP_PROTO(const struct rxe_dev *dev, u32 qpn, int why, u32 psn),
	TP_ARGS(dev, qpn, why, psn),
	TP_STRUCT__entry(
		__array(char, dev, IB_DEVICE_NAME_MAX)
		__field(u32, qpn)
		__field(int, why)
		__field(u32, psn)
	),
	TP_fast_assign(
		strscpy(__entry->dev, dev->ibdev.name, IB_DEVICE_NAME_MAX);
		__entry->qpn = qpn;
		__entry->why = why;
		__entry->psn = psn;
	),
	TP_printk("dev=%s qpn=%#x why=%s psn=%#x", __entry->dev, __entry->qpn,
		  show_rxe_again(__entry->why), __entry->psn)
);

/*
 * Packets are dropped, received ones or own ones. A number or a PSN of 0: it was not
 * read.
 */
TRACE_EVENT(rxe_drop,
	TP_PROTO(const struct rxe_dev *dev, u32 qpn, u32 psn, u32 counted,
		 int why),
	TP_ARGS(dev, qpn, psn, counted, why),
	TP_STRUCT__entry(
		__array(char, dev, IB_DEVICE_NAME_MAX)
		__field(u32, qpn)
		__field(u32, psn)
		__field(u32, counted)
		__field(int, why)
	),
	TP_fast_assign(
		strscpy(__entry->dev, dev->ibdev.name, IB_DEVICE_NAME_MAX);
		__entry->qpn = qpn;
		__entry->psn = psn;
		__entry->counted = counted;
		__entry->why = why;
	),
	TP_printk("dev=%s qpn=%#x psn=%#x counted=%u why=%s", __entry->dev,
		  __entry->qpn, __entry->psn, __entry->counted,
		  show_rxe_drop(__entry->why))
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH base
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#include <trace/define_trace.h>
