/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Verbs that concern the device, its port, and what a program opens. */
#ifndef RXE_VERBS_H
#define RXE_VERBS_H

#include <rdma/ib_verbs.h>

extern const struct ib_device_ops rxe_dev_ops;

#endif
