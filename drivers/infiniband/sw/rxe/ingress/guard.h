/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The guard of the RoCEv2 port against sockets of the host's own programs. */
#ifndef RXE_GUARD_H
#define RXE_GUARD_H

struct net;

int rxe_guard_net(struct net *net);
void rxe_unguard_net(struct net *net);

#endif
