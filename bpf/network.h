/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* When the kernel told the receiver's rtnetlink socket of a change: the receiver looks only now and then. */
#ifndef HOPSPAN_NETWORK_H
#define HOPSPAN_NETWORK_H

#include "targets.h"

#define AF_NETLINK 16

/*
 * A datagram is in the queue of a socket that is no TCP connection. Each one has a call (net/netlink/af_netlink.c), so
 * that the receiver, which counts them as it reads, knows the time of each. Two at once may be timed in either order.
 */
static __always_inline void network_told(struct sock *sk)
{
	if (!shared.network_cookie || sk->__sk_common.skc_family != AF_NETLINK ||
	    bpf_get_socket_cookie(sk) != shared.network_cookie)
		return;
	__u64 number = __sync_fetch_and_add(&shared.network_told, 1);

	shared.network_times[number & (HS_NETWORK_TIMES - 1)] = bpf_ktime_get_ns();
}

#endif
