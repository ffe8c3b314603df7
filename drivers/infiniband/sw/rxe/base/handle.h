/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Objects that peers and programs name by a number: QPs and MRs. */
#ifndef RXE_HANDLE_H
#define RXE_HANDLE_H

#include <linux/completion.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/rhashtable-types.h>
#include <linux/types.h>

/**
 * struct rxe_handle - a number, and the object that it names
 * @table: finds it by @number; NULL: it is found in another way
 * @node: in @table
 * @entry: in a list, if there is no @table
 * @number: 24 bits, random, so that it can be neither guessed nor soon reused
 * @refs: users of @object; the table's own is the first
 * @idle: completed when the last of @refs is dropped
 * @object: what the number names; valid while a reference is held
 * @rcu: delays freeing the handle until no look-up can see it
 */
struct rxe_handle {
	struct rxe_handle_table *table;
	union {
		struct rhash_head node;
		struct list_head entry;
	};
	u32 number;
	refcount_t refs;
	struct completion idle;
	void *object;
	struct rcu_head rcu;
};

struct rxe_handle_table {
	struct rhashtable ht;
};

int rxe_handle_table_init(struct rxe_handle_table *table);
void rxe_handle_table_destroy(struct rxe_handle_table *table);

struct rxe_handle *rxe_handle_create(struct rxe_handle_table *table);
struct rxe_handle *rxe_handle_create_unlisted(u32 number);
void rxe_handle_discard(struct rxe_handle *handle);
void rxe_handle_publish(struct rxe_handle *handle, void *object);
void rxe_handle_destroy(struct rxe_handle *handle);
void *rxe_handle_get(struct rxe_handle_table *table, u32 number);

/**
 * rxe_handle_put - drop a reference to a handle's object
 * @handle: from rxe_handle_get() or rxe_handle_hold()
 *
 * Context: any.
 */
static inline void rxe_handle_put(struct rxe_handle *handle)
{
	if (refcount_dec_and_test(&handle->refs))
		complete(&handle->idle);
}

/**
 * rxe_handle_hold - take a reference to an object that may be going away
 * @handle: its handle, whose memory the caller keeps
 *
 * Context: any.
 * Return: false once the object is being destroyed.
 */
static inline bool rxe_handle_hold(struct rxe_handle *handle)
{
	return refcount_inc_not_zero(&handle->refs);
}

#endif
