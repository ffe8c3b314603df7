// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A connection knows its peer's packets by their addresses, queue pair number and
 * packet sequence number. An ordinary user may know all of these, and can send UDP
 * from each address of this host: over IPv6, by IPV6_FREEBIND, from any other one as
 * well. So a program's socket sends no UDP to the RoCEv2 port, neither to this host
 * nor to another, where nobody could tell that such a packet is not this driver's.
 * The namespace's port is the driver's, so that a program could not be answered there
 * in any case.
 *
 * A program that may open a raw socket (CAP_NET_RAW) may send what it likes, and by
 * a UDP socket as well. The kernel's own sockets are let through: this driver's, and
 * tunnels, to which an administrator gives the port.
 */
#include <linux/capability.h>
#include <linux/file.h>
#include <linux/ip.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/sock.h>
#include <rdma/ib_verbs.h>

#include "base/rule.h"
#include "ingress/guard.h"

/* Whether the program that opened the socket may open a raw one. */
static bool rxe_may_send_anything(struct sock *sk, const struct net *net)
{
	const struct file *file;
	bool may;

	/* sock_orphan() takes it to write: the file stays */
	read_lock_bh(&sk->sk_callback_lock);
	file = sk->sk_socket ? sk->sk_socket->file : NULL;
	may = file && file_ns_capable(file, net->user_ns, CAP_NET_RAW);
	read_unlock_bh(&sk->sk_callback_lock);

	return may;
}

/*
 * By the packet's headers, whichever socket it is from: SCTP may be in UDP, and what
 * is encrypted comes by here again.
 */
static bool rxe_is_to_port(const struct sk_buff *skb, u8 family)
{
	unsigned int offset = 0;
	const struct udphdr *udp;
	struct udphdr buf;

	if (family == NFPROTO_IPV4) {
		if (ip_hdr(skb)->protocol != IPPROTO_UDP)
			return false;
		offset = skb_network_offset(skb) + ip_hdrlen(skb);
	} else if (ipv6_find_hdr(skb, &offset, IPPROTO_UDP, NULL, NULL) < 0) {
		return false;
	}
	udp = skb_header_pointer(skb, offset, sizeof(buf), &buf);
	return udp && udp->dest == cpu_to_be16(ROCE_V2_UDP_DPORT);
}

static unsigned int rxe_guard(void *priv, struct sk_buff *skb,
			      const struct nf_hook_state *state)
{
	struct sock *sk = state->sk;

	if (!sk || !sk_fullsock(sk) || sk->sk_kern_sock)
		return NF_ACCEPT;
	if (!rxe_is_to_port(skb, state->pf) ||
	    rxe_may_send_anything(sk, state->net) ||
	    rxe_broken(programs_sockets))
		return NF_ACCEPT;
	return NF_DROP;
}

/*
 * Netfilter calls them in the context of the program's sendmsg(), or of the one
 * that hands a packet back to NFQUEUE; the socket is held in both. They are last:
 * address and port are what NAT has made of them.
 */
static const struct nf_hook_ops rxe_guards[] = {
	{
		.hook = rxe_guard,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_LOCAL_OUT,
		.priority = NF_IP_PRI_LAST,
	},
	{
		.hook = rxe_guard,
		.pf = NFPROTO_IPV6,
		.hooknum = NF_INET_LOCAL_OUT,
		.priority = NF_IP6_PRI_LAST,
	},
};

/**
 * rxe_guard_net - keep the RoCEv2 port of a net namespace from its programs
 * @net: the namespace
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_guard_net(struct net *net)
{
	return nf_register_net_hooks(net, rxe_guards, ARRAY_SIZE(rxe_guards));
}

/**
 * rxe_unguard_net - the counterpart of rxe_guard_net()
 * @net: as there
 *
 * Context: may sleep; does not wait for hooks that run.
 */
void rxe_unguard_net(struct net *net)
{
	nf_unregister_net_hooks(net, rxe_guards, ARRAY_SIZE(rxe_guards));
}
