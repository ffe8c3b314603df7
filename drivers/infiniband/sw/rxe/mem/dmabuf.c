// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* dma-buf: buffers that other devices' drivers have made. */
#include <linux/dma-buf.h>
#include <linux/fs.h>
#include <linux/iosys-map.h>

#include "base/compat.h"
#include "mem/dmabuf.h"

RXE_IMPORT_NS_DMA_BUF;

/**
 * rxe_dmabuf_map - map all of a buffer
 * @buf: the buffer
 * @kaddr: set to where it is mapped
 *
 * A device without DMA needs the buffer mapped into the kernel, and begins a
 * CPU access that lasts for as long as a region has it. The exporter does not
 * move it meanwhile.
 *
 * Context: may sleep.
 * Return: 0; -EOPNOTSUPP: it is I/O memory; the exporter's errors.
 */
int rxe_dmabuf_map(struct dma_buf *buf, void **kaddr)
{
	struct iosys_map map;
	int err;

	err = dma_buf_begin_cpu_access(buf, DMA_BIDIRECTIONAL);
	if (err)
		return err;

	err = rxe_dma_buf_vmap(buf, &map);
	if (err)
		goto end_access;

	/* atomics and memcpy() do not work on I/O memory */
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
 * rxe_dmabuf_check_writable - check whether a buffer may be written
 * @buf: the buffer
 *
 * Context: any.
 * Return: 0 or -EACCES.
 */
int rxe_dmabuf_check_writable(const struct dma_buf *buf)
{
	return buf->file->f_mode & FMODE_WRITE ? 0 : -EACCES;
}

/**
 * rxe_dmabuf_release - unmap a buffer, and drop the reference to it
 * @buf: the buffer, which no region has any more
 * @kaddr: where it is mapped
 *
 * Context: may sleep.
 */
void rxe_dmabuf_release(struct dma_buf *buf, void *kaddr)
{
	struct iosys_map map = IOSYS_MAP_INIT_VADDR(kaddr);

	rxe_dma_buf_vunmap(buf, &map);
	dma_buf_end_cpu_access(buf, DMA_BIDIRECTIONAL);
	dma_buf_put(buf);
}
