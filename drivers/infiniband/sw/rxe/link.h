/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_LINK_H
#define RXE_LINK_H

#include <rdma/ib_verbs.h>

struct rxe_dev;

int rxe_dev_create(const char *name, struct net_device *ndev, struct net *net,
		   const struct ib_device_ops *ops);
void rxe_dev_destroy(struct rxe_dev *dev);
void rxe_dev_port_event(struct rxe_dev *dev);
void rxe_report_port_event(struct ib_device *ibdev, struct net_device *ndev,
			   unsigned long event);

#endif
