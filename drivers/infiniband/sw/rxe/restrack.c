// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Attributes of memory regions for "rdma resource" and "rdma statistic". */
#include <net/netlink.h>
#include <rdma/rdma_netlink.h>
#include <rdma/restrack.h>

#include "mem/mr.h"
#include "restrack.h"

static int rxe_fill_odp_counters(struct sk_buff *msg,
				 const struct odp_counters *counters)
{
	const struct {
		const char *name;
		const atomic64_t *value;
	} entries[] = {
		{ "page_faults", &counters->page_faults },
		{ "page_invalidations", &counters->page_invalidations },
		{ "page_prefetch", &counters->page_prefetch },
		{ "page_fault_retries", &counters->retries },
		{ "pages_mapped", &counters->mapped },
	};
	int i, err;

	for (i = 0; i < ARRAY_SIZE(entries); i++) {
		err = rdma_nl_stat_hwcounter_entry(msg, entries[i].name,
						   atomic64_read(entries[i].value));
		if (err)
			return err;
	}
	return 0;
}

/**
 * rxe_fill_stat_mr - ib_device_ops.fill_stat_mr_entry: "rdma statistic show mr"
 * @msg: gets the counters of a region that is paged on demand
 * @ibmr: the region
 *
 * Context: may sleep; the region is held.
 * Return: 0 or -EMSGSIZE.
 */
int rxe_fill_stat_mr(struct sk_buff *msg, struct ib_mr *ibmr)
{
	struct rxe_mr *mr = to_rmr(ibmr);
	struct nlattr *table;

	if (mr->kind != RXE_MR_ODP)
		return 0;

	table = nla_nest_start(msg, RDMA_NLDEV_ATTR_STAT_HWCOUNTERS);
	if (!table)
		return -EMSGSIZE;

	if (rxe_fill_odp_counters(msg, odp_umem_counters(mr->odp))) {
		nla_nest_cancel(msg, table);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, table);
	return 0;
}

/**
 * rxe_fill_res_mr - ib_device_ops.fill_res_mr_entry: "rdma resource show mr"
 * @msg: told whether a region is paged on demand, and of which kind it is
 * @ibmr: the region
 *
 * Context: may sleep; the region is held.
 * Return: 0 or -EMSGSIZE.
 */
int rxe_fill_res_mr(struct sk_buff *msg, struct ib_mr *ibmr)
{
	struct rxe_mr *mr = to_rmr(ibmr);
	struct nlattr *table;

	if (mr->kind != RXE_MR_ODP)
		return 0;

	table = nla_nest_start(msg, RDMA_NLDEV_ATTR_DRIVER);
	if (!table)
		return -EMSGSIZE;

	if (rdma_nl_put_driver_string(msg, "odp", mr->implicit ? "implicit" :
								 "explicit")) {
		nla_nest_cancel(msg, table);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, table);
	return 0;
}
