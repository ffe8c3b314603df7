// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The RoCEv2 port of a net namespace: a socket of each family reserves it,
 * enables GRO for it, and sends.
 */
#include <net/netns/generic.h>
#include <net/udp_tunnel.h>
#include <rdma/ib_verbs.h>

#include "base/compat.h"
#include "ingress/port.h"

/**
 * struct rxe_port - the port in one net namespace
 * @sock4: bound to it while there are devices
 * @sock6: the same for IPv6; NULL where the host has none
 */
struct rxe_port {
	struct socket *sock4;
	struct socket *sock6;
};

static unsigned int rxe_port_id __read_mostly;

static struct socket *rxe_open_socket(struct net *net, sa_family_t family,
				      rxe_encap_rcv_t rcv)
{
	struct udp_tunnel_sock_cfg tunnel = {
		.encap_type = 1,
		.encap_rcv = rcv,
	};
	struct udp_port_cfg port = {
		.family = family,
		.local_udp_port = cpu_to_be16(ROCE_V2_UDP_DPORT),
		/* Peers send 0, as A17.4.5 lets them: the ICRC is the check. */
		.use_udp6_rx_checksums = false,
		.ipv6_v6only = true,
	};
	struct socket *sock;
	int yes = 1;
	int err;

	err = udp_sock_create(net, &port, &sock);
	if (err)
		return ERR_PTR(err);

	setup_udp_tunnel_sock(net, rxe_tunnel_sock(sock), &tunnel);
	/* setup_udp_tunnel_sock() clears it: members may be on one host */
	err = sock->ops->setsockopt(sock, SOL_IP, IP_MULTICAST_LOOP,
				    KERNEL_SOCKPTR(&yes), sizeof(yes));
	if (!err)
		err = sock->ops->setsockopt(sock, SOL_UDP, UDP_GRO,
					    KERNEL_SOCKPTR(&yes), sizeof(yes));
	if (err) {
		udp_tunnel_sock_release(rxe_tunnel_sock(sock));
		return ERR_PTR(err);
	}
	return sock;
}

/**
 * rxe_port_close - the counterpart of rxe_port_open()
 * @net: as there
 *
 * Context: may sleep; does not wait for packets that are on their way.
 */
void rxe_port_close(struct net *net)
{
	struct rxe_port *port = net_generic(net, rxe_port_id);

	if (port->sock4)
		udp_tunnel_sock_release(rxe_tunnel_sock(port->sock4));
	if (port->sock6)
		udp_tunnel_sock_release(rxe_tunnel_sock(port->sock6));
	port->sock4 = NULL;
	port->sock6 = NULL;
}

/**
 * rxe_port_open - open the RoCEv2 port of a net namespace
 * @net: the namespace
 * @rcv: udp_sock.encap_rcv
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_port_open(struct net *net, rxe_encap_rcv_t rcv)
{
	struct rxe_port *port = net_generic(net, rxe_port_id);
	struct socket *sock;

	sock = rxe_open_socket(net, AF_INET, rcv);
	if (IS_ERR(sock))
		return PTR_ERR(sock);
	port->sock4 = sock;

	if (!ipv6_mod_enabled())
		return 0;

	sock = rxe_open_socket(net, AF_INET6, rcv);
	if (IS_ERR(sock)) {
		/* booted with ipv6.disable_ipv6: go on with IPv4 */
		if (PTR_ERR(sock) == -EAFNOSUPPORT)
			return 0;
		rxe_port_close(net);
		return PTR_ERR(sock);
	}
	port->sock6 = sock;
	return 0;
}

/**
 * rxe_port_sock - the socket that has the RoCEv2 port of a net namespace
 * @net: the namespace
 * @ipv4: rather than IPv6
 *
 * Context: any, while there is a device, or a hook, in @net.
 * Return: the socket, or NULL: the host has no IPv6.
 */
struct sock *rxe_port_sock(const struct net *net, bool ipv4)
{
	const struct rxe_port *port = net_generic(net, rxe_port_id);
	const struct socket *sock = ipv4 ? port->sock4 : port->sock6;

	return sock ? sock->sk : NULL;
}

static struct pernet_operations rxe_port_ops = {
	.id = &rxe_port_id,
	.size = sizeof(struct rxe_port),
};

/**
 * rxe_port_init - allot memory for the sockets of each net namespace
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_port_init(void)
{
	return register_pernet_device(&rxe_port_ops);
}

/**
 * rxe_port_exit - the counterpart of rxe_port_init()
 *
 * Context: may sleep; all ports are closed.
 */
void rxe_port_exit(void)
{
	unregister_pernet_device(&rxe_port_ops);
}
