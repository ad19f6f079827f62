/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * TLS record framing (RFC 8446, section 5.1; RFC 5246, section 6.2.1): which bytes are the handshake's and which carry
 * what the application says. Nothing is decrypted: of the records that cannot be read, kind and length are known. Only the
 * first record of each direction, the hello, is handed up.
 *
 * The two struct hs_message of a connection that is no HTTP/1 keep the state: `tail` and `match` the bytes of a header
 * that has come in part, `remaining` what is left of the record, `number` the records so far.
 */
#ifndef HOPSPAN_TLS_H
#define HOPSPAN_TLS_H

#include "http1.h"

#define HS_TLS_HEADER 5
#define HS_TLS_MAX_RECORD (16384 + 2048)
#define HS_TLS_MAX_HELLO 16384
/* Longer than the Finished of TLS 1.2 with any cipher, shorter than a second ClientHello of TLS 1.3. */
#define HS_TLS_MAX_FINISHED 128
/* An alert of TLS 1.3: two bytes, its kind, and the tag of all ciphers in use (RFC 8446, section 5.2). */
#define HS_TLS_ALERT_LENGTH 19

enum hs_tls_type {
	HS_TLS_CHANGE_CIPHER = 20,
	HS_TLS_ALERT = 21,
	HS_TLS_HANDSHAKE = 22,
	HS_TLS_APPLICATION = 23,
};

/* In hs_message.flags of a TLS connection's direction. */
enum hs_tls_flags {
	HS_TLS_CIPHER_CHANGED = 1 << 0,
	HS_TLS_ESTABLISHED = 1 << 1, /* the next record of application data is no handshake */
	HS_TLS_TALKS = 1 << 2,       /* application data has come */
	HS_TLS_HELLO = 1 << 3,       /* in the hello, which is handed up */
	HS_TLS_ASIDE = 1 << 4,       /* in an alert */
};

/* Application data of an operation, before and behind the place where an exchange begins in it. */
struct hs_tls_part {
	__u64 bytes; /* of records' payload */
	__u32 records;
	__u32 reserved;
};

/* The operation that is looked at. One CPU, one operation: probes are not preempted. */
struct hs_tls_window {
	struct hs_hello_record record;
	__u8 bytes[HS_TLS_MAX_HELLO]; /* of a hello; follows the record in the ring */
	__u64 base;                   /* user address and length of what is left of this buffer */
	__u64 length;
	__u64 left; /* of the operation, in the next buffers */
	__u64 passed;
	__u64 begins_at; /* in the operation: where a request begins; else its end */
	struct hs_tls_part before;
	struct hs_tls_part after;
	__u32 requests; /* else answers */
	__u32 begins;
	__u32 substance; /* more than alerts */
	__u32 broken;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hs_tls_window);
} tls_window SEC(".maps");

struct hs_tls_scan {
	struct hs_connection *connection;
	struct hs_message *message;
	struct hs_tls_window *window;
	const struct hs_buffers *buffers;
};

static __always_inline void hand_up_hello(struct hs_tls_scan *scan, __u64 length)
{
	struct hs_message *m = scan->message;
	struct hs_tls_window *w = scan->window;
	__u64 allowed = m->head_bytes < config.max_head_bytes ? config.max_head_bytes - m->head_bytes : 0;

	if (length > allowed)
		length = allowed;
	if (length >= HS_TLS_MAX_HELLO)
		length = HS_TLS_MAX_HELLO - 1;
	length &= HS_TLS_MAX_HELLO - 1;
	if (length && bpf_probe_read_user(w->bytes, length, (void *)w->base) != 0)
		length = 0;
	m->head_bytes += length;
	w->record.kind = HS_KIND_HELLO;
	w->record.flags = (w->requests ? 0 : HS_HELLO_ANSWER) | (m->remaining ? 0 : HS_HELLO_OVER);
	w->record.connection = scan->connection->record.connection;
	w->record.hello_bytes = length;
	w->record.tgid = scan->connection->record.tgid;
	if (bpf_ringbuf_output(&records, w, sizeof(w->record) + length, BPF_RB_NO_WAKEUP) != 0)
		count(&shared.counters.ring_full);
}

/* The header of a record is complete, in m->tail. */
static __always_inline bool record_begins(struct hs_tls_scan *scan)
{
	struct hs_message *m = scan->message;
	struct hs_tls_window *w = scan->window;
	__u8 type = m->tail >> 32;
	__u32 length = m->tail & 0xffff;

	if (type < HS_TLS_CHANGE_CIPHER || type > HS_TLS_APPLICATION || ((m->tail >> 24) & 0xff) != 3 ||
	    length > HS_TLS_MAX_RECORD)
		return false;
	m->number++;
	m->match = 0;
	m->remaining = length;
	m->flags &= ~(HS_TLS_HELLO | HS_TLS_ASIDE);
	if (m->number == 1 && type == HS_TLS_HANDSHAKE)
		m->flags |= HS_TLS_HELLO;
	if (type == HS_TLS_CHANGE_CIPHER)
		m->flags |= HS_TLS_CIPHER_CHANGED;
	/* TLS 1.2 ends its handshake with a record that is told as one; TLS 1.3 calls all application data. */
	if (type == HS_TLS_HANDSHAKE && m->flags & HS_TLS_CIPHER_CHANGED && length < HS_TLS_MAX_FINISHED)
		m->flags |= HS_TLS_ESTABLISHED;
	if (type == HS_TLS_ALERT || (type == HS_TLS_APPLICATION && length == HS_TLS_ALERT_LENGTH))
		m->flags |= HS_TLS_ASIDE;
	else
		w->substance = 1;
	if (type != HS_TLS_APPLICATION || m->flags & HS_TLS_ASIDE)
		return true;
	if (w->requests && !(m->flags & HS_TLS_ESTABLISHED)) {
		m->flags |= HS_TLS_ESTABLISHED; /* the client's Finished */
		return true;
	}
	if (w->requests && !w->begins &&
	    (!(m->flags & HS_TLS_TALKS) || scan->connection->phase == HS_ANSWER)) {
		w->begins = 1;
		w->begins_at = w->passed;
	}
	m->flags |= HS_TLS_TALKS;
	struct hs_tls_part *part = w->begins ? &w->after : &w->before;

	part->bytes += length;
	part->records++;
	return true;
}

/* Takes up to a whole header; false where that cannot be read, or is none. */
static __always_inline bool take_header(struct hs_tls_scan *scan, __u64 length)
{
	struct hs_message *m = scan->message;
	__u64 bytes = 0;

	length &= 7;
	if (!length || bpf_probe_read_user(&bytes, length, (void *)scan->window->base) != 0)
		return false;
	m->tail = (m->tail << (8 * length) | bpf_be64_to_cpu(bytes) >> (64 - 8 * length)) & 0xffffffffffULL;
	m->match += length;
	return m->match < HS_TLS_HEADER || record_begins(scan);
}

/* One header, or what there is of a record. */
static long tls_step(__u32 index, struct hs_tls_scan *scan)
{
	struct hs_message *m = scan->message;
	struct hs_tls_window *w = scan->window;
	__u64 length = w->length;

	(void)index;
	if (!length)
		return 1;
	if (m->remaining) {
		if (length > m->remaining)
			length = m->remaining;
		m->remaining -= length;
		if (m->flags & HS_TLS_HELLO)
			hand_up_hello(scan, length);
		if (!(m->flags & HS_TLS_ASIDE))
			w->substance = 1;
	} else {
		__u64 missing = HS_TLS_HEADER - (m->match & 7);

		if (length > missing)
			length = missing;
		if (!take_header(scan, length)) {
			w->broken = 1;
			return 1;
		}
	}
	w->base += length;
	w->length -= length;
	w->passed += length;
	return 0;
}

static long tls_next_buffer(__u32 index, struct hs_tls_scan *scan)
{
	struct hs_tls_window *w = scan->window;
	struct user_iovec buffer;

	if (!w->left || w->broken || !nth_buffer(scan->buffers, index, &buffer))
		return 1;
	w->base = buffer.base;
	w->length = buffer.len < w->left ? buffer.len : w->left;
	w->left -= w->length;
	bpf_loop(HS_MAX_STEPS, tls_step, scan, 0);
	if (w->length)
		w->broken = 1;
	return 0;
}

/*
 * Is this the beginning of TLS? A ClientHello's record, or, on a connection that was open before the probes came, any
 * record of application data. Asked of the first bytes that a client's side carries.
 */
static __always_inline bool begins_tls(const struct hs_connection *connection, const struct hs_buffers *buffers,
				       __u64 bytes)
{
	const struct hs_message *m = &connection->requests;
	struct user_iovec buffer;
	__u8 start[2];

	if (m->state != HS_BETWEEN || m->number || m->bytes || bytes < sizeof(start) || !config.max_head_bytes)
		return false;
	if (!nth_buffer(buffers, 0, &buffer) || buffer.len < sizeof(start) ||
	    bpf_probe_read_user(start, sizeof(start), (void *)buffer.base) != 0)
		return false;
	if (start[1] != 3)
		return false;
	return start[0] == HS_TLS_HANDSHAKE ||
	       (start[0] == HS_TLS_APPLICATION && connection->record.flags & HS_PREEXISTING);
}

static __always_inline void tls_begins(struct hs_connection *connection)
{
	__builtin_memset(&connection->requests, 0, sizeof(connection->requests));
	__builtin_memset(&connection->answers, 0, sizeof(connection->answers));
	connection->protocol = HS_PROTOCOL_TLS;
	connection->record.flags |= HS_TLS;
	if (connection->record.flags & HS_PREEXISTING)
		connection->requests.flags = HS_TLS_ESTABLISHED;
}

/* Verified by itself: a global function, whose arguments may be null for all that the verifier knows. */
__noinline int scan_tls(struct hs_connection *connection, struct hs_buffers *all)
{
	__u32 zero = 0;
	struct hs_tls_window *w = bpf_map_lookup_elem(&tls_window, &zero);

	if (!connection || !all || !w)
		return 0;
	struct hs_tls_scan scan = { connection, w->requests ? &connection->requests : &connection->answers, w, all };

	bpf_loop(HS_MAX_VECTORS, tls_next_buffer, &scan, 0);
	return 0;
}

/*
 * Follows the records of one operation and returns what was found. A connection whose bytes are none is opaque from here
 * on. NULL never happens.
 */
static __always_inline struct hs_tls_window *follow_tls(struct hs_connection *connection, struct hs_buffers *all,
							__u64 bytes, bool requests)
{
	__u32 zero = 0;
	struct hs_tls_window *w = bpf_map_lookup_elem(&tls_window, &zero);

	if (!w)
		return NULL;
	w->left = w->begins_at = bytes;
	w->passed = 0;
	w->requests = requests;
	w->begins = w->substance = w->broken = 0;
	__builtin_memset(&w->before, 0, sizeof(w->before));
	__builtin_memset(&w->after, 0, sizeof(w->after));
	scan_tls(connection, all);
	if (w->broken || w->passed != bytes) {
		connection->protocol = HS_PROTOCOL_OPAQUE;
		w->substance = 1;
	}
	return w;
}

/*
 * May the memory of what is read or written tell a pair? Who passes TLS through passes the ClientHello on before there is
 * any answer; a connection that is older may do so at any time.
 */
static __always_inline bool relays_tls(const struct hs_connection *connection)
{
	return !connection->record.peer && (!connection->answers.number || connection->record.flags & HS_PREEXISTING);
}

/* Both hellos of a connection that is passed through have gone by: the rest is nobody's business. */
static __always_inline bool tls_is_told(const struct hs_connection *connection)
{
	const struct hs_message *a = &connection->requests, *b = &connection->answers;

	return a->number && b->number && !((a->flags | b->flags) & HS_TLS_HELLO && (a->remaining || b->remaining));
}

#endif
