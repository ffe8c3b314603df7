/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Two hosts, the namespaces left and right, that two cables join, v0 and v1, and links on
 * their ends: link0 and link1 on v0, link2 and link3 on v1, the even ones left. All
 * functions CHECK() their success, as in pair.h.
 */
#ifndef CABLES_H
#define CABLES_H

#include "links.h"

#define GRH	40
#define SIZE	(256 * 1024)
#define TURNS	4
/* bytes: more than the kernel's own ARP, ND and IGMP traffic meanwhile */
#define NOISE	(16 * 1024UL)

extern const char *const sides[2];
/* of each family, and of each link, where links do not have those of another */
extern const char *const addresses[2][4];

/* the namespaces and the cables, in a new namespace of the test's */
void cables_up(void);
/* put a netdev into a VRF, which is made if it does not exist */
void into_vrf(const char *ns, const char *vrf, int table, const char *netdev);
/* make a link, with that link's address of each family */
void link_up(int link, int like);
void open_link(struct host *host, int link, int like);

/* bytes that each side's netdevs have sent */
struct sent {
	unsigned long bytes[2][2];
};

struct sent sent_by_all(void);

/* TURNS writes and reads of SIZE, so that both sides send as much */
void carry(struct host *a, struct host *b, bool ipv6);

/* a queue pair for datagrams */
void datagram_end(struct end *end, struct host *host, bool ipv6);
/* send 1000 bytes from one to a number at an address */
void send_to(struct end *from, const union ibv_gid *to, unsigned int qpn,
	     bool ipv6);
/* send a datagram to one host, or to a group that it is in */
void send_datagram(struct host *from, struct host *to, bool ipv6,
		   const union ibv_gid *group);

/* connect left to right by RDMA CM, with rping, which verifies its data */
void ping(const char *from, const char *to);

#endif
