// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "links.h"
#include "netns.h"

bool is_device(const char *name)
{
	char path[100];

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s", name);
	return !access(path, F_OK);
}

/* The devices of the previous test may take a moment to go. */
void own_namespace(void)
{
	UNTIL(!is_device("link0") && !is_device("link1") &&
	      !is_device("link2") && !is_device("link3"));
	CHECK_EQ(unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
	CHECK_EQ(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	mkdir("/run/netns", 0755);
	CHECK_EQ(mount("none", "/run/netns", "tmpfs", 0, NULL), 0);
	command("ip link set lo up");
}

union ibv_gid gid_of(const char *address)
{
	union ibv_gid gid = { .raw = { [10] = 0xff, [11] = 0xff } };

	if (strchr(address, ':'))
		CHECK_EQ(inet_pton(AF_INET6, address, gid.raw), 1);
	else
		CHECK_EQ(inet_pton(AF_INET, address, gid.raw + 12), 1);
	return gid;
}

/* the RoCE v2 GID of an address; @ifindex: of that netdev; 0: of any */
static int find_gid(struct ibv_context *ctx, const char *address,
		    unsigned int ifindex, struct ibv_gid_entry *entry)
{
	union ibv_gid gid = gid_of(address);
	struct ibv_gid_entry entries[64];
	ssize_t n, i;

	n = ibv_query_gid_table(ctx, entries, 64, 0);
	CHECK(n >= 0);
	for (i = 0; i < n; i++) {
		if (entries[i].gid_type != IBV_GID_TYPE_ROCE_V2 ||
		    memcmp(&entries[i].gid, &gid, sizeof(gid)) ||
		    (ifindex && entries[i].ndev_ifindex != ifindex))
			continue;
		*entry = entries[i];
		return entries[i].gid_index;
	}
	return -1;
}

int gid_index(struct ibv_context *ctx, const char *address,
	      unsigned int *ifindex)
{
	struct ibv_gid_entry entry;
	int index = find_gid(ctx, address, 0, &entry);

	if (index >= 0 && ifindex)
		*ifindex = entry.ndev_ifindex;
	return index;
}

bool has_gid(struct host *host, const char *address)
{
	return gid_index(host->ctx, address, NULL) >= 0;
}

void be_at(struct host *host, const char *address)
{
	struct host_gid *gid = &host->gids[!!strchr(address, ':')];

	gid->gid = gid_of(address);
	UNTIL(has_gid(host, address));
	gid->index = gid_index(host->ctx, address, NULL);
}

static unsigned int ifindex_of(const char *ns, const char *netdev)
{
	int own = enter(ns);
	unsigned int ifindex = if_nametoindex(netdev);

	CHECK(ifindex);
	leave(own);
	return ifindex;
}

void be_on(struct host *host, const char *ns, const char *netdev,
	   const char *address)
{
	unsigned int ifindex = ifindex_of(ns, netdev);
	struct host_gid *gid = &host->gids[!!strchr(address, ':')];
	struct ibv_gid_entry entry;

	UNTIL(find_gid(host->ctx, address, ifindex, &entry) >= 0);
	gid->gid = entry.gid;
	gid->index = entry.gid_index;
}

void open_at(struct host *host, const char *device, const char *address)
{
	host_open_device(host, device);
	be_at(host, address);
}

void check_moves(struct host *a, struct host *b, bool ipv6)
{
	struct pair_config config = { .ipv6 = ipv6 };
	struct end end_a, end_b;

	connect_ends(&end_a, a, &end_b, b, &config);
	check_arrives(&end_a, &end_b, ALL_ACCESS);
	check_arrives(&end_b, &end_a, ODP_ACCESS);
	end_destroy(&end_a);
	end_destroy(&end_b);
}

void host_up(const char *ns, const char *netdev, const char *address,
	     const char *device)
{
	ip_lines(ns,
		 "link set lo up\n"
		 "link set %s up\n"
		 "addr add %s dev %s%s\n",
		 netdev, address, netdev, strchr(address, ':') ? " nodad" : "");
	link_add(ns, device, netdev);
}

/* Of each netdev there are eight numbers of what came, and those of what was sent. */
unsigned long sent_bytes(const char *ns, const char *netdev)
{
	char line[300], name[20];
	unsigned long sent = 0;
	bool found = false;
	FILE *file;

	file = open_in(ns, "dev");
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line,
			       " %19[^: ]: %*u %*u %*u %*u %*u %*u %*u %*u %lu",
			       name, &sent) == 2 && !strcmp(name, netdev);
	CHECK(found);
	fclose(file);
	return sent;
}
