/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_DMABUF_H
#define RXE_DMABUF_H

struct dma_buf;

int rxe_dmabuf_map(struct dma_buf *buf, void **kaddr);
int rxe_dmabuf_check_writable(const struct dma_buf *buf);
void rxe_dmabuf_release(struct dma_buf *buf, void *kaddr);

#endif
