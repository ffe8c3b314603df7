// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Calls of uverbs without the library, by write() and by ioctl(), as they should be
 * or with something changed: a field, a length, a pointer, the command itself.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ktap_test.h"
#include "world.h"

#define EXTENDED	IB_USER_VERBS_CMD_FLAG_EXTENDED

void *begin_write(struct world *w, struct device *dev, uint32_t command,
		  size_t in_len, size_t out_len)
{
	struct request *r = w->request;

	r->dev = dev;
	r->command = command;
	r->is_method = false;
	r->in_len = in_len;
	r->driver_in_len = 0;
	r->out_len = out_len;
	r->driver_out_len = 0;
	r->odd = false;
	r->changed = false;
	memset(r->in, 0, sizeof(r->in));
	memset(r->out, 0, 256);
	return r->in;
}

void begin_method(struct world *w, struct device *dev, uint16_t object,
		  uint16_t method)
{
	struct request *r = w->request;

	begin_write(w, dev, 0, 0, 0);
	r->is_method = true;
	memset(&r->method, 0, sizeof(r->method));
	r->method.hdr.object_id = object;
	r->method.hdr.method_id = method;
	r->method.hdr.driver_id = RDMA_DRIVER_RXE;
}

struct ib_uverbs_attr *add_attr(struct world *w, uint16_t id, uint16_t len,
				uint64_t data)
{
	struct request *r = w->request;
	struct ib_uverbs_attr *attr;

	attr = &r->method.attrs[r->method.hdr.num_attrs++];
	attr->attr_id = id;
	attr->len = len;
	attr->flags = UVERBS_ATTR_F_MANDATORY;
	attr->data = data;
	return attr;
}

void add_answer(struct world *w, uint16_t id, uint16_t len, size_t at)
{
	add_attr(w, id, len, (uintptr_t)w->request->out + at);
}

const void *answer_of(const struct world *w)
{
	return w->request->out;
}

const void *driver_answer(const struct world *w)
{
	return w->request->out + w->request->out_len;
}

/* where the kernel should not read or write, and where it may, but others do too */
static uint64_t odd_pointer(struct world *w)
{
	switch (rnd(&w->random) % 4) {
	case 0:
		return (uintptr_t)ARENA + rnd(&w->random) % ARENA_BYTES;
	case 1:
		/* the end of what is mapped there */
		return (uintptr_t)ARENA + ARENA_BYTES - rnd(&w->random) % 64;
	default:
		return odd_long(&w->random);
	}
}

static void change_bytes(struct world *w, void *at, size_t len)
{
	unsigned char *bytes = at;
	uint32_t word;
	size_t where;
	int n;

	for (n = 1 + rnd(&w->random) % 3; n && len; n--) {
		if (one_in(&w->random, 3)) {
			bytes[rnd(&w->random) % len] = rnd(&w->random);
			continue;
		}
		where = rnd(&w->random) % len & -4;
		word = odd_number(&w->random);
		memcpy(bytes + where, &word, len - where < 4 ? len - where : 4);
	}
}

static void change_attr(struct world *w)
{
	struct request *r = w->request;
	struct ib_uverbs_attr *attr;

	if (!r->method.hdr.num_attrs)
		return;
	attr = &r->method.attrs[rnd(&w->random) % r->method.hdr.num_attrs];
	switch (rnd(&w->random) % 7) {
	case 0:
		attr->len = one_in(&w->random, 2) ? attr->len + rnd(&w->random) % 9 - 4 :
						    odd_number(&w->random);
		break;
	case 1:
		attr->flags = odd_number(&w->random);
		break;
	case 2:
		attr->attr_id = one_in(&w->random, 2) ? rnd(&w->random) % 20 :
							odd_number(&w->random);
		break;
	case 3:
		attr->data = attr->len > 8 ? odd_pointer(w) : odd_long(&w->random);
		break;
	case 4:
		attr->attr_data.reserved = odd_number(&w->random);
		break;
	case 5:
		*attr = r->method.attrs[rnd(&w->random) % r->method.hdr.num_attrs];
		break;
	default:
		change_bytes(w, attr, sizeof(*attr));
	}
}

static void change_method_header(struct world *w)
{
	struct ib_uverbs_ioctl_hdr *hdr = &w->request->method.hdr;

	switch (rnd(&w->random) % 6) {
	case 0:
		hdr->length = odd_number(&w->random);
		break;
	case 1:
		hdr->num_attrs = one_in(&w->random, 2) ? rnd(&w->random) % 20 :
							 odd_number(&w->random);
		break;
	case 2:
		hdr->object_id = rnd(&w->random) % 18;
		break;
	case 3:
		hdr->method_id = rnd(&w->random) % 8;
		break;
	case 4:
		hdr->driver_id = odd_number(&w->random);
		break;
	default:
		change_bytes(w, hdr, sizeof(*hdr));
	}
}

static bool call_method(struct world *w, bool mutate)
{
	struct request *r = w->request;
	struct ib_uverbs_ioctl_hdr *hdr = &r->method.hdr;

	hdr->length = sizeof(*hdr) + hdr->num_attrs * sizeof(r->method.attrs[0]);
	if (mutate && one_in(&w->random, 3))
		change_method_header(w);
	else if (mutate)
		change_attr(w);
	r->changed = mutate;
	return !ioctl(r->dev->fd, RDMA_VERBS_IOCTL, &r->method);
}

/* what is as short as that is no pointer, but the value */
static uint64_t number_at(const struct request *r, size_t at)
{
	uint64_t number;

	memcpy(&number, r->in + at, sizeof(number));
	return number;
}

/* a command in the form of a method: UVERBS_METHOD_INVOKE_WRITE */
static bool call_invoke(struct world *w, bool mutate)
{
	struct request *r = w->request;
	uintptr_t in = (uintptr_t)r->in;

	memset(&r->method, 0, sizeof(r->method));
	r->method.hdr.object_id = UVERBS_OBJECT_DEVICE;
	r->method.hdr.method_id = UVERBS_METHOD_INVOKE_WRITE;
	r->method.hdr.driver_id = RDMA_DRIVER_RXE;
	add_attr(w, UVERBS_ATTR_WRITE_CMD, 8, r->command);
	add_attr(w, UVERBS_ATTR_CORE_IN, r->in_len,
		 r->in_len > 8 ? in : number_at(r, 0));
	if (r->out_len)
		add_answer(w, UVERBS_ATTR_CORE_OUT, r->out_len, 0);
	if (r->driver_in_len)
		add_attr(w, UVERBS_ATTR_UHW_IN, r->driver_in_len,
			 r->driver_in_len > 8 ? in + r->in_len :
						number_at(r, r->in_len));
	if (r->driver_out_len)
		add_answer(w, UVERBS_ATTR_UHW_OUT, r->driver_out_len, r->out_len);
	return call_method(w, mutate);
}

static size_t words(size_t bytes, size_t each)
{
	return (bytes + each - 1) / each;
}

static bool call_write(struct world *w, bool mutate)
{
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		union {
			struct ib_uverbs_ex_cmd_hdr ex;
			uint64_t in[140];
		};
	} cmd = {};
	struct request *r = w->request;
	size_t out = r->out_len + r->driver_out_len;
	size_t in = r->in_len + r->driver_in_len, len;
	uint64_t answer = (uintptr_t)r->out;
	unsigned char *body = (unsigned char *)cmd.in;

	cmd.hdr.command = r->command;
	if (r->command & EXTENDED) {
		cmd.ex.response = out ? answer : 0;
		cmd.ex.provider_in_words = words(r->driver_in_len, 8);
		cmd.ex.provider_out_words = words(r->driver_out_len, 8);
		cmd.hdr.in_words = words(r->in_len, 8);
		cmd.hdr.out_words = words(r->out_len, 8);
		body += sizeof(cmd.ex);
		len = sizeof(cmd.hdr) + sizeof(cmd.ex) + words(in, 8) * 8;
	} else {
		cmd.hdr.out_words = words(out, 4);
		len = sizeof(cmd.hdr) + words(in, 4) * 4;
		cmd.hdr.in_words = len / 4;
		/* the first field, where there is an answer */
		if (out)
			memcpy(r->in, &answer, sizeof(answer));
	}
	memcpy(body, r->in, in);
	if (mutate) {
		switch (rnd(&w->random) % 6) {
		case 0:
			len = one_in(&w->random, 2) ? rnd(&w->random) % len :
						      len + rnd(&w->random) % 64;
			break;
		case 1:
			cmd.hdr.in_words = len / 4 + rnd(&w->random) % 5 - 2;
			break;
		case 2:
			cmd.hdr.out_words = odd_number(&w->random);
			break;
		case 3:
			cmd.in[0] = odd_pointer(w);
			break;
		case 4:
			cmd.hdr.command = rnd(&w->random) % 64 |
					  (one_in(&w->random, 4) ? EXTENDED : 0);
			break;
		default:
			change_bytes(w, &cmd, len);
		}
	}
	r->changed = mutate;
	return write(r->dev->fd, &cmd, len) == (ssize_t)len;
}

bool deliver(struct world *w)
{
	struct request *r = w->request;
	bool mutate = one_in(&w->random, w->mutations), done;

	note_call();
	if (mutate && r->in_len && one_in(&w->random, 2)) {
		change_bytes(w, r->in, r->in_len + r->driver_in_len);
		r->odd = true;
		mutate = false;
	}
	if (r->is_method)
		done = call_method(w, mutate);
	else if (one_in(&w->random, 2))
		done = call_invoke(w, mutate);
	else
		done = call_write(w, mutate);
	return done && !r->changed;
}
