/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The CRC-32 of the ICRC, by the fastest implementation available. */
#ifndef RXE_CRC_H
#define RXE_CRC_H

#include <linux/crc32.h>
#include <linux/types.h>

#include "base/compat.h"

#ifdef RXE_CRC_OF_CRYPTO
void rxe_crc_init(void);
void rxe_crc_exit(void);
u32 rxe_crc(u32 crc, const void *data, size_t len);
#else
static inline void rxe_crc_init(void)
{
}

static inline void rxe_crc_exit(void)
{
}

static inline u32 rxe_crc(u32 crc, const void *data, size_t len)
{
	return crc32_le(crc, data, len);
}
#endif

#endif
