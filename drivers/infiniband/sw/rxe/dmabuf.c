// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Memory regions of buffers that other devices' drivers have made. */
#include <linux/dma-buf.h>
#include <linux/fs.h>
#include <linux/iosys-map.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "compat.h"
#include "dmabuf.h"
#include "mr.h"

RXE_IMPORT_NS_DMA_BUF;

/*
 * A device without DMA has nothing to map the buffer for: it is mapped for the
 * kernel, and in the CPU's hands for as long as the region lives. The exporter
 * does not move it meanwhile.
 */
static int rxe_dmabuf_map(struct rxe_mr *mr, struct dma_buf *buf)
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

	mr->dmabuf = buf;
	mr->kaddr = map.vaddr;
	return 0;

vunmap:
	rxe_dma_buf_vunmap(buf, &map);
end_access:
	dma_buf_end_cpu_access(buf, DMA_BIDIRECTIONAL);
	return err;
}

static int rxe_dmabuf_check(const struct dma_buf *buf, u64 offset, u64 length,
			    int access)
{
	if (ib_access_writable(access) && !(buf->file->f_mode & FMODE_WRITE))
		return -EACCES;
	return rxe_in_bounds(0, buf->size, offset, length) ? 0 : -EINVAL;
}

/* The buffer's reference is the region's, or dropped. */
static struct ib_mr *rxe_dmabuf_reg(struct ib_pd *ibpd, struct dma_buf *buf,
				    u64 offset, u64 length, u64 iova,
				    int access)
{
	struct rxe_mr *mr;
	int err;

	err = rxe_dmabuf_check(buf, offset, length, access);
	if (err)
		goto put_buf;

	mr = rxe_mr_alloc(ibpd, RXE_MR_DMABUF);
	if (!mr) {
		err = -ENOMEM;
		goto put_buf;
	}

	mr->ibmr.iova = iova;
	mr->ibmr.length = length;
	mr->access = access;
	mr->addr = offset;
	err = rxe_dmabuf_map(mr, buf);
	if (err)
		goto free_mr;

	err = rxe_mr_publish(mr);
	if (err)
		goto release;
	return &mr->ibmr;

release:
	rxe_dmabuf_release(mr);
	kfree(mr);
	return ERR_PTR(err);
free_mr:
	kfree(mr);
put_buf:
	dma_buf_put(buf);
	return ERR_PTR(err);
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
	struct dma_buf *buf;
	u64 end;

	if (access & ~RXE_DMABUF_ACCESS)
		return ERR_PTR(-EOPNOTSUPP);
	if (!length || check_add_overflow(iova, length - 1, &end))
		return ERR_PTR(-EINVAL);

	buf = dma_buf_get(fd);
	if (IS_ERR(buf))
		return ERR_CAST(buf);
	return rxe_dmabuf_reg(ibpd, buf, offset, length, iova, access);
}

/**
 * rxe_dmabuf_rereg - register the same buffer once more
 * @mr: a region of it
 * @ibpd: the protection domain
 * @access: enum ib_access_flags
 *
 * Context: may sleep.
 * Return: another region or an ERR_PTR.
 */
struct ib_mr *rxe_dmabuf_rereg(const struct rxe_mr *mr, struct ib_pd *ibpd,
			       int access)
{
	if (access & ~RXE_DMABUF_ACCESS)
		return ERR_PTR(-EOPNOTSUPP);

	get_dma_buf(mr->dmabuf);
	return rxe_dmabuf_reg(ibpd, mr->dmabuf, mr->addr, mr->ibmr.length,
			      mr->ibmr.iova, access);
}

/**
 * rxe_dmabuf_release - let go of a region's buffer
 * @mr: the region, which nobody finds any more
 *
 * Context: may sleep.
 */
void rxe_dmabuf_release(struct rxe_mr *mr)
{
	struct iosys_map map = IOSYS_MAP_INIT_VADDR(mr->kaddr);

	rxe_dma_buf_vunmap(mr->dmabuf, &map);
	dma_buf_end_cpu_access(mr->dmabuf, DMA_BIDIRECTIONAL);
	dma_buf_put(mr->dmabuf);
}
