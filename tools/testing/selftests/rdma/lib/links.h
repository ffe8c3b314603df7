/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Links that a test makes itself, named link0, link1 and so on, in net namespaces
 * that end with it. All functions CHECK() their success, as in pair.h.
 */
#ifndef LINKS_H
#define LINKS_H

#include "pair.h"

/* whether there is an RDMA device of that name */
bool is_device(const char *name);

/*
 * Enter a new net namespace, and a new directory of named ones: namespaces named
 * from now on are seen by this test only, and end with it.
 */
void own_namespace(void);

/* an address as a GID */
union ibv_gid gid_of(const char *address);
/* the index of an address's RoCE v2 GID, and of its netdev; -1: none */
int gid_index(struct ibv_context *ctx, const char *address,
	      unsigned int *ifindex);
bool has_gid(struct host *host, const char *address);

/* open a device, which peers reach by that address */
void open_at(struct host *host, const char *device, const char *address);
/* the same, for a device that is open already */
void be_at(struct host *host, const char *address);

/* the same, by the address of one of several netdevs that have it */
void be_on(struct host *host, const char *ns, const char *netdev,
	   const char *address);

/* make a host of a namespace: addresses and a link on its netdev */
void host_up(const char *ns, const char *netdev, const char *address,
	     const char *device);

/* a connection of its own moves data both ways */
void check_moves(struct host *a, struct host *b, bool ipv6);

/* bytes that a namespace's netdev has sent so far */
unsigned long sent_bytes(const char *ns, const char *netdev);

#endif
