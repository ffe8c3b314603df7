// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#define _GNU_SOURCE
#include <fcntl.h>
#include <glob.h>
#include <linux/udmabuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dmabuf.h"
#include "ktap_test.h"

static unsigned char *map(int fd)
{
	void *addr = mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(addr != MAP_FAILED);
	return addr;
}

static void from_udmabuf(struct buffer *buffer, int dev)
{
	struct udmabuf_create create = {
		.memfd = memfd_create("buffer", MFD_ALLOW_SEALING),
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.size = BUFFER_BYTES,
	};

	CHECK((int)create.memfd >= 0);
	CHECK_EQ(ftruncate(create.memfd, BUFFER_BYTES), 0);
	CHECK_EQ(fcntl(create.memfd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	buffer->addr = map(create.memfd);
	buffer->fd = ioctl(dev, UDMABUF_CREATE, &create);
	CHECK(buffer->fd >= 0);
	close(create.memfd);
}

/* of drm.h and drm_mode.h, which the kernel's headers for programs have not */
struct drm_dumb {
	__u32 height;
	__u32 width;
	__u32 bpp;
	__u32 flags;
	__u32 handle;
	__u32 pitch;
	__u64 size;
};

struct drm_prime {
	__u32 handle;
	__u32 flags;
	__s32 fd;
};

#define DRM_CREATE_DUMB	_IOWR('d', 0xb2, struct drm_dumb)
#define DRM_PRIME_TO_FD	_IOWR('d', 0x2d, struct drm_prime)

int open_vgem(void)
{
	char path[50];
	glob_t found;
	int fd = -1;

	if (!system("modprobe -q vgem") &&
	    !glob("/sys/devices/*/vgem/drm/card*", 0, NULL, &found)) {
		snprintf(path, sizeof(path), "/dev/dri/%s",
			 strrchr(found.gl_pathv[0], '/') + 1);
		fd = open(path, O_RDWR);
		globfree(&found);
	}
	return fd;
}

void buffer_from_vgem(struct buffer *buffer, int dev, int flags)
{
	struct drm_dumb dumb = {
		.height = BUFFER_BYTES / 4096,
		.width = 1024,
		.bpp = 32,
	};
	struct drm_prime prime = { .flags = flags };

	CHECK_EQ(ioctl(dev, DRM_CREATE_DUMB, &dumb), 0);
	CHECK_EQ(dumb.size, BUFFER_BYTES);
	prime.handle = dumb.handle;
	CHECK_EQ(ioctl(dev, DRM_PRIME_TO_FD, &prime), 0);
	buffer->fd = prime.fd;
	buffer->addr = flags & O_RDWR ? map(prime.fd) : NULL;
}

bool buffer_try(struct buffer *buffer)
{
	int dev = open("/dev/udmabuf", O_RDWR);

	if (dev >= 0) {
		from_udmabuf(buffer, dev);
	} else {
		dev = open_vgem();
		if (dev < 0)
			return false;
		buffer_from_vgem(buffer, dev, O_RDWR | O_CLOEXEC);
	}
	close(dev);
	return true;
}

void buffer_get(struct buffer *buffer)
{
	if (!buffer_try(buffer))
		skip("the kernel has neither udmabuf nor vgem");
}

void buffer_put(struct buffer *buffer)
{
	CHECK_EQ(munmap(buffer->addr, BUFFER_BYTES), 0);
	CHECK_EQ(close(buffer->fd), 0);
}
