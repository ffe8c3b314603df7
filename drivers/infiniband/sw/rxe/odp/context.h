/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_CONTEXT_H
#define ODP_CONTEXT_H

struct mm_struct;
struct odp_context;
struct odp_owner;
struct odp_umem;

struct odp_context *odp_context_get(struct odp_owner *owner,
				    struct mm_struct *mm);
void odp_context_put(struct odp_context *ctx);
int odp_context_add(struct odp_context *ctx, struct odp_umem *umem);
void odp_context_kill(struct odp_context *ctx, struct odp_umem *umem);
void odp_context_unhook(struct odp_context *ctx, struct odp_umem *umem);

#endif
