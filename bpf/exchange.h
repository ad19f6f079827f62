/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Exchanges on one side of a hop: where they begin and end, and what they sum up. */
#ifndef HOPSPAN_EXCHANGE_H
#define HOPSPAN_EXCHANGE_H

#include "http2.h"
#include "tls.h"

static __always_inline void emit(struct hs_connection *connection, struct sock *sk)
{
	struct hs_side_record *record = &connection->record;
	const struct tcp_sock *tp = tcp_of(sk);

	if (tp) {
		record->srtt_us = tp->srtt_us >> 3; /* kept eightfold, net/ipv4/tcp_input.c */
		record->retransmits = tp->total_retrans;
		record->out_of_order = tp->rcv_ooopack;
		record->unacked_bytes = tp->write_seq - tp->snd_una;
	}
	if (bpf_ringbuf_output(&records, record, sizeof(*record), BPF_RB_NO_WAKEUP) != 0)
		count(&shared.counters.ring_full);
}

/* Ends the exchange under way, if any, and begins the next. */
static __always_inline void begin_exchange(struct hs_connection *connection, struct sock *sk)
{
	struct hs_side_record *record = &connection->record;

	if (record->flags & HS_EXCHANGE)
		emit(connection, sk);
	record->flags = (record->flags & HS_STAYING) | HS_EXCHANGE;
	record->exchange++;
	record->arrived_ns = 0;
	record->first_read_ns = record->last_read_ns = 0;
	record->first_write_ns = record->last_write_ns = 0;
	record->bytes_read = record->bytes_written = 0;
	record->reads = record->writes = 0;
	record->first_read_turn = record->last_read_turn = 0;
	record->first_write_turn = record->last_write_turn = 0;
	record->op_tid = 0;
	record->tls_records_read = record->tls_records_written = 0;
	record->tls_bytes_read = record->tls_bytes_written = 0;
}

/* `request`: these bytes go from downstream to upstream. */
static __always_inline void turn(struct hs_connection *connection, struct sock *sk, bool request)
{
	if (request) {
		if (connection->phase != HS_REQUEST)
			begin_exchange(connection, sk);
		connection->phase = HS_REQUEST;
		return;
	}
	if (connection->phase == HS_QUIET) {
		begin_exchange(connection, sk);
		connection->record.flags |= HS_SERVER_FIRST;
	}
	connection->phase = HS_ANSWER;
	/* Who answers has been through its handshake. */
	if (connection->record.role == HS_UPSTREAM && !connection->chained)
		connection->record.flags |= HS_UNCHAINED;
}

static __always_inline void count_read(struct hs_side_record *record, __u64 bytes, __u64 now, __u64 arrived)
{
	if (!record->first_read_ns) {
		record->first_read_ns = now;
		record->arrived_ns = arrived;
	}
	record->last_read_ns = now;
	record->bytes_read += bytes;
	record->reads++;
}

static __always_inline void count_written(struct hs_side_record *record, __u64 bytes, __u64 now)
{
	if (!record->first_write_ns)
		record->first_write_ns = now;
	record->last_write_ns = now;
	record->bytes_written += bytes;
	record->writes++;
}

/* In which turn of which thread's event loop an operation was; an exchange of several threads has no turns to compare. */
static __always_inline void note_turn(struct hs_connection *connection, bool written)
{
	struct hs_side_record *record = &connection->record;
	__u32 tid = (__u32)bpf_get_current_pid_tgid(), turn = current_turn(connection);

	if (!turn)
		return;
	if (record->op_tid && record->op_tid != tid)
		tid = HS_MANY_THREADS;
	record->op_tid = tid;
	if (written) {
		if (!record->first_write_turn)
			record->first_write_turn = turn;
		record->last_write_turn = turn;
	} else {
		if (!record->first_read_turn)
			record->first_read_turn = turn;
		record->last_read_turn = turn;
	}
}

/* One operation, or a part of it, of an exchange over TLS. */
static __always_inline void count_tls(struct hs_connection *connection, const struct hs_tls_part *part, __u64 bytes,
				      bool written, __u64 now, __u64 arrived)
{
	struct hs_side_record *record = &connection->record;

	if (written) {
		count_written(record, bytes, now);
		record->total_written += bytes;
		record->tls_records_written += part->records;
		record->tls_bytes_written += part->bytes;
	} else {
		count_read(record, bytes, now, arrived);
		record->total_read += bytes;
		record->tls_records_read += part->records;
		record->tls_bytes_read += part->bytes;
	}
	note_turn(connection, written);
}

/*
 * An operation on a connection that carries TLS. Where TLS ends at the proxy, the first exchange is the handshake, with
 * whatever the server sends before it is asked anything; the next ones begin with a record of application data. Where it
 * is passed through, exchanges are those of opaque bytes.
 */
static __always_inline void exchange_tls(struct hs_connection *connection, struct sock *sk,
					 struct hs_buffers *buffers, __u64 bytes, bool written, __u64 now,
					 __u64 arrived)
{
	struct hs_side_record *record = &connection->record;
	bool requests = written == (record->role == HS_UPSTREAM);
	struct hs_tls_window *w = follow_tls(connection, buffers, bytes, requests);

	if (!w)
		return;
	if (record->peer || !requests || connection->phase == HS_QUIET || connection->protocol != HS_PROTOCOL_TLS) {
		if (w->substance || connection->phase != HS_ANSWER)
			turn(connection, sk, requests);
		w->begins_at = bytes;
	}
	if (record->peer && tls_is_told(connection))
		connection->protocol = HS_PROTOCOL_OPAQUE;
	if (!w->substance) {
		if (written) {
			record->bytes_written += bytes;
			record->total_written += bytes;
		} else {
			record->bytes_read += bytes;
			record->total_read += bytes;
		}
		return;
	}
	if (w->begins_at)
		count_tls(connection, &w->before, w->begins_at, written, now, arrived);
	if (w->begins_at == bytes)
		return;
	begin_exchange(connection, sk);
	connection->phase = HS_REQUEST;
	count_tls(connection, &w->after, bytes - w->begins_at, written, now, arrived);
}

/*
 * Follows HTTP messages. Requests decide; whoever answers before them speaks something else. Returns how many bytes at
 * the end were no HTTP.
 */
static __always_inline __u64 look_into(struct hs_connection *connection, struct sock *sk, struct hs_buffers *buffers,
				       int bytes, bool requests, __u64 now, __u64 arrived)
{
	if (connection->protocol == HS_PROTOCOL_OPAQUE)
		return 0;
	if (!config.max_head_bytes) {
		connection->protocol = HS_PROTOCOL_OPAQUE;
		return 0;
	}
	bool old = connection->record.flags & HS_PREEXISTING;

	if (connection->protocol == HS_PROTOCOL_UNKNOWN && old && begins_with_frame(buffers, bytes, false))
		begin_frames(connection, HS_FRAME_UNSYNCED, HS_FRAME_UNSYNCED);
	if (connection->protocol == HS_PROTOCOL_UNKNOWN && !requests) {
		/* A server's SETTINGS need not wait for the client's preface (RFC 9113, section 3.4). */
		if (!old && connection->record.flags & HS_SERVER_FIRST && begins_with_frame(buffers, bytes, true)) {
			begin_frames(connection, HS_FRAME_PREFACE, HS_FRAME_HEADER);
		} else {
			if (!old)
				connection->protocol = HS_PROTOCOL_OPAQUE;
			return 0;
		}
	}
	if (!buffers->iov_count) { /* sendfile(), splice(): bytes that are not seen */
		buffers->single.base = 0;
		buffers->single.len = bytes;
		buffers->iov_count = 1;
	}
	if (connection->protocol == HS_PROTOCOL_HTTP2)
		return follow_frames(connection, sk, buffers, bytes, 0, requests, now, arrived);
	__u64 rest = follow_messages(connection, sk, buffers, bytes, requests, now, arrived);

	if (connection->protocol != HS_PROTOCOL_HTTP2)
		return rest;
	begin_frames(connection, HS_FRAME_HEADER, HS_FRAME_HEADER);
	return follow_frames(connection, sk, buffers, bytes, bytes - rest, requests, now, arrived);
}

/* Tells of a connection when it turns out to carry HTTP/1, and when no more. */
static __always_inline void tell_protocol(struct hs_connection *connection, struct sock *sk, __u32 before, __u64 rest,
					  bool requests, __u64 now, __u64 arrived)
{
	struct hs_side_record *record = &connection->record;

	if (connection->protocol == before)
		return;
	if (is_http(connection->protocol)) {
		record->flags = (record->flags & HS_STAYING) |
				(connection->protocol == HS_PROTOCOL_HTTP1 ? HS_HTTP1 : HS_HTTP2);
		emit(connection, sk);
	} else if (is_http(before)) {
		record->flags &= ~(HS_HTTP1 | HS_HTTP2);
		record->exchange = before == HS_PROTOCOL_HTTP1 ? connection->requests.number : 0;
		connection->phase = HS_QUIET;
		emit(connection, sk);
		if (!rest)
			return;
		turn(connection, sk, requests);
		if (requests == (record->role == HS_DOWNSTREAM))
			count_read(record, rest, now, arrived);
		else
			count_written(record, rest, now);
	} else if (record->flags & HS_PREEXISTING) {
		/* May have begun in the middle of a request: the next one is tried again. */
		__builtin_memset(&connection->requests, 0, sizeof(connection->requests));
		connection->protocol = HS_PROTOCOL_UNKNOWN;
	}
}

/* A pair that cannot be one: an upstream got a request that its downstream side has not sent. */
static __always_inline void part(struct hs_connection *upstream)
{
	struct hs_connection *downstream = connection_at(upstream->peer_place);

	if (!downstream || downstream->record.connection != upstream->record.peer ||
	    downstream->protocol != upstream->protocol || !is_http(upstream->protocol))
		return;
	if (upstream->protocol == HS_PROTOCOL_HTTP1) {
		if ((__s32)(downstream->requests.number - upstream->requests.number) >= 0)
			return;
	} else if (upstream->record.total_written <= downstream->record.total_read ||
		   differ_in_start(upstream, downstream)) {
		return;
	}
	learn_http(downstream);
	downstream->record.peer = 0;
	upstream->record.peer = 0;
}

/* When the byte at `seq` came: the newest arrival whose first byte is not behind it. */
static __always_inline __u64 arrival_of(const struct hs_connection *connection, __u32 seq)
{
	if (connection->arrival.ns && (__s32)(connection->arrival.seq - seq) <= 0)
		return connection->arrival.ns;
	return connection->previous_arrival.ns;
}

/* Paired, and nothing to be read in its bytes: they are counted and not looked at. */
static __always_inline bool is_relayed(const struct hs_connection *connection)
{
	return connection->record.peer && connection->protocol == HS_PROTOCOL_OPAQUE;
}

/* Where the bytes of an operation are, and whether the connection begins TLS with them. */
static __always_inline void look_at_first(struct hs_connection *connection, struct hs_buffers *buffers, int bytes,
					  bool requests)
{
	user_buffers(buffers);
	if (requests && connection->protocol == HS_PROTOCOL_UNKNOWN && begins_tls(connection, buffers, bytes))
		tls_begins(connection);
}

static __always_inline void exchange_read(struct sock *sk, int bytes)
{
	struct hs_connection *connection = connection_in_use(sk);

	if (!connection) {
		forget_buffers();
		return;
	}
	struct hs_side_record *record = &connection->record;
	const struct tcp_sock *tp = tcp_of(sk);
	bool requests = record->role == HS_DOWNSTREAM;
	__u64 now = bpf_ktime_get_ns();
	__u64 arrived = arrival_of(connection, tp ? tp->copied_seq - bytes : 0);
	struct hs_buffers buffers = {};

	bool relayed = is_relayed(connection);

	if (!relayed)
		look_at_first(connection, &buffers, bytes, requests);
	if (connection->protocol == HS_PROTOCOL_TLS) {
		exchange_tls(connection, sk, &buffers, bytes, false, now, arrived);
		if (relays_tls(connection))
			note_buffers(connection, &buffers, bytes, HS_SAMPLE_IN_TLS);
		return;
	}
	if (!is_http(connection->protocol))
		turn(connection, sk, requests);
	count_read(record, bytes, now, arrived);
	record->total_read += bytes;
	if (relayed)
		return;
	note_turn(connection, false);
	if (!record->peer)
		note_buffers(connection, &buffers, bytes, HS_SAMPLE_AT_START);
	__u32 before = connection->protocol;
	__u64 rest = look_into(connection, sk, &buffers, bytes, requests, now, arrived);

	tell_protocol(connection, sk, before, rest, requests, now, arrived);
}

/*
 * When TCP last looked at the clock, if it has sent everything: tcp_write_xmit() does so before it sends. The
 * send itself returns later: over loopback it carries the bytes to the receiver first, which may even have
 * read and answered them by then. What must wait in the send queue was handed over now.
 */
static __always_inline __u64 written_ns(struct sock *sk)
{
	const struct tcp_sock *tp = tcp_of(sk);

	if (tp && tp->snd_nxt == tp->write_seq)
		return tp->tcp_clock_cache;
	return bpf_ktime_get_ns();
}

static __always_inline void exchange_written(struct sock *sk, int bytes)
{
	struct hs_connection *connection = connection_in_use(sk);

	if (!connection) {
		forget_buffers();
		return;
	}
	struct hs_side_record *record = &connection->record;
	__u64 written = written_ns(sk);

	bool requests = record->role == HS_UPSTREAM;
	struct hs_buffers buffers = {};

	bool relayed = is_relayed(connection);

	if (!relayed)
		look_at_first(connection, &buffers, bytes, requests);
	if (connection->protocol == HS_PROTOCOL_TLS) {
		exchange_tls(connection, sk, &buffers, bytes, true, written, 0);
		if (relays_tls(connection))
			pair_by_buffer(connection, &buffers, bytes, false, HS_SAMPLE_IN_TLS);
		return;
	}
	if (!is_http(connection->protocol))
		turn(connection, sk, requests);
	count_written(record, bytes, written);
	record->total_written += bytes;
	if (relayed)
		return;
	note_turn(connection, true);
	__u32 before = connection->protocol;
	bool starts = connection->requests.state == HS_BETWEEN;
	__u64 rest = look_into(connection, sk, &buffers, bytes, requests, written, 0);

	if (!record->peer)
		pair_by_buffer(connection, &buffers, bytes, starts, HS_SAMPLE_AT_START);
	else if (requests)
		part(connection);
	tell_protocol(connection, sk, before, rest, requests, written, 0);
}

/* New data, or a FIN, is in the receive queue. In softirq, or in the owner's context from the backlog. */
static __always_inline void exchange_arrival(struct sock *sk)
{
	struct hs_connection *connection = connection_of(sk);

	if (!connection)
		return;
	const struct tcp_sock *tp = tcp_of(sk);

	if (!tp || tp->rcv_nxt == connection->seen_rcv_nxt)
		return;
	__u32 next = tp->rcv_nxt, copied = tp->copied_seq;

	if ((__s32)(copied - connection->seen_rcv_nxt) >= 0 || !connection->arrival.ns) {
		connection->previous_arrival = connection->arrival;
		connection->arrival.seq = copied;
		connection->arrival.ns = bpf_ktime_get_ns();
	}
	connection->seen_rcv_nxt = next;
}

/* TCP has finished and the proxy has let go of the socket. */
static __always_inline void connection_released(struct sock *sk)
{
	struct hs_place *place = bpf_sk_storage_get(&places, sk, NULL, 0);

	if (!place || !place->number)
		return;
	if (place->number == HS_NO_PLACE) {
		if (target_of(current_tgid()))
			unseen_op();
		return;
	}
	struct hs_connection *connection = connection_at(place->number - 1);

	if (!connection)
		return;
	note_close(connection);
	claim_on_own_thread(connection);
	connection->record.released_ns = bpf_ktime_get_ns();
	connection->record.flags |= HS_ENDED;
	emit(connection, sk);
	release(place, connection);
}

#endif
