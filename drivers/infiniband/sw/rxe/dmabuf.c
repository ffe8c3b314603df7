// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Memory regions of buffers that other devices' drivers have made. */
#include <linux/dma-buf.h>
#include <linux/fs.h>
#include <linux/iosys-map.h>

#include "compat.h"
#include "dmabuf.h"
#include "memory.h"
#include "mr.h"

RXE_IMPORT_NS_DMA_BUF;

/*
 * A device without DMA has nothing to map the buffer for: it is mapped for the
 * kernel, and in the CPU's hands for as long as a region has it. The exporter
 * does not move it meanwhile.
 */
static int rxe_dmabuf_map(struct dma_buf *buf, void **kaddr)
{
	struct iosys_map map;
	int err;

	err = dma_buf_begin_cpu_access(buf, DMA_BIDIRECTIONAL);
	if (err)
		return err;

	err = rxe_dma_buf_vmap(buf, &map);
	if (err)
		goto end_access;

	/* atomics need memory, and packets are copied as memory is */
	if (map.is_iomem) {
		err = -EOPNOTSUPP;
		goto vunmap;
	}

	*kaddr = map.vaddr;
	return 0;

vunmap:
	rxe_dma_buf_vunmap(buf, &map);
end_access:
	dma_buf_end_cpu_access(buf, DMA_BIDIRECTIONAL);
	return err;
}

/**
 * rxe_dmabuf_check_writable - ask whether a buffer may be written
 * @buf: the buffer
 *
 * Context: any.
 * Return: 0 or -EACCES.
 */
int rxe_dmabuf_check_writable(const struct dma_buf *buf)
{
	return buf->file->f_mode & FMODE_WRITE ? 0 : -EACCES;
}

static int rxe_dmabuf_check(const struct dma_buf *buf, u64 offset, u64 length,
			    int access)
{
	int err = 0;

	if (ib_access_writable(access))
		err = rxe_dmabuf_check_writable(buf);
	if (!err && !rxe_in_bounds(0, buf->size, offset, length))
		err = -EINVAL;
	return err;
}

/* The buffer's reference is the memory's, or still the caller's. */
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
 * @iova: how peers and the program call the first byte
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

	err = rxe_dmabuf_check(buf, offset, length, access);
	if (err)
		goto put_buf;

	init.memory = rxe_dmabuf_memory(buf);
	if (IS_ERR(init.memory)) {
		err = PTR_ERR(init.memory);
		goto put_buf;
	}
	return rxe_mr_create(&init);

put_buf:
	dma_buf_put(buf);
	return ERR_PTR(err);
}

/**
 * rxe_dmabuf_release - let go of a buffer
 * @memory: its memory, which no region has any more
 *
 * Context: may sleep.
 */
void rxe_dmabuf_release(struct rxe_memory *memory)
{
	struct iosys_map map = IOSYS_MAP_INIT_VADDR(memory->kaddr);

	rxe_dma_buf_vunmap(memory->dmabuf, &map);
	dma_buf_end_cpu_access(memory->dmabuf, DMA_BIDIRECTIONAL);
	dma_buf_put(memory->dmabuf);
}
