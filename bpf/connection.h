/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A connection's life: where its state lives, its set-up and its end. */
#ifndef HOPSPAN_CONNECTION_H
#define HOPSPAN_CONNECTION_H

#include "targets.h"

/* What the last payload on this side was. */
enum hs_phase {
	HS_QUIET,   /* nothing yet */
	HS_REQUEST, /* downstream: read; upstream: written */
	HS_ANSWER,  /* downstream: written; upstream: read */
};

/* Flags of the connection, which stay from one record to the next. */
#define HS_STAYING (HS_PREEXISTING | HS_PROXY_HEADER | HS_TLS | HS_BROKEN)

/* When unread data first stood in an empty receive queue, and at which sequence number. */
struct hs_arrival {
	__u64 ns;
	__u32 seq;
	__u32 reserved;
};

/* What the connection carries, as far as its first request tells. */
enum hs_protocol {
	HS_PROTOCOL_UNKNOWN, /* undecided: so far it could be HTTP/1 */
	HS_PROTOCOL_HTTP1,
	HS_PROTOCOL_HTTP2,
	HS_PROTOCOL_OPAQUE,
	HS_PROTOCOL_TLS,
};

/* Its exchanges come as messages or frames: sides tell of the connection alone. */
static __always_inline bool is_http(__u32 protocol)
{
	return protocol == HS_PROTOCOL_HTTP1 || protocol == HS_PROTOCOL_HTTP2;
}

/* Where the framing of one direction stands; see http1.h. */
struct hs_message {
	__u64 first_ns;
	__u64 arrived_ns;
	__u64 bytes;
	__u64 body_bytes;
	__u64 remaining; /* of the body or chunk; in a head, the Content-Length */
	__u64 tail;      /* the last bytes that were looked at, or a number in the reading */
	__u32 number;
	__u32 operations;
	__u32 head_bytes; /* handed up */
	__u16 status;
	__u8 state;
	__u8 match; /* bytes of an expected word that were found */
	__u32 flags;
	__u32 first_head; /* bytes of the first message's head */
	__u32 tid;
	__u32 first_turn;
};

/* Where one direction of a stream stands amid gRPC's messages. */
struct hs_grpc {
	__u32 left;         /* of the message */
	__u32 length;       /* as far as it was read */
	__u32 prefix_bytes; /* of the five before the message that were read */
};

/* The same for frames; see http2.h. */
struct hs_framing {
	__u64 header; /* its bytes so far, up to eight */
	__u32 length;
	__u32 remaining;
	__u32 stream;
	__u32 block; /* bytes kept of the header block under way */
	__u32 operations;
	__u32 records; /* sent or lost */
	__u8 have; /* bytes of the header, or of the preface */
	__u8 type;
	__u8 flags;
	__u8 state;
	struct hs_grpc grpc;
	__u32 counted; /* the stream that `grpc` is of; 0: of none */
	__u32 parked;  /* streams of this direction in hs_grpc_streams, or lost from there */
	__u8 padding;  /* at the end of the DATA frame under way; its length is to be read yet */
	bool is_padded;
	bool uncounted; /* the counted stream carries something else */
	__u8 reserved;
	__u32 reserved_too;
};

struct hs_connection {
	struct hs_side_record record; /* what the next emission says; read by the receiver in place */
	struct hs_arrival arrival;
	struct hs_arrival previous_arrival; /* data can arrive before the probe of the read before it runs */
	__u32 seen_rcv_nxt;
	__u32 phase;
	__u16 tries;     /* operations whose buffers were looked at in vain */
	__u16 chained;   /* upstream: the other end is a watched downstream connection; that one writes */
	__u32 unclaimed; /* downstream: counted in its thread's hs_thread.unclaimed */
	__u32 place;     /* own index in the table */
	__u32 candidate_place; /* upstream: where record.candidate is, or was */
	__u32 protocol;
	__u32 outstanding; /* requests whose answer has not begun */
	__u32 peer_place;  /* where record.peer is, or was */
	__u32 reserved;
	union {
		struct hs_message requests;
		struct hs_framing request_frames;
	};
	union {
		struct hs_message answers;
		struct hs_framing answer_frames;
	};
	/* Bit n is the n-th of the outstanding. */
	__u64 head_requests;
	__u64 connect_requests;
};

_Static_assert(sizeof(struct hs_connection) == 592, "the receiver maps an array of these");

/*
 * The connection table. The probes write each place in the context of its socket; the receiver maps it
 * read-only to find exchanges that went quiet. A place is in use while record.connection is not 0.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 65536); /* set by the receiver */
	__type(key, __u32);
	__type(value, struct hs_connection);
} connections SEC(".maps");

/* Places given back. Release pushes, allocation pops; bounded by the table. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 65536); /* set by the receiver */
	__uint(value_size, sizeof(__u32));
} free_places SEC(".maps");

#define HS_NO_PLACE 0xffffffff

struct hs_place {
	__u32 number; /* place + 1; 0: this socket's record has been sent; HS_NO_PLACE: the table was full */
};

/* Socket -> place. The probes insert and read; the kernel deletes with the socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct hs_place);
} places SEC(".maps");

/*
 * (client ISN, server ISN) -> upstream connection, so that the next proxy on this host finds whose
 * connection it accepted, through address translation too. The upstream side inserts at its handshake,
 * which precedes the downstream side's; that one reads and deletes. Connections to elsewhere are left to
 * the LRU.
 */
struct hs_isns {
	__u32 client;
	__u32 server;
};

struct hs_caller {
	__u64 connection;
	__u32 place;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct hs_isns);
	__type(value, struct hs_caller);
} chains SEC(".maps");

/*
 * What a thread did, without a clock: the count of its accepts, connects and closes tells which followed
 * which. `unclaimed` counts its open downstream connections that have led to no upstream connection yet, or
 * only to one that the thread has given up; `unclaimed_places` is the exclusive or of their places, so that a
 * single one can be found.
 */
#define HS_UNSURE (1U << 31) /* in `unclaimed`: connections that are in no table have come and gone */

struct hs_thread {
	__u64 ops;
	__u32 unclaimed;
	__u32 unclaimed_places;
	__u32 turns; /* of its event loop, while they are counted */
	__u32 reserved;
};

/* tid -> thread. Its own operations insert and write; old threads are left to the LRU. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct hs_thread);
} threads SEC(".maps");

static __always_inline bool is_tcp(const struct sock *sk)
{
	unsigned short family = sk->__sk_common.skc_family;

	return (family == AF_INET || family == AF_INET6) && sk->sk_protocol == IPPROTO_TCP;
}

static __always_inline struct tcp_sock *tcp_of(struct sock *sk)
{
	return (struct tcp_sock *)bpf_skc_to_tcp_sock(sk);
}

static __always_inline struct hs_connection *connection_at(__u32 place)
{
	return bpf_map_lookup_elem(&connections, &place);
}

static __always_inline struct hs_connection *connection_of(struct sock *sk)
{
	struct hs_place *place = bpf_sk_storage_get(&places, sk, NULL, 0);

	if (!place || !place->number)
		return NULL;
	return connection_at(place->number - 1);
}

/* NULL only when memory is short. */
static __always_inline struct hs_thread *current_thread(void)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct hs_thread *thread = bpf_map_lookup_elem(&threads, &tid);

	if (!thread) {
		struct hs_thread fresh = {};

		bpf_map_update_elem(&threads, &tid, &fresh, BPF_ANY);
		thread = bpf_map_lookup_elem(&threads, &tid);
	}
	return thread;
}

/* The current thread with this operation counted; NULL only when memory is short. */
static __always_inline struct hs_thread *next_op(void)
{
	struct hs_thread *thread = current_thread();

	if (thread)
		thread->ops++;
	return thread;
}

/* The thread's event loop asks for what is ready: a new turn begins. */
static __always_inline void next_turn(void)
{
	struct hs_thread *thread;

	if (!target_of(current_tgid()))
		return;
	thread = current_thread();
	if (thread)
		thread->turns++;
}

/* In which turn of its event loop the current thread is; 0 where that is not counted, or nobody needs to know. */
static __always_inline __u32 current_turn(const struct hs_connection *connection)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();

	if (!shared.turns_counted || connection->record.peer)
		return 0;
	struct hs_thread *thread = bpf_map_lookup_elem(&threads, &tid);

	return thread ? thread->turns : 0;
}

/*
 * An accept, connect or close of a connection that has no place in the table: it counts among the thread's calls, and
 * from here on nobody knows for whom the thread connects.
 */
static __always_inline void unseen_op(void)
{
	struct hs_thread *thread = next_op();

	if (thread)
		thread->unclaimed |= HS_UNSURE;
}

static __always_inline void claim(struct hs_connection *downstream, struct hs_thread *thread)
{
	if (!downstream->unclaimed)
		return;
	downstream->unclaimed = 0;
	thread->unclaimed--;
	thread->unclaimed_places ^= downstream->place;
}

static __always_inline void unclaim(struct hs_connection *downstream, struct hs_thread *thread)
{
	downstream->unclaimed = 1;
	thread->unclaimed++;
	thread->unclaimed_places ^= downstream->place;
}

/* The thread gives up an upstream connection that relayed nothing: the next connect() may be another try. */
static __always_inline void attempt_over(struct hs_connection *upstream, struct hs_thread *thread)
{
	const struct hs_side_record *record = &upstream->record;

	if (!record->candidate || record->peer || record->close_tid != record->tid)
		return;
	struct hs_connection *downstream = connection_at(upstream->candidate_place);

	if (!downstream || downstream->record.connection != record->candidate || downstream->unclaimed)
		return;
	if (!downstream->record.peer && !downstream->record.close_op && downstream->record.tid == record->tid)
		unclaim(downstream, thread);
}

/* A downstream connection that is paired or over waits for no connect() any more. */
static __always_inline void claim_on_own_thread(struct hs_connection *connection)
{
	struct hs_thread *thread = bpf_map_lookup_elem(&threads, &connection->record.tid);

	if (thread)
		claim(connection, thread);
}

static __always_inline void read_addresses(struct hs_side_record *record, const struct sock *sk)
{
	const struct sock_common *common = &sk->__sk_common;

	record->family = common->skc_family;
	record->local_port = common->skc_num;
	record->remote_port = bpf_ntohs(common->skc_dport);
	if (record->family == AF_INET) {
		__u32 local = common->skc_rcv_saddr, remote = common->skc_daddr;

		__builtin_memcpy(record->local_addr, &local, sizeof(local));
		__builtin_memcpy(record->remote_addr, &remote, sizeof(remote));
	} else {
		bpf_probe_read_kernel(record->local_addr, 16, &common->skc_v6_rcv_saddr);
		bpf_probe_read_kernel(record->remote_addr, 16, &common->skc_v6_daddr);
	}
}

/* ISNs follow from the first unacknowledged and the next expected byte, right after the handshake. */
static __always_inline void read_isns(struct hs_side_record *record, struct sock *sk)
{
	const struct tcp_sock *tp = tcp_of(sk);

	if (!tp)
		return;
	record->local_isn = tp->snd_una - 1;
	record->remote_isn = tp->rcv_nxt - 1;
}

/* Gives a socket a place in the table. Counts what does not fit and returns NULL. */
static __always_inline struct hs_connection *track(struct sock *sk, __u8 role)
{
	struct hs_place *place = bpf_sk_storage_get(&places, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	__u32 number;

	if (!place) {
		count(&shared.counters.storage_failed);
		return NULL;
	}
	if (bpf_map_pop_elem(&free_places, &number) != 0) {
		if (shared.places_used >= config.max_connections ||
		    (number = __sync_fetch_and_add(&shared.places_used, 1)) >= config.max_connections) {
			count(&shared.counters.table_full);
			place->number = HS_NO_PLACE;
			return NULL;
		}
	}
	struct hs_connection *connection = connection_at(number);

	if (!connection)
		return NULL;
	__builtin_memset(connection, 0, sizeof(*connection));
	connection->record.kind = HS_KIND_SIDE;
	connection->record.role = role;
	connection->place = number;
	connection->record.connection = __sync_fetch_and_add(&shared.connection_ids, 1) + 1;
	place->number = number + 1;
	return connection;
}

static __always_inline void take_thread(struct hs_side_record *record)
{
	__u64 id = bpf_get_current_pid_tgid();

	record->tgid = id >> 32;
	record->tid = (__u32)id;
	bpf_get_current_comm(record->worker, sizeof(record->worker));
}

static __always_inline bool is_without_place(struct sock *sk)
{
	struct hs_place *place = bpf_sk_storage_get(&places, sk, NULL, 0);

	return place && place->number == HS_NO_PLACE;
}

static __always_inline void connection_syn_sent(struct sock *sk)
{
	if (!target_of(current_tgid()))
		return;
	struct hs_connection *connection = track(sk, HS_UPSTREAM);

	if (!connection) {
		unseen_op();
		return;
	}
	connection->record.syn_ns = bpf_ktime_get_ns();
	take_thread(&connection->record);
	read_addresses(&connection->record, sk);

	struct hs_thread *thread = next_op();

	if (!thread)
		return;
	connection->record.open_op = thread->ops;
	connection->record.open_turn = current_turn(connection);
	if (thread->unclaimed != 1)
		return;
	struct hs_connection *downstream = connection_at(thread->unclaimed_places);

	if (!downstream || !downstream->unclaimed)
		return;
	connection->record.candidate = downstream->record.connection;
	connection->candidate_place = downstream->place;
	claim(downstream, thread);
}

static __always_inline void connection_established(struct sock *sk, int from)
{
	struct hs_connection *connection;

	if (from == TCP_SYN_SENT) {
		connection = connection_of(sk);
		if (!connection)
			return;
	} else {
		if (!is_listen_port(sk->__sk_common.skc_num))
			return;
		connection = track(sk, HS_DOWNSTREAM);
		if (!connection)
			return;
	}
	struct hs_side_record *record = &connection->record;

	record->established_ns = bpf_ktime_get_ns();
	read_addresses(record, sk);
	read_isns(record, sk);
	connection->seen_rcv_nxt = record->remote_isn + 1;

	struct hs_isns isns;
	struct hs_caller caller = {};

	if (from == TCP_SYN_SENT) {
		isns.client = record->local_isn;
		isns.server = record->remote_isn;
		caller.connection = record->connection;
		caller.place = connection->place;
		bpf_map_update_elem(&chains, &isns, &caller, BPF_ANY);
	} else {
		isns.client = record->remote_isn;
		isns.server = record->local_isn;
		struct hs_caller *known = bpf_map_lookup_elem(&chains, &isns);

		if (!known)
			return;
		caller = *known;
		record->chained = caller.connection;
		bpf_map_delete_elem(&chains, &isns);
		struct hs_connection *upstream = connection_at(caller.place);

		if (upstream && upstream->record.connection == caller.connection)
			upstream->chained = 1;
	}
}

/* A watched process uses a socket that is older than the probes. */
static __always_inline struct hs_connection *take_up(struct sock *sk)
{
	if (!target_of(current_tgid()))
		return NULL;
	struct hs_place *place = bpf_sk_storage_get(&places, sk, NULL, 0);

	if (place) /* its last record has been sent, or the table was full */
		return NULL;
	struct hs_connection *connection =
		track(sk, is_listen_port(sk->__sk_common.skc_num) ? HS_DOWNSTREAM : HS_UPSTREAM);

	if (!connection)
		return NULL;
	connection->record.flags = HS_PREEXISTING;
	take_thread(&connection->record);
	read_addresses(&connection->record, sk);
	return connection;
}

static __always_inline void release(struct hs_place *place, struct hs_connection *connection)
{
	connection->record.connection = 0;
	place->number = 0;
	bpf_map_push_elem(&free_places, &connection->place, BPF_ANY);
}

/* The connection whose socket the current process reads or writes; NULL when it is not watched. */
static __always_inline struct hs_connection *connection_in_use(struct sock *sk)
{
	struct hs_connection *connection = connection_of(sk);

	if (!connection)
		return take_up(sk);
	if (connection->record.tgid)
		return connection;
	/* Accepted unseen, for want of the accept hook. */
	if (!is_target_at(connection->record.local_port)) {
		struct hs_place *place = bpf_sk_storage_get(&places, sk, NULL, 0);

		if (place)
			release(place, connection);
		return NULL;
	}
	take_thread(&connection->record);
	return connection;
}

/* The thread that lets go of the socket, once: at close(), or at the abort that close() makes. */
static __always_inline void note_close(struct hs_connection *connection)
{
	struct hs_side_record *record = &connection->record;
	__u64 id = bpf_get_current_pid_tgid();

	if (record->close_op || id >> 32 != record->tgid)
		return;
	struct hs_thread *thread = next_op();

	if (!thread)
		return;
	record->close_op = thread->ops;
	record->close_tid = (__u32)id;
	if (record->role == HS_UPSTREAM)
		attempt_over(connection, thread);
	else if (record->tid == record->close_tid)
		claim(connection, thread);
}

/* close() empties the receive queue, but leaves copied_seq where the last read stopped (__tcp_close()). */
static __always_inline __u32 unread_bytes(struct sock *sk, const struct hs_side_record *record)
{
	const struct tcp_sock *tp = tcp_of(sk);
	__u32 unread = tp ? tp->rcv_nxt - tp->copied_seq : 0;

	return unread && record->fin_received_ns ? unread - 1 : unread; /* a FIN takes a sequence number */
}

/*
 * A reset is not looked at for what it acknowledges (tcp_validate_incoming()), and the last acknowledgement may have
 * been delayed: by less than two full segments (RFC 5681, section 4.2). What timed out was acknowledged by nobody.
 */
static __always_inline bool is_undelivered(struct sock *sk, const struct hs_side_record *record)
{
	const struct tcp_sock *tp = tcp_of(sk);
	bool reset = record->error == ECONNRESET || record->error == EPIPE;
	__u32 unsure = record->fin_sent_ns ? 1 : 0; /* a FIN takes a sequence number */

	if (!tp || !record->error)
		return false;
	if (reset)
		unsure += 2 * tp->mss_cache;
	return tp->write_seq - tp->snd_una > unsure;
}

/* connect() sets the state before it chooses the port, and TCP_CLOSE takes it from the socket's number again. */
static __always_inline void read_local_port(struct hs_side_record *record, struct sock *sk)
{
	const struct tcp_sock *tp = tcp_of(sk);

	if (tp)
		record->local_port = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
}

static __always_inline void connection_state(struct sock *sk, int from, int to)
{
	struct hs_connection *connection = connection_of(sk);

	if (!connection) {
		if (to != TCP_CLOSE_WAIT && is_without_place(sk) && target_of(current_tgid()))
			unseen_op();
		return;
	}
	struct hs_side_record *record = &connection->record;
	__u64 now = bpf_ktime_get_ns();

	switch (to) {
	case TCP_CLOSE_WAIT:
	case TCP_CLOSING:
		record->fin_received_ns = now;
		break;
	case TCP_FIN_WAIT1:
	case TCP_LAST_ACK:
		record->fin_sent_ns = now;
		if (sk->sk_shutdown == SHUTDOWN_MASK)
			note_close(connection);
		break;
	case TCP_CLOSE:
		record->closed_ns = now;
		record->closed_from = from;
		record->error = sk->sk_err;
		if (from == TCP_SYN_SENT)
			read_local_port(record, sk);
		else if (is_undelivered(sk, record))
			record->flags |= HS_UNDELIVERED;
		/* The answer to our FIN goes straight to a time-wait socket (tcp_time_wait()). */
		if (from == TCP_FIN_WAIT2 && !record->error && !record->fin_received_ns)
			record->fin_received_ns = now;
		if (from == TCP_ESTABLISHED || from == TCP_CLOSE_WAIT)
			record->unread_bytes = unread_bytes(sk, record);
		if (from != TCP_FIN_WAIT2 && from != TCP_LAST_ACK && from != TCP_CLOSING && !record->error)
			note_close(connection);
		break;
	}
}

/*
 * accept() asks the new socket for its peer's name (inet_accept -> inet_getname) in the accepting
 * process; a later getpeername() finds the time already set.
 */
static __always_inline void connection_accepted(struct bpf_sock *sk)
{
	struct hs_place *place = bpf_sk_storage_get(&places, sk, NULL, 0);

	if (!place || !place->number)
		return;
	if (place->number == HS_NO_PLACE) {
		if (is_target_at(sk->src_port))
			unseen_op();
		return;
	}
	struct hs_connection *connection = connection_at(place->number - 1);

	if (!connection || connection->record.role != HS_DOWNSTREAM || connection->record.accepted_ns)
		return;
	if (connection->record.flags & HS_PREEXISTING)
		return;
	/* By the port: a listening socket may come from elsewhere, at a hot restart or from a service manager. */
	if (!is_target_at(connection->record.local_port)) {
		release(place, connection); /* another process, or namespace, with this port */
		return;
	}
	connection->record.accepted_ns = bpf_ktime_get_ns();
	take_thread(&connection->record);

	struct hs_thread *thread = next_op();

	if (!thread)
		return;
	connection->record.open_op = thread->ops;
	unclaim(connection, thread);
}

#endif
