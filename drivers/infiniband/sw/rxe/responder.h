/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_RESPONDER_H
#define RXE_RESPONDER_H

#include <linux/types.h>
#include <rdma/ib_verbs.h>

#include "wire.h"

struct rxe_access;
struct rxe_pkt;
struct rxe_qp;
struct rxe_rq;
struct sk_buff;

extern const struct rxe_direction_ops rxe_responder_ops;

void rxe_responder_rcv(struct rxe_qp *qp, struct sk_buff *skb);
int rxe_responder_process(struct rxe_qp *qp, const struct rxe_pkt *pkt);
bool rxe_responder_take_run(struct rxe_qp *qp, const struct rxe_pkt *pkt);
void rxe_responder_flush(struct rxe_qp *qp);
void rxe_responder_repeat(struct rxe_qp *qp, const struct rxe_pkt *pkt);

struct rxe_access rxe_responder_access(struct rxe_qp *qp, int rights);
struct rxe_access rxe_receive_access(struct rxe_qp *qp);
void rxe_fail_receive(struct rxe_qp *qp, enum ib_wc_status status);
bool rxe_request_valid(const struct rxe_qp *qp, const struct rxe_pkt *pkt);
int rxe_respond_send(struct rxe_qp *qp, const struct rxe_pkt *pkt);
int rxe_respond_write(struct rxe_qp *qp, const struct rxe_pkt *pkt);
void rxe_responder_advance(struct rxe_qp *qp, const struct rxe_pkt *pkt);

void rxe_comm_established(struct rxe_qp *qp);

void rxe_send_aeth(struct rxe_qp *qp, u8 opcode, u8 syndrome, u32 psn);
void rxe_expect_ack(struct rxe_rq *rq, u32 psn);
void rxe_acknowledge_progress(struct rxe_rq *rq);
void rxe_send_ack(struct rxe_qp *qp, u8 syndrome, u32 psn);
void rxe_send_rnr_nak(struct rxe_qp *qp, u8 timer, u32 psn);
void rxe_responder_fail(struct rxe_qp *qp, u8 syndrome, u32 psn);
__be32 rxe_aeth_smsn(const struct rxe_qp *qp, u8 syndrome);

#endif
