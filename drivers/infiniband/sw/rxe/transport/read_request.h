/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Reads and atomics: requests that are answered with data. */
#ifndef RXE_READ_REQUEST_H
#define RXE_READ_REQUEST_H

struct rxe_qp;
struct rxe_swqe;

/*
 * Longer reads are several requests: the peer sends all that one asks for
 * without a pause, and a parked completer keeps so much only.
 */
#define RXE_READ_CHUNK	(256U << 10)

int rxe_request_read(struct rxe_qp *qp, struct rxe_swqe *wqe);
int rxe_request_atomic(struct rxe_qp *qp, struct rxe_swqe *wqe);

#endif
