/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Named net namespaces, without a process for each look or command: emulated guests
 * take a tenth of a second to start one. All functions CHECK() their success, as in
 * pair.h.
 */
#ifndef NETNS_H
#define NETNS_H

#include <stdio.h>

/* move the calling thread, and what it starts, there; returns its own, for leave() */
int enter(const char *ns);
void leave(int own);

/* read a file of /proc/net as it is there */
FILE *open_in(const char *ns, const char *name);
/* write a file of /proc/sys/net there */
void set_sysctl(const char *ns, const char *name, const char *value);

/*
 * Run commands of ip(8) by one process, each without "ip" on a line of its own. @ns
 * may have more options of ip(8) behind it; NULL: the test's own namespace.
 */
void ip_lines(const char *ns, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* make a link */
void link_add(const char *ns, const char *device, const char *netdev);

#endif
