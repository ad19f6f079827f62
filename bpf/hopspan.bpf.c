// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Entry points only, in the order in which a connection lives. Logic stands in the headers. */
#include "exchange.h"
#include "freezes.h"
#include "network.h"

/* The kernel knows no word for "GPL-2.0 OR Apache-2.0"; in the kernel the first of the two holds. */
char LICENSE[] SEC("license") = "GPL";

SEC("tp_btf/sched_process_exec")
int on_process_exec(__u64 *ctx)
{
	return process_exec((struct linux_binprm *)ctx[2]);
}

SEC("tp_btf/sched_process_fork")
int on_process_fork(__u64 *ctx)
{
	return process_fork((struct task_struct *)ctx[0], (struct task_struct *)ctx[1]);
}

SEC("tp_btf/inet_sock_set_state")
int on_state(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];
	int from = ctx[1], to = ctx[2];

	if (!is_tcp(sk))
		return 0;
	if (to == TCP_LISTEN)
		process_listen(sk->__sk_common.skc_num);
	else if (to == TCP_SYN_SENT)
		connection_syn_sent(sk);
	else if (to == TCP_ESTABLISHED)
		connection_established(sk, from);
	else
		connection_state(sk, from, to);
	return 0;
}

SEC("cgroup/getpeername4")
int on_accept4(struct bpf_sock_addr *ctx)
{
	if (ctx->sk)
		connection_accepted(ctx->sk);
	return 1;
}

SEC("cgroup/getpeername6")
int on_accept6(struct bpf_sock_addr *ctx)
{
	if (ctx->sk)
		connection_accepted(ctx->sk);
	return 1;
}

SEC("tp_btf/sk_data_ready")
int on_data_ready(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];

	if (is_tcp(sk))
		exchange_arrival(sk);
	else
		network_told(sk);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int on_recv(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];
	int bytes = ctx[1], flags = ctx[2];

	if (bytes > 0 && !(flags & (MSG_PEEK | MSG_ERRQUEUE)) && is_tcp(sk))
		exchange_read(sk, bytes);
	return 0;
}

SEC("tp_btf/sock_send_length")
int on_send(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];
	int bytes = ctx[1];

	if (bytes > 0 && is_tcp(sk))
		exchange_written(sk, bytes);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int on_destroy(__u64 *ctx)
{
	connection_released((struct sock *)ctx[0]);
	return 0;
}

/* Attached to the C library's epoll_wait() and its kin, in the processes whose turns must be known. */
SEC("uprobe")
int on_turn(void *ctx)
{
	(void)ctx;
	next_turn();
	return 0;
}

SEC("tp_btf/signal_deliver")
int on_signal_deliver(__u64 *ctx)
{
	return signal_delivered(ctx[0], (struct k_sigaction *)ctx[2]);
}

SEC("tp_btf/signal_generate")
int on_signal_generate(__u64 *ctx)
{
	return signal_generated(ctx[0], (struct task_struct *)ctx[2]);
}

SEC("tp_btf/cgroup_notify_frozen")
int on_cgroup_frozen(__u64 *ctx)
{
	return cgroup_frozen(ctx[0], ctx[2]);
}

SEC("tp_btf/sched_process_exit")
int on_process_exit(__u64 *ctx)
{
	return process_exit((struct task_struct *)ctx[0]);
}
