// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The opcodes of the supported services: IBTA volume 1, table 38. */
#include "base/compat.h"
#include "base/wire.h"

#define BTH	sizeof(struct rxe_bth)
#define DETH	sizeof(struct rxe_deth)
#define FETH	sizeof(struct rxe_feth)
#define RETH	sizeof(struct rxe_reth)
#define ATMETH	sizeof(struct rxe_atmeth)
#define AETH	sizeof(struct rxe_aeth)
#define ATMACK	sizeof(struct rxe_atmack)
#define IETH	sizeof(struct rxe_ieth)
#define IMMDT	sizeof(struct rxe_immdt)

#define ONLY	(RXE_OP_START | RXE_OP_END)
#define SEND_DATA	(RXE_OP_SEND | RXE_OP_PAYLOAD)
#define WRITE_DATA	(RXE_OP_WRITE | RXE_OP_PAYLOAD)
#define READ_DATA	(RXE_OP_READ | RXE_OP_RESPONSE | RXE_OP_PAYLOAD)

/* what RC and UC have in common */
#define SEND_AND_WRITE(service)						\
	[IB_OPCODE_##service##_SEND_FIRST] = {				\
		SEND_DATA | RXE_OP_START, BTH },			\
	[IB_OPCODE_##service##_SEND_MIDDLE] = { SEND_DATA, BTH },	\
	[IB_OPCODE_##service##_SEND_LAST] = {				\
		SEND_DATA | RXE_OP_END, BTH },				\
	[IB_OPCODE_##service##_SEND_LAST_WITH_IMMEDIATE] = {		\
		SEND_DATA | RXE_OP_END | RXE_OP_IMM, BTH + IMMDT },	\
	[IB_OPCODE_##service##_SEND_ONLY] = { SEND_DATA | ONLY, BTH },	\
	[IB_OPCODE_##service##_SEND_ONLY_WITH_IMMEDIATE] = {		\
		SEND_DATA | ONLY | RXE_OP_IMM, BTH + IMMDT },		\
	[IB_OPCODE_##service##_RDMA_WRITE_FIRST] = {			\
		WRITE_DATA | RXE_OP_START, BTH + RETH },		\
	[IB_OPCODE_##service##_RDMA_WRITE_MIDDLE] = { WRITE_DATA, BTH }, \
	[IB_OPCODE_##service##_RDMA_WRITE_LAST] = {			\
		WRITE_DATA | RXE_OP_END, BTH },				\
	[IB_OPCODE_##service##_RDMA_WRITE_LAST_WITH_IMMEDIATE] = {	\
		WRITE_DATA | RXE_OP_END | RXE_OP_IMM, BTH + IMMDT },	\
	[IB_OPCODE_##service##_RDMA_WRITE_ONLY] = {			\
		WRITE_DATA | ONLY, BTH + RETH },			\
	[IB_OPCODE_##service##_RDMA_WRITE_ONLY_WITH_IMMEDIATE] = {	\
		WRITE_DATA | ONLY | RXE_OP_IMM, BTH + RETH + IMMDT }

const struct rxe_opcode rxe_opcodes[256] = {
	SEND_AND_WRITE(RC),
	[IB_OPCODE_RC_RDMA_READ_REQUEST] = { RXE_OP_READ | ONLY, BTH + RETH },
	[IB_OPCODE_RC_RDMA_READ_RESPONSE_FIRST] = {
		READ_DATA | RXE_OP_START | RXE_OP_ACK, BTH + AETH },
	[IB_OPCODE_RC_RDMA_READ_RESPONSE_MIDDLE] = { READ_DATA, BTH },
	[IB_OPCODE_RC_RDMA_READ_RESPONSE_LAST] = {
		READ_DATA | RXE_OP_END | RXE_OP_ACK, BTH + AETH },
	[IB_OPCODE_RC_RDMA_READ_RESPONSE_ONLY] = {
		READ_DATA | ONLY | RXE_OP_ACK, BTH + AETH },
	[IB_OPCODE_RC_ACKNOWLEDGE] = {
		RXE_OP_RESPONSE | RXE_OP_ACK | ONLY, BTH + AETH },
	[IB_OPCODE_RC_ATOMIC_ACKNOWLEDGE] = {
		RXE_OP_ATOMIC | RXE_OP_RESPONSE | RXE_OP_ACK | ONLY,
		BTH + AETH + ATMACK },
	[IB_OPCODE_RC_COMPARE_SWAP] = { RXE_OP_ATOMIC | ONLY, BTH + ATMETH },
	[IB_OPCODE_RC_FETCH_ADD] = { RXE_OP_ATOMIC | ONLY, BTH + ATMETH },
	[IB_OPCODE_RC_SEND_LAST_WITH_INVALIDATE] = {
		SEND_DATA | RXE_OP_END | RXE_OP_INV, BTH + IETH },
	[IB_OPCODE_RC_SEND_ONLY_WITH_INVALIDATE] = {
		SEND_DATA | ONLY | RXE_OP_INV, BTH + IETH },
	/* reserved opcodes of RC: answered by a NAK, see IBTA 9.7.4.1.4 */
	[IB_OPCODE_RC_FETCH_ADD + 1] = {
		RXE_OP_UNSUPPORTED | RXE_OP_PAYLOAD, BTH },
	[IB_OPCODE_RC_SEND_ONLY_WITH_INVALIDATE + 1 ... IB_OPCODE_RC_FLUSH - 1] = {
		RXE_OP_UNSUPPORTED | RXE_OP_PAYLOAD, BTH },
	[IB_OPCODE_RC_FLUSH] = { RXE_OP_FLUSH | ONLY, BTH + FETH + RETH },
	[IB_OPCODE_RC_ATOMIC_WRITE] = {
		RXE_OP_ATOMIC_WRITE | RXE_OP_PAYLOAD | ONLY, BTH + RETH },
	[IB_OPCODE_RC_ATOMIC_WRITE + 1 ... IB_OPCODE_UC - 1] = {
		RXE_OP_UNSUPPORTED | RXE_OP_PAYLOAD, BTH },

	SEND_AND_WRITE(UC),

	[IB_OPCODE_UD_SEND_ONLY] = { SEND_DATA | ONLY, BTH + DETH },
	[IB_OPCODE_UD_SEND_ONLY_WITH_IMMEDIATE] = {
		SEND_DATA | ONLY | RXE_OP_IMM, BTH + DETH + IMMDT },
};
