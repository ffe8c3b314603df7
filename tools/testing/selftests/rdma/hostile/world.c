// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The devices, objects and rings of a hostile process. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ktap_test.h"
#include "world.h"

/* by the command or by the method that came for it */
static bool get_context(struct world *w, struct device *dev)
{
	const struct ib_uverbs_get_context_resp *answer;

	if (one_in(&w->random, 4)) {
		begin_method(w, dev, UVERBS_OBJECT_DEVICE,
			     UVERBS_METHOD_GET_CONTEXT);
		add_answer(w, UVERBS_ATTR_GET_CONTEXT_NUM_COMP_VECTORS, 4, 0);
		add_answer(w, UVERBS_ATTR_GET_CONTEXT_CORE_SUPPORT, 8, 8);
		return deliver(w);
	}
	answer = answer_of(w);
	begin_write(w, dev, IB_USER_VERBS_CMD_GET_CONTEXT,
		    sizeof(struct ib_uverbs_get_context), sizeof(*answer));
	if (!deliver(w))
		return false;
	fcntl(answer->async_fd, F_SETFL, O_NONBLOCK);
	object_add(object_new(dev, EVENTS), answer->async_fd);
	return true;
}

bool device_open(struct world *w, struct device *dev)
{
	int which = dev->which;

	memset(dev, 0, sizeof(*dev));
	dev->which = which;
	dev->fd = open(w->around->paths[which], O_RDWR | O_CLOEXEC);
	return dev->fd >= 0 && get_context(w, dev);
}

static void forget_rings(struct world *w, struct object *object)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (!object->rings[i])
			continue;
		object->rings[i]->owned = false;
		if (one_in(&w->random, 2))
			ring_unmap(object->rings[i]);
	}
}

/* Rings stay mapped, some of them, and event files open: in any order. */
void device_close(struct world *w, struct device *dev)
{
	bool first = one_in(&w->random, 2);
	struct object *object;
	enum kind kind;
	int i;

	if (first)
		close(dev->fd);
	for (kind = 0; kind < KINDS; kind++) {
		for (i = 0; i < OBJECTS; i++) {
			object = &dev->objects[kind][i];
			if (!object->used)
				continue;
			if (kind == CHANNEL || kind == EVENTS)
				close(object->handle);
			forget_rings(w, object);
		}
	}
	if (!first)
		close(dev->fd);
	/* others may have the number soon, and nobody means them */
	memset(dev->objects, 0, sizeof(dev->objects));
	dev->fd = -1;
}

struct device *any_device(struct world *w)
{
	return &w->devices[rnd(&w->random) % DEVICES];
}

struct object *object_new(struct device *dev, enum kind kind)
{
	struct object *object;
	int i;

	for (i = 0; i < OBJECTS; i++) {
		object = &dev->objects[kind][i];
		if (!object->used) {
			memset(object, 0, sizeof(*object));
			return object;
		}
	}
	return NULL;
}

void object_add(struct object *object, uint32_t handle)
{
	if (!object)
		return;
	object->used = true;
	object->handle = handle;
}

void object_gone(struct world *w, struct device *dev, struct object *object)
{
	dev->stale[dev->staled++ % STALE] = object->handle;
	forget_rings(w, object);
	object->used = false;
}

struct object *object_any(struct world *w, struct device *dev, enum kind kind)
{
	unsigned int first = rnd(&w->random), i;
	struct object *object;

	for (i = 0; i < OBJECTS; i++) {
		object = &dev->objects[kind][(first + i) % OBJECTS];
		if (object->used)
			return object;
	}
	return NULL;
}

struct object *object_of_pd(struct world *w, struct device *dev, enum kind kind,
			    uint32_t pd)
{
	struct object *object = NULL;
	int tries;

	for (tries = 0; tries < OBJECTS; tries++) {
		object = object_any(w, dev, kind);
		if (!object || object->pd == pd)
			break;
	}
	return object;
}

struct object *object_by_handle(struct device *dev, enum kind kind, uint32_t handle)
{
	struct object *object;
	int i;

	for (i = 0; i < OBJECTS; i++) {
		object = &dev->objects[kind][i];
		if (object->used && object->handle == handle)
			return object;
	}
	return NULL;
}

uint32_t handle_any(struct world *w, struct device *dev, enum kind kind)
{
	struct object *object = object_any(w, dev, kind);

	if (one_in(&w->random, 4 * w->mutations))
		object = object_any(w, dev, rnd(&w->random) % KINDS);
	else if (one_in(&w->random, 4 * w->mutations))
		return dev->stale[rnd(&w->random) % STALE];
	return object ? object->handle : odd_number(&w->random);
}

static struct ring *free_ring(struct world *w)
{
	int i;

	for (i = 0; i < RINGS; i++)
		if (!w->rings[i].buf)
			return &w->rings[i];
	for (i = 0; i < RINGS; i++)
		if (!w->rings[i].owned) {
			ring_unmap(&w->rings[i]);
			return &w->rings[i];
		}
	return NULL;
}

void ring_map(struct world *w, struct device *dev, struct ring **ring,
	      const struct mminfo *info)
{
	struct ring *to = free_ring(w);
	struct rxe_queue_buf *buf;
	uint32_t mask, shift;

	*ring = NULL;
	if (!to || !info->size)
		return;
	buf = mmap(NULL, info->size, PROT_READ | PROT_WRITE, MAP_SHARED, dev->fd,
		   info->offset);
	if (buf == MAP_FAILED)
		return;
	shift = buf->log2_elem_size;
	mask = buf->index_mask;
	/* a size that is not the ring's may be asked for, and is refused */
	if (sizeof(*buf) + ((size_t)(mask + 1) << shift) > info->size) {
		munmap(buf, info->size);
		return;
	}
	to->size = info->size;
	to->offset = info->offset;
	to->shift = shift;
	to->mask = mask;
	to->next = 0;
	to->owned = true;
	__atomic_store_n(&to->buf, buf, __ATOMIC_RELEASE);
	*ring = to;
}

void ring_unmap(struct ring *ring)
{
	struct rxe_queue_buf *buf = ring->buf;

	__atomic_store_n(&ring->buf, NULL, __ATOMIC_RELEASE);
	if (buf)
		munmap(buf, ring->size);
}

void *ring_slot(const struct ring *ring, uint32_t index)
{
	return ring->buf->data + ((size_t)(index & ring->mask) << ring->shift);
}

unsigned char *arena_range(uint64_t *random, size_t *len)
{
	size_t pages = ARENA_BYTES / PAGE, first = rnd(random) % pages;
	size_t n = 1 + rnd(random) % (one_in(random, 8) ? 256 : 16);

	if (n > pages - first)
		n = pages - first;
	*len = n * PAGE;
	return ARENA + first * PAGE;
}
