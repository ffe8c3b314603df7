// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Where crc32_le() does not use the processor's instructions for CRCs, the
 * crypto API may have a driver that does. A trial at load picks the faster one.
 * Short data stays with crc32_le(): a crypto driver has to save SIMD registers
 * first.
 */
#include <crypto/hash.h>
#include <linux/jump_label.h>
#include <linux/ktime.h>
#include <linux/slab.h>

#include "base/crc.h"

#ifdef RXE_CRC_OF_CRYPTO

#define RXE_CRC_CRYPTO_MIN	256
#define RXE_CRC_TRIAL_LEN	4096
#define RXE_CRC_TRIALS		8

static DEFINE_STATIC_KEY_FALSE(rxe_crc_by_crypto);
static struct crypto_shash *rxe_crc_tfm;

/* The shash's state is the bare CRC: other users of the API rely on it, too. */
static u32 rxe_crc_crypto(u32 crc, const void *data, size_t len)
{
	SHASH_DESC_ON_STACK(desc, rxe_crc_tfm);
	u32 *state = shash_desc_ctx(desc);

	desc->tfm = rxe_crc_tfm;
	*state = crc;
	crypto_shash_update(desc, data, len);
	crc = *state;
	barrier_data(state);
	return crc;
}

/**
 * rxe_crc - CRC-32 of data
 * @crc: CRC of the bytes ahead of @data
 * @data: the data
 * @len: bytes
 *
 * Context: any.
 * Return: the CRC, as crc32_le() computes it.
 */
u32 rxe_crc(u32 crc, const void *data, size_t len)
{
	if (static_branch_unlikely(&rxe_crc_by_crypto) &&
	    len >= RXE_CRC_CRYPTO_MIN)
		return rxe_crc_crypto(crc, data, len);
	return crc32_le(crc, data, len);
}

static u32 rxe_crc_library(u32 crc, const void *data, size_t len)
{
	return crc32_le(crc, data, len);
}

/* The shortest of several runs: an interrupt can only lengthen a run. */
static s64 rxe_crc_time(u32 (*how)(u32, const void *, size_t),
			const void *data)
{
	s64 best = S64_MAX;
	ktime_t start;
	int i;

	for (i = 0; i < RXE_CRC_TRIALS; i++) {
		start = ktime_get();
		how(~0, data, RXE_CRC_TRIAL_LEN);
		best = min(best, ktime_to_ns(ktime_sub(ktime_get(), start)));
	}
	return best;
}

static bool rxe_crc_crypto_is_faster(void)
{
	bool faster = false;
	void *data;

	data = kzalloc(RXE_CRC_TRIAL_LEN, GFP_KERNEL);
	if (!data)
		return false;

	if (rxe_crc_crypto(~0, data, RXE_CRC_TRIAL_LEN) ==
	    crc32_le(~0, data, RXE_CRC_TRIAL_LEN))
		faster = rxe_crc_time(rxe_crc_crypto, data) <
			 rxe_crc_time(rxe_crc_library, data);
	kfree(data);
	return faster;
}

/**
 * rxe_crc_init - choose the faster CRC implementation
 *
 * Context: may sleep.
 */
void rxe_crc_init(void)
{
	rxe_crc_tfm = crypto_alloc_shash("crc32", 0, 0);
	if (IS_ERR(rxe_crc_tfm)) {
		rxe_crc_tfm = NULL;
		return;
	}

	if (crypto_shash_descsize(rxe_crc_tfm) == sizeof(u32) &&
	    rxe_crc_crypto_is_faster())
		static_branch_enable(&rxe_crc_by_crypto);
}

/**
 * rxe_crc_exit - the counterpart of rxe_crc_init()
 *
 * Context: may sleep; no CRC is computed any more.
 */
void rxe_crc_exit(void)
{
	crypto_free_shash(rxe_crc_tfm);
}

#endif
