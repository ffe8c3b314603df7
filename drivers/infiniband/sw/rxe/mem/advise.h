/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Memory that a program says it will use soon. */
#ifndef RXE_ADVISE_H
#define RXE_ADVISE_H

#include <rdma/ib_verbs.h>

struct rxe_dev;

int rxe_advise_mr(struct ib_pd *ibpd, enum ib_uverbs_advise_mr_advice advice,
		  u32 flags, struct ib_sge *sgl, u32 num_sge,
		  struct uverbs_attr_bundle *attrs);
void rxe_advice_allow_waits(struct rxe_dev *dev);
void rxe_advice_end_waits(struct rxe_dev *dev);

#endif
