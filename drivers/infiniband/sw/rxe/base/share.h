/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Shares divide a bounded number of bytes among programs. A party may take three
 * times what it leaves: so there is room for the next one, whatever others hold and
 * for however long, and one that is alone gets most. Nothing is to be configured.
 *
 * A user could make many parties of one program, each of which gets a share: the
 * program opens the device again, or moves to another control group, of which
 * systemd lets a user make any number. So shares nest, three deep: all contexts of
 * a control group have the share of one group, all groups of a user that of one
 * user. Users are made by the administrator only. In turn one user is often many
 * parties that do not trust each other, the containers of root; groups tell them
 * apart.
 */
#ifndef RXE_SHARE_H
#define RXE_SHARE_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/types.h>
#include <linux/uidgid.h>

struct mem_cgroup;

/**
 * struct rxe_share - what somebody has taken
 * @parent: the share that this one is a part of; NULL: it is the whole
 * @bytes: that it has, its parts' among them
 * @key: tells it from other parts of @parent
 * @memcg: the control group that it is of, held; NULL: it is of none, or of many
 * @entry: in the parts of @parent
 * @parts: what it is divided into
 *
 * The last two are guarded by rxe_shares_lock, the others do not change.
 */
struct rxe_share {
	struct rxe_share *parent;
	atomic_long_t bytes;
	unsigned long key;
	struct mem_cgroup *memcg;
	struct list_head entry;
	struct list_head parts;
};

/* the control group that a context's bytes are charged to; NULL: none */
static inline struct mem_cgroup *rxe_share_memcg(const struct rxe_share *share)
{
	return share->parent->memcg;
}

kuid_t rxe_current_user(void);

void rxe_share_init(struct rxe_share *share, struct rxe_share *parent);
struct rxe_share *rxe_share_create(struct rxe_share *whole);
void rxe_share_destroy(struct rxe_share *share);

bool rxe_share_has_room(const struct rxe_share *share, u32 bytes);
bool rxe_share_take(struct rxe_share *share, u32 bytes);
void rxe_share_give_back(struct rxe_share *share, u32 bytes);

#endif
