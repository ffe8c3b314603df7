/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_COMPLETER_H
#define RXE_COMPLETER_H

#include <linux/hrtimer.h>
#include <linux/timer.h>

struct rxe_qp;
struct sk_buff;

extern const struct rxe_direction_ops rxe_requester_ops;
extern const struct rxe_direction_ops rxe_completer_ops;

void rxe_completer_rcv(struct rxe_qp *qp, struct sk_buff *skb);
void rxe_completer_progress(struct rxe_qp *qp);

void rxe_ack_timeout(struct timer_list *timer);
enum hrtimer_restart rxe_rnr_timeout(struct hrtimer *timer);

#endif
