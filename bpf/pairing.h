/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Pairing by buffer: a proxy that relays bytes sends from the memory into which it received. The first
 * receives of an unpaired connection note their addresses; the first sends of an unpaired connection on
 * the proxy's other side look them up. A pair, once found, is for the connections' life.
 */
#ifndef HOPSPAN_PAIRING_H
#define HOPSPAN_PAIRING_H

#include "compat.h"
#include "connection.h"

#define HS_MAX_IOVECS 8
#define HS_MAX_TRIES 64

struct hs_buffer_key {
	__u64 address;
	__u32 tgid;
	__u32 reserved;
};

struct hs_buffer_note {
	__u64 connection;
	__u64 sample; /* the first bytes, against an address that was used anew */
	__u32 sample_len;
	__u32 place;
	__u32 starts; /* a request begins here */
	__u32 reserved;
	__u64 position; /* of the bytes in what the connection has carried */
};

/* Buffer address -> the unpaired connection received there last. Receives insert, sends read, both delete. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct hs_buffer_key);
	__type(value, struct hs_buffer_note);
} buffers SEC(".maps");

struct user_iovec {
	__u64 base;
	__u64 len;
};

/* struct user_msghdr of a 64-bit process */
struct user_message {
	__u64 name;
	__u64 name_len;
	__u64 iov;
	__u64 iov_len;
};

struct hs_buffers {
	struct user_iovec single;
	__u64 iov; /* user address of the array, 0: `single` is all */
	__u64 iov_count;
};

static __always_inline bool user_buffers(struct hs_buffers *out)
{
	struct hs_syscall call;
	struct user_message message;

	if (!current_syscall(&call))
		return false;
	switch (buffer_shape(&call)) {
	case HS_SHAPE_BUFFER:
		out->single.base = call.arg1;
		out->single.len = call.arg2;
		out->iov = 0;
		out->iov_count = 1;
		return true;
	case HS_SHAPE_IOVEC:
		out->iov = call.arg1;
		out->iov_count = call.arg2;
		return true;
	case HS_SHAPE_MSGHDR:
		if (bpf_probe_read_user(&message, sizeof(message), (void *)call.arg1) != 0)
			return false;
		out->iov = message.iov;
		out->iov_count = message.iov_len;
		return true;
	default:
		return false;
	}
}

static __always_inline bool nth_buffer(const struct hs_buffers *all, __u32 n, struct user_iovec *out)
{
	if (n >= all->iov_count)
		return false;
	if (!all->iov) {
		*out = all->single;
		return true;
	}
	return bpf_probe_read_user(out, sizeof(*out), (void *)(all->iov + n * sizeof(*out))) == 0;
}

/* Where in a buffer the bytes are by which it is known again: behind what the beginnings of many have in common. */
#define HS_SAMPLE_AT_START 0
#define HS_SAMPLE_IN_TLS 11 /* in a ClientHello its random bytes (RFC 8446, section 4.1.2), else ciphertext */

/* Up to eight bytes at a user address; returns how many. */
static __always_inline __u32 sample_bytes(__u64 *sample, __u64 base, __u64 len)
{
	*sample = 0;
	if (len >= sizeof(*sample))
		return bpf_probe_read_user(sample, sizeof(*sample), (void *)base) == 0 ? 8 : 0;
	__u32 n = len & 7;

	if (!n || bpf_probe_read_user(sample, n, (void *)base) != 0)
		return 0;
	return n;
}

static __always_inline bool same_bytes(__u64 a, __u32 a_len, __u64 b, __u32 b_len)
{
	__u32 n = a_len < b_len ? a_len : b_len;

	if (!n)
		return false;
	if (n >= 8)
		return a == b;
	return ((a ^ b) & ((1ULL << (n * 8)) - 1)) == 0;
}

/*
 * A PROXY protocol header is for the next hop alone: the two sides of a pair differ by its length. The first bytes
 * of version 1 are "PROXY ", those of version 2 a fixed signature (haproxy.org, proxy-protocol.txt, section 2).
 */
static __always_inline bool is_proxy_header(__u64 sample, __u32 len)
{
	return len == 8 && ((sample & 0xffffffffffffULL) == 0x2059584f5250ULL || sample == 0x510a0d000a0d0a0dULL);
}

static __always_inline void note_buffers(struct hs_connection *connection, const struct hs_buffers *all,
					 __u64 left, __u32 sample_at)
{
	struct hs_buffer_key key = {};
	struct hs_buffer_note note = {};

	if (connection->tries >= HS_MAX_TRIES)
		return;
	connection->tries++;
	key.tgid = connection->record.tgid;
	note.connection = connection->record.connection;
	note.place = connection->place;
	note.position = connection->record.total_read - left;
	note.starts = connection->requests.state == 0; /* HS_BETWEEN */
	for (__u32 i = 0; i < HS_MAX_IOVECS && left > 0; i++) {
		struct user_iovec buffer;

		if (!nth_buffer(all, i, &buffer))
			return;
		if (!buffer.len)
			continue;
		__u64 filled = buffer.len < left ? buffer.len : left;

		key.address = buffer.base;
		if (sample_at && filled < sample_at + sizeof(note.sample))
			return;
		note.sample_len = sample_bytes(&note.sample, buffer.base + sample_at, filled - sample_at);
		if (connection->tries == 1 && i == 0 && is_proxy_header(note.sample, note.sample_len))
			connection->record.flags |= HS_PROXY_HEADER;
		bpf_map_update_elem(&buffers, &key, &note, BPF_ANY);
		left -= filled;
		note.position += filled;
		note.starts = false;
	}
}

/*
 * A socket of a watched process that has no place in the table received into these buffers, or sent from them: what
 * is noted there is over, and nobody else may take it for his.
 */
static __always_inline void forget_buffers(void)
{
	struct hs_buffers all = {};
	struct hs_buffer_key key = {};

	key.tgid = current_tgid();
	if (!target_of(key.tgid) || !user_buffers(&all))
		return;
	for (__u32 i = 0; i < HS_MAX_IOVECS; i++) {
		struct user_iovec buffer;

		if (!nth_buffer(&all, i, &buffer))
			return;
		key.address = buffer.base;
		bpf_map_delete_elem(&buffers, &key);
	}
}

static __always_inline bool speaks_http(__u16 port)
{
	return shared.http_ports[port >> 6 & 1023] & (1ULL << (port & 63));
}

/* This proxy writes requests of its own: its connections are no pairs. */
static __always_inline void learn_http(struct hs_connection *downstream)
{
	__u16 port = downstream->record.local_port;

	if (!speaks_http(port))
		__sync_fetch_and_or(&shared.http_ports[port >> 6 & 1023], 1ULL << (port & 63));
}

/* Connections that are older, or begin with a header of the proxy's own, count their bytes from elsewhere. */
static __always_inline bool differ_in_start(const struct hs_connection *a, const struct hs_connection *b)
{
	return (a->record.flags | b->record.flags) & (HS_PREEXISTING | HS_PROXY_HEADER);
}

/*
 * A proxy that speaks HTTP itself sends bodies, too, from where it received them, though on connections that it shares
 * between clients. A relay sends heads from there, too, as long as they came, and all bytes keep their place.
 */
static __always_inline bool relays_http(struct hs_connection *sender, struct hs_connection *receiver,
					const struct hs_buffer_note *note, __u64 position, bool starts)
{
	if (sender->record.role != HS_UPSTREAM || receiver->protocol != HS_PROTOCOL_HTTP1 ||
	    speaks_http(receiver->record.local_port))
		return false;
	if (!starts || !note->starts || (!differ_in_start(sender, receiver) && note->position != position))
		return false;
	if (sender->requests.first_head && receiver->requests.first_head &&
	    sender->requests.first_head != receiver->requests.first_head) {
		learn_http(receiver);
		return false;
	}
	return true;
}

/* A relay of HTTP/2 sends the client's preface from where it was received; who speaks HTTP/2 itself sends his own. */
static __always_inline bool relays_http2(struct hs_connection *sender, struct hs_connection *receiver,
					 const struct hs_buffer_note *note)
{
	return sender->record.role == HS_UPSTREAM && receiver->protocol == HS_PROTOCOL_HTTP2 &&
	       !speaks_http(receiver->record.local_port) && note->sample_len == 8 &&
	       note->sample == 0x5448202a20495250ULL; /* "PRI * HT" */
}

/* True when the note names a live, unpaired connection of the other side whose bytes stand here. */
static __always_inline bool believe(struct hs_connection *sender, struct hs_connection *receiver,
				    const struct hs_buffer_note *note, const struct user_iovec *buffer,
				    __u64 position, bool starts, __u32 sample_at)
{
	__u64 sample;
	__u32 sample_len;

	if (receiver->record.connection != note->connection || receiver->record.role == sender->record.role)
		return false;
	if (sender->protocol == HS_PROTOCOL_HTTP1 && !relays_http(sender, receiver, note, position, starts))
		return false;
	if (sender->protocol == HS_PROTOCOL_HTTP2 && !relays_http2(sender, receiver, note))
		return false;
	if (receiver->record.peer) {
		count(&shared.counters.pair_conflicts);
		return false;
	}
	if (buffer->len < sample_at)
		return false;
	sample_len = sample_bytes(&sample, buffer->base + sample_at, buffer->len - sample_at);
	if (!same_bytes(sample, sample_len, note->sample, note->sample_len)) {
		/* Who speaks HTTP itself uses memory anew at every turn: nothing to be surprised at. */
		if (!is_http(sender->protocol))
			count(&shared.counters.sample_mismatches);
		return false;
	}
	return true;
}

/* `bytes` have just been sent; `starts`: a request begins with them. */
static __always_inline void pair_by_buffer(struct hs_connection *sender, const struct hs_buffers *all, __u64 bytes,
					   bool starts, __u32 sample_at)
{
	struct hs_buffer_key key = {};

	if (sender->tries >= HS_MAX_TRIES)
		return;
	sender->tries++;
	__u64 next = sender->record.total_written - bytes, position;

	key.tgid = sender->record.tgid;
	for (__u32 i = 0; i < HS_MAX_IOVECS; i++) {
		struct user_iovec buffer;

		if (!nth_buffer(all, i, &buffer))
			return;
		position = next;
		if (i > 0 && !(sender->record.flags & HS_PROXY_HEADER))
			starts = false;
		next += buffer.len;
		if (sender->tries == 1 && i == 0) {
			__u64 sample;
			__u32 len = sample_bytes(&sample, buffer.base, buffer.len);

			if (is_proxy_header(sample, len))
				sender->record.flags |= HS_PROXY_HEADER;
		}
		key.address = buffer.base;
		struct hs_buffer_note *note = bpf_map_lookup_elem(&buffers, &key);

		if (!note)
			continue;
		struct hs_connection *receiver = connection_at(note->place);

		if (!receiver || !believe(sender, receiver, note, &buffer, position, starts, sample_at))
			continue;
		sender->record.peer = receiver->record.connection;
		sender->record.pairing = HS_PAIRING_BUFFER;
		receiver->record.peer = sender->record.connection;
		receiver->record.pairing = HS_PAIRING_BUFFER;
		sender->peer_place = receiver->place;
		receiver->peer_place = sender->place;
		bpf_map_delete_elem(&buffers, &key);
		claim_on_own_thread(sender->record.role == HS_DOWNSTREAM ? sender : receiver);
		return;
	}
}

#endif
