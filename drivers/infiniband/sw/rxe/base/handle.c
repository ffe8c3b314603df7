// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/random.h>
#include <linux/rhashtable.h>
#include <linux/slab.h>

#include "base/handle.h"
#include "base/rule.h"

#define RXE_HANDLE_BITS		24
/* QPNs 0 and 1 are the management QPs, 0xffffff is multicast: IBTA 3.5.3 */
#define RXE_HANDLE_FIRST	2
#define RXE_HANDLE_LAST		((1U << RXE_HANDLE_BITS) - 2)
/* with more objects the search for a free number takes too long */
#define RXE_HANDLE_MAX		(1U << (RXE_HANDLE_BITS - 1))

static const struct rhashtable_params rxe_handle_params = {
	.head_offset = offsetof(struct rxe_handle, node),
	.key_offset = offsetof(struct rxe_handle, number),
	.key_len = sizeof(u32),
	.automatic_shrinking = true,
};

/**
 * rxe_handle_table_init - make an empty table
 * @table: to be initialised
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_handle_table_init(struct rxe_handle_table *table)
{
	return rhashtable_init(&table->ht, &rxe_handle_params);
}

/**
 * rxe_handle_table_destroy - free a table that is empty
 * @table: no handle is left in it
 *
 * Context: may sleep.
 */
void rxe_handle_table_destroy(struct rxe_handle_table *table)
{
	rhashtable_destroy(&table->ht);
}

/**
 * rxe_handle_create_unlisted - make a handle that is in no table
 * @number: of an object that is found in another way
 *
 * Context: may sleep.
 * Return: the handle or an ERR_PTR.
 */
struct rxe_handle *rxe_handle_create_unlisted(u32 number)
{
	struct rxe_handle *handle;

	handle = kzalloc(sizeof(*handle), GFP_KERNEL_ACCOUNT);
	if (!handle)
		return ERR_PTR(-ENOMEM);

	handle->number = number;
	init_completion(&handle->idle);
	return handle;
}

/**
 * rxe_handle_create - reserve a number
 * @table: where it is reserved; look-ups miss it until it is published
 *
 * Context: may sleep.
 * Return: the handle or an ERR_PTR; -ENOMEM: no memory, or no number.
 */
struct rxe_handle *rxe_handle_create(struct rxe_handle_table *table)
{
	struct rxe_handle *handle;
	int err;

	if (atomic_read(&table->ht.nelems) >= rxe_most(RXE_HANDLE_MAX) &&
	    !rxe_broken(handle_max))
		return ERR_PTR(-ENOMEM);

	handle = rxe_handle_create_unlisted(0);
	if (IS_ERR(handle))
		return handle;

	handle->table = table;
	do {
		do {
			handle->number = rxe_broken(key_reuse) ?
						 handle->number + 1 :
						 get_random_u32() >>
						 (32 - RXE_HANDLE_BITS);
		} while (handle->number < RXE_HANDLE_FIRST ||
			 handle->number > RXE_HANDLE_LAST);
		err = rhashtable_lookup_insert_fast(&table->ht, &handle->node,
						    rxe_handle_params);
	} while (err == -EEXIST);

	if (err) {
		kfree(handle);
		return ERR_PTR(err);
	}
	return handle;
}

static void rxe_handle_unlist(struct rxe_handle *handle)
{
	if (handle->table)
		rhashtable_remove_fast(&handle->table->ht, &handle->node,
				       rxe_handle_params);
}

/**
 * rxe_handle_discard - give back a number that was never published
 * @handle: freed
 *
 * Context: may sleep.
 */
void rxe_handle_discard(struct rxe_handle *handle)
{
	rxe_handle_unlist(handle);
	kfree_rcu(handle, rcu);
}

/**
 * rxe_handle_publish - let look-ups hit
 * @handle: from rxe_handle_create()
 * @object: what the number names from now on
 *
 * Context: any.
 */
void rxe_handle_publish(struct rxe_handle *handle, void *object)
{
	handle->object = object;
	/*
	 * Pairs with rxe_handle_get(): a reader that gets a reference also sees
	 * the object.
	 */
	smp_wmb();
	refcount_set(&handle->refs, 1);
}

/**
 * rxe_handle_destroy - withdraw a number and wait for the object's users
 * @handle: published; freed
 *
 * Context: may sleep, but only while a softirq user is in a critical section.
 */
void rxe_handle_destroy(struct rxe_handle *handle)
{
	rxe_handle_unlist(handle);
	rxe_handle_put(handle);
	wait_for_completion(&handle->idle);
	kfree_rcu(handle, rcu);
}

/**
 * rxe_handle_get - look a number up and take a reference to its object
 * @table: where to look
 * @number: untrusted, from a peer or a program
 *
 * Context: any.
 * Return: the object, to be given back by rxe_handle_put(); NULL: none.
 */
void *rxe_handle_get(struct rxe_handle_table *table, u32 number)
{
	struct rxe_handle *handle;
	void *object = NULL;

	rcu_read_lock();
	handle = rhashtable_lookup(&table->ht, &number, rxe_handle_params);
	if (handle && rxe_handle_hold(handle)) {
		/* pairs with rxe_handle_publish() */
		smp_rmb();
		object = handle->object;
	}
	rcu_read_unlock();

	return object;
}
