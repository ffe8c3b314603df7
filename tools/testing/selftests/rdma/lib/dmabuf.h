/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Buffers that other drivers have made: udmabuf, or vgem where there is none. */
#ifndef DMABUF_H
#define DMABUF_H

#include <stdbool.h>

#define BUFFER_BYTES	(64 * 1024UL)

/**
 * struct buffer - a dma-buf of BUFFER_BYTES
 * @fd: of it
 * @addr: its memory, mapped as its owner maps it
 */
struct buffer {
	int fd;
	unsigned char *addr;
};

/* skips where the kernel has neither driver */
void buffer_get(struct buffer *buffer);
/* false there */
bool buffer_try(struct buffer *buffer);
void buffer_put(struct buffer *buffer);

/* a device file of vgem; -1: there is none */
int open_vgem(void);
/* @flags: O_RDWR, or else it cannot be written */
void buffer_from_vgem(struct buffer *buffer, int dev, int flags);

#endif
