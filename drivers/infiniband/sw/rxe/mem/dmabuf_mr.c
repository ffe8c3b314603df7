// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Memory regions of dma-bufs: buffers that other devices' drivers have made. */
#include <linux/dma-buf.h>

#include "mem/dmabuf.h"
#include "mem/dmabuf_mr.h"
#include "mem/memory.h"
#include "mem/mr.h"

static int rxe_dmabuf_check(const struct rxe_mr_init *init,
			    const struct dma_buf *buf)
{
	struct ib_device *ibdev = init->pd->device;
	int err = 0;

	if (ib_access_writable(init->access))
		err = rxe_dmabuf_check_writable(buf);
	if (err)
		return rxe_refuse(ibdev, err,
				  "register MR: the dma-buf may not be written");
	if (!rxe_in_bounds(0, buf->size, init->addr, init->length))
		return rxe_refuse(ibdev, -EINVAL,
				  "register MR: the dma-buf has %zu bytes, not %llu from %llu on",
				  buf->size, init->length, init->addr);
	return 0;
}

/* Consumes the reference to the buffer, unless it fails. */
static struct rxe_memory *rxe_dmabuf_memory(struct dma_buf *buf)
{
	struct rxe_memory *memory;
	int err;

	memory = rxe_memory_alloc();
	if (!memory)
		return ERR_PTR(-ENOMEM);

	err = rxe_dmabuf_map(buf, &memory->kaddr);
	if (err) {
		rxe_memory_put(memory);
		return ERR_PTR(err);
	}
	memory->dmabuf = buf;
	return memory;
}

/**
 * rxe_reg_user_mr_dmabuf - ib_device_ops.reg_user_mr_dmabuf
 * @ibpd: the protection domain
 * @offset: bytes into the buffer
 * @length: bytes
 * @iova: address that peers and the program use for the first byte
 * @fd: of the buffer
 * @access: enum ib_access_flags
 *
 * Context: may sleep.
 * Return: the region or an ERR_PTR: -EBADF, -EINVAL: it is no buffer's file, or
 * not so large; -EACCES: it may not be written; -EOPNOTSUPP: it is not memory.
 */
struct ib_mr *rxe_reg_user_mr_dmabuf(struct ib_pd *ibpd, u64 offset, u64 length,
				     u64 iova, int fd, int access)
{
	struct rxe_mr_init init = {
		.pd = ibpd,
		.kind = RXE_MR_DMABUF,
		.iova = iova,
		.length = length,
		.addr = offset,
		.access = access,
	};
	struct dma_buf *buf;
	int err;

	err = rxe_mr_check_init(&init);
	if (err)
		return ERR_PTR(err);

	buf = dma_buf_get(fd);
	if (IS_ERR(buf))
		return ERR_CAST(buf);

	err = rxe_dmabuf_check(&init, buf);
	if (err)
		goto put_buf;

	init.memory = rxe_dmabuf_memory(buf);
	if (IS_ERR(init.memory)) {
		err = rxe_refuse(ibpd->device, PTR_ERR(init.memory),
				 "register MR: the dma-buf cannot be mapped: %ld",
				 PTR_ERR(init.memory));
		goto put_buf;
	}
	return rxe_mr_create(&init);

put_buf:
	dma_buf_put(buf);
	return ERR_PTR(err);
}
