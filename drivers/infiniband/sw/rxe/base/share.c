// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/cred.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "base/rule.h"
#include "base/share.h"

/* the whole is such a part of RAM */
#define RXE_SHARE_OF_RAM	32
/* 4^3: bytes that are left are counted in such parts of a byte */
#define RXE_SHARE_PARTS		64

/* parts come and go with contexts, in process context */
static DEFINE_MUTEX(rxe_shares_lock);

/**
 * rxe_share_init - make a share that is not a program's
 * @share: to be initialised, zeroed
 * @parent: what it is a part of; NULL: it is the whole
 *
 * Context: any.
 */
void rxe_share_init(struct rxe_share *share, struct rxe_share *parent)
{
	share->parent = parent;
	INIT_LIST_HEAD(&share->parts);
}

static struct rxe_share *rxe_share_add(struct rxe_share *parent,
				       unsigned long key)
{
	struct rxe_share *share;

	share = kzalloc(sizeof(*share), GFP_KERNEL_ACCOUNT);
	if (!share)
		return NULL;

	rxe_share_init(share, parent);
	share->key = key;
	list_add(&share->entry, &parent->parts);
	return share;
}

static struct rxe_share *rxe_share_find(struct rxe_share *parent,
					unsigned long key)
{
	struct rxe_share *share;

	list_for_each_entry(share, &parent->parts, entry)
		if (share->key == key)
			return share;
	return rxe_share_add(parent, key);
}

/* Free a share that has no parts, and those that have none but for it. */
static void rxe_share_prune(struct rxe_share *share)
{
	struct rxe_share *parent;

	while (share->parent && list_empty(&share->parts)) {
		parent = share->parent;
		list_del(&share->entry);
		mem_cgroup_put(share->memcg);
		kfree(share);
		share = parent;
	}
}

/**
 * rxe_current_user - get the user whom the calling task's resources count for
 *
 * In a user namespace of its own a user has as many IDs as the administrator has
 * lent it: there it is the user who made the outermost one. The real ID, as a
 * file's owner can lend the effective one.
 *
 * Context: process.
 * Return: the user.
 */
kuid_t rxe_current_user(void)
{
	struct user_namespace *ns = current_user_ns();
	kuid_t user = current_uid();

	for (; ns->parent; ns = ns->parent)
		user = ns->owner;
	return user;
}

/**
 * rxe_share_create - make a share for a program that opens the device
 * @whole: what there is for all
 *
 * Context: process, the program's; may sleep.
 * Return: the share, or NULL: no memory.
 */
struct rxe_share *rxe_share_create(struct rxe_share *whole)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(current->mm);
	struct rxe_share *user, *group, *share = NULL;

	mutex_lock(&rxe_shares_lock);
	user = rxe_share_find(whole, __kuid_val(rxe_current_user()));
	if (!user)
		goto unlock;

	group = rxe_share_find(user, (unsigned long)memcg);
	if (!group) {
		rxe_share_prune(user);
		goto unlock;
	}
	if (!group->memcg)
		swap(group->memcg, memcg);

	share = rxe_share_add(group, 0);
	if (!share)
		rxe_share_prune(group);
unlock:
	mutex_unlock(&rxe_shares_lock);
	mem_cgroup_put(memcg);
	return share;
}

/**
 * rxe_share_destroy - the counterpart of rxe_share_create()
 * @share: all of it has been given back
 *
 * Context: may sleep.
 */
void rxe_share_destroy(struct rxe_share *share)
{
	mutex_lock(&rxe_shares_lock);
	rxe_share_prune(share);
	mutex_unlock(&rxe_shares_lock);
}

static long rxe_share_whole(void)
{
	unsigned long pages = totalram_pages();

	pages /= rxe_broken(device_bytes) ? RXE_SHARE_OF_RAM / 8 :
					    RXE_SHARE_OF_RAM;
	return pages << PAGE_SHIFT;
}

/*
 * How much may yet be taken, in RXE_SHARE_PARTS of a byte; below zero: too much
 * has been. It is what leaves three times as much as is taken to whom it is taken
 * from: of a parent that may take x, one that has b may take (3 x - b) / 4. As the
 * parent's own x is such a difference, the sum goes from the part to the whole.
 */
static s64 rxe_share_left(const struct rxe_share *share)
{
	int parts = RXE_SHARE_PARTS;
	s64 left = 0;

	for (; share->parent; share = share->parent) {
		if (rxe_broken(program_share))
			continue;
		left -= (s64)atomic_long_read(&share->bytes) * (parts / 4);
		parts -= parts / 4;
	}
	return left + (s64)(rxe_share_whole() - atomic_long_read(&share->bytes)) *
			      parts;
}

/**
 * rxe_share_has_room - ask whether bytes may be taken
 * @share: to take them
 * @bytes: how many
 *
 * Context: any.
 * Return: false: rxe_share_take() would be refused.
 */
bool rxe_share_has_room(const struct rxe_share *share, u32 bytes)
{
	return rxe_share_left(share) >= (s64)bytes * RXE_SHARE_PARTS;
}

/**
 * rxe_share_take - take bytes
 * @share: takes them
 * @bytes: how many
 *
 * It is counted, and then looked at: those that take at once never have too much
 * together, but may all be refused.
 *
 * Context: any.
 * Return: false: it is more than may be taken.
 */
bool rxe_share_take(struct rxe_share *share, u32 bytes)
{
	struct rxe_share *at;

	for (at = share; at; at = at->parent)
		atomic_long_add(bytes, &at->bytes);
	/*
	 * Added before others are read: of two that take at once, in either order,
	 * one sees all that the other has added.
	 */
	smp_mb__after_atomic();
	if (rxe_share_left(share) >= 0)
		return true;

	rxe_share_give_back(share, bytes);
	return false;
}

/**
 * rxe_share_give_back - the counterpart of rxe_share_take()
 * @share: has taken them
 * @bytes: how many
 *
 * Context: any.
 */
void rxe_share_give_back(struct rxe_share *share, u32 bytes)
{
	for (; share; share = share->parent)
		atomic_long_sub(bytes, &share->bytes);
}
