/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Sends and writes: requests that carry data. */
#ifndef RXE_MESSAGE_H
#define RXE_MESSAGE_H

#include <linux/types.h>

struct rxe_qp;
struct rxe_swqe;

/* packets sent without asking for an acknowledgment */
#define RXE_ACK_INTERVAL	64
/* packets that may be unacknowledged */
#define RXE_WINDOW		256

int rxe_request_message(struct rxe_qp *qp, struct rxe_swqe *wqe, u32 budget);

#endif
