/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Rules that the driver keeps, and that a test build of it breaks, one at a time,
 * to see that a test notices: tools/testing/selftests/rdma/rules. In any other
 * build rxe_broken() is the constant false, and nothing of this is left.
 *
 * Broken is only the rule: whatever breaks it stays within memory that it may
 * touch, and comes to its end.
 */
#ifndef RXE_RULE_H
#define RXE_RULE_H

#include <linux/types.h>

#define RXE_RULES(rule)							\
	/* packets: addressee and soundness */				\
	rule(icrc, "a packet with a wrong ICRC is dropped")		\
	rule(transport_version, "a packet of another version is dropped") \
	rule(partition, "a packet of another partition is dropped")	\
	rule(payload_size, "a payload above 4096 bytes is dropped")	\
	rule(service, "a packet of another service is dropped")		\
	rule(peer_address, "a connection takes its peer's packets only") \
	rule(own_address, "a datagram is for the device whose address it has") \
	rule(netns, "a packet is for QPs of the namespace it came in")	\
	rule(incoming_domain, "a packet is for addresses of the VRF it came in") \
	rule(incoming_scope, "a link-local address is one of the netdev it came by") \
	rule(source_address, "a packet has the source address of its path") \
	rule(mcast_qps, "a group has a bounded number of QPs")		\
	rule(programs_sockets, "a program's socket sends no RoCE packets") \
	rule(mcast_join, "a netdev joins the groups of its QPs")	\
	rule(mcast_netdev, "a group's packet is for QPs of the netdev it came by") \
	/* the responder */						\
	rule(opcode_sequence, "packets of a message come in their order") \
	rule(enabled, "a QP does what its access flags enable")		\
	rule(payload_length, "all packets but the last are as long as the MTU") \
	rule(dma_length, "a write is as long as its RETH says")		\
	rule(receive_length, "a send is not longer than its receive")	\
	rule(psn_ahead, "a request ahead of its turn is not executed")	\
	rule(psn_behind, "a request that was executed is not again")	\
	rule(atomic_again, "a repeated atomic gets the result it had")	\
	rule(read_again, "a repeated read may not ask for more than before") \
	rule(ack_after_data, "a request is acknowledged once it is done") \
	rule(rnr_nak, "a send without a receive gets an RNR NAK")	\
	rule(immediate, "immediate data is delivered")			\
	rule(flush_persistent, "a flush to persistence is refused")	\
	rule(atomic_write_length, "an atomic write is of eight bytes")	\
	rule(comm_established, "a first packet before RTS raises an event") \
	rule(parked_bytes, "packets that wait at a QP take bounded memory") \
	rule(parked_copied, "packets that wait hold nothing but themselves") \
	rule(borrowed_copied, "packets are copied when the fault has to sleep") \
	rule(borrowed_room, "packets that wait stay when their fault sleeps") \
	rule(parked_charged, "packets that wait are charged to their program") \
	rule(wait_once, "requests behind a gap wait once, if they come again") \
	rule(wait_qkey, "a datagram with a wrong Q_Key does not wait")	\
	rule(wait_due, "responses to nothing do not wait")		\
	rule(device_bytes, "packets that wait at a device take bounded memory") \
	rule(program_share, "a program leaves others room to wait in")	\
	rule(fault_ahead, "a fault asks for bytes that packets have named") \
	rule(fault_turns, "a fault that sleeps waits for its turn to")	\
	rule(fault_nowait, "a fault that takes no sleep waits for no turn") \
	rule(abandoned, "a program's abandoned faults are bounded")	\
	rule(uc_loss, "UC drops a message that has lost a packet")	\
	rule(qkey, "a datagram with a wrong Q_Key is dropped")		\
	rule(datagram_length, "a datagram longer than its receive is dropped") \
	/* the requester */						\
	rule(read_credit, "no more reads at once than the peer takes")	\
	rule(window, "PSNs that are not acknowledged are bounded")	\
	rule(fence, "a fence waits for the reads before it")		\
	rule(go_back, "after a NAK all from its PSN on is sent again")	\
	rule(retries, "retries without progress are bounded by retry_cnt") \
	rule(ack_timeout, "a request that nothing answers is sent again") \
	rule(retry_parked, "that is so while a later one waits for memory") \
	rule(unparked, "a QP goes on without a bounded number of faults") \
	rule(rnr, "an RNR NAK has the request sent again")		\
	rule(rnr_timer, "the delay of an RNR NAK is waited for")	\
	rule(rnr_retries, "retries after RNR NAKs are bounded by rnr_retry") \
	rule(response_due, "responses to nothing are dropped")		\
	rule(response_valid, "a response is of the kind and length due") \
	rule(implied_nak, "an ACK behind a read does not acknowledge the read") \
	rule(sqd, "nothing begins while the send queue is drained")	\
	rule(sq_drained, "the event comes when the queue is drained")	\
	rule(cpu_share, "tasks of a CPU have a part of it beside the data path") \
	rule(flow_limit, "skbs of a flow in the network are bounded")	\
	rule(ah_pd, "an address handle is used within its PD")		\
	/* memory */							\
	rule(key, "all of a key has to be right, its low bits too")	\
	rule(key_reuse, "the number of a destroyed object is not reused soon") \
	rule(pd, "memory is accessed within its PD")			\
	rule(rights, "memory is accessed by the rights it was given")	\
	rule(bounds, "memory is accessed within its bounds")		\
	rule(invalidate, "an invalidated key gives no access")		\
	rule(window_key, "a window that is bound anew has one key")	\
	rule(window_qp, "a window of type 2 is for one QP")		\
	rule(window_rights, "a window gives the rights it was bound with") \
	rule(window_bounds, "a window ends where it was bound to")	\
	rule(bind_right, "a window is bound to a region that allows it") \
	rule(bound_region, "a region stays while a window is bound to it") \
	rule(foreign_memory, "memory moves only for the process that registered it") \
	/* queues and states */						\
	rule(object_max, "a device has as many objects as it announces") \
	rule(handle_max, "so many numbers are given that some are free") \
	rule(datagram_size, "a datagram is not longer than the MTU")	\
	rule(fetch_once, "a request is used as it was when it was checked") \
	rule(sge_bound, "a request has no more SGEs than granted")	\
	rule(inline_bound, "inline data is no longer than granted")	\
	rule(queue_charged, "queues are charged to their program")	\
	rule(solicited, "an event for solicited ones is for those only") \
	rule(cq_overrun, "a full completion queue is not overwritten")	\
	rule(cq_moved, "completions stay where a queue changes its size") \
	rule(srq_limit, "an SRQ tells that it runs low")		\
	rule(last_wqe, "a QP that failed tells that it leaves its SRQ")	\
	rule(flush, "requests of a QP that failed complete with an error") \
	rule(address_vector, "a refused address changes nothing")	\
	rule(flush_rate, "receives of a QP that failed are flushed at a rate") \
	rule(path_mtu, "a path MTU is not above the netdev's")		\
	rule(transition, "a QP changes its state by the attributes needed")

#define RXE_RULE_NUMBER(name, meaning)	RXE_RULE_##name,

enum rxe_rule {
	RXE_RULES(RXE_RULE_NUMBER)
	RXE_RULE_NUM,
};

#ifdef RXE_TEST
bool rxe_rule_broken(enum rxe_rule rule);
/* a limit, or less where a test lowers it to reach it */
u32 rxe_most(u32 limit);
#else
#define rxe_most(limit)		(limit)
/* constant, so that the compiler sees the code as it is without rules */
#define rxe_rule_broken(rule)	((rule) == RXE_RULE_NUM)
#endif

/* at the rule's place: whether it is left out, for a test to notice */
#define rxe_broken(name)	rxe_rule_broken(RXE_RULE_##name)

#endif
