/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * HTTP/2 framing (RFC 9113, section 4.1): which frames are in the bytes that a proxy reads and writes. Header blocks are
 * handed up, to be decoded in user space; everything else is skipped where it lies.
 */
#ifndef HOPSPAN_HTTP2_H
#define HOPSPAN_HTTP2_H

#include "http1.h"

#define HS_FRAME_HEADER_BYTES 9
#define HS_MAX_FRAMES_BYTES 16384
#define HS_MAX_KEPT 4096 /* in one struct hs_frame */
#define HS_FRAMES_LIMIT (HS_MAX_FRAMES_BYTES - HS_MAX_KEPT - sizeof(struct hs_frame))
/* In one buffer: 1 MB of the smallest DATA frames and messages that anybody sends in good faith. */
#define HS_MAX_FRAME_STEPS 524288

enum hs_frame_type { /* section 6 */
	HS_DATA = 0,
	HS_HEADERS = 1,
	HS_PRIORITY = 2,
	HS_RST_STREAM = 3,
	HS_SETTINGS = 4,
	HS_PUSH_PROMISE = 5,
	HS_PING = 6,
	HS_GOAWAY = 7,
	HS_WINDOW_UPDATE = 8,
	HS_CONTINUATION = 9,
};

enum hs_framing_state {
	HS_FRAME_HEADER,
	HS_FRAME_PAYLOAD,
	HS_FRAME_PREFACE,  /* the server's frames came first */
	HS_FRAME_UNSYNCED, /* joined in mid-life: where the next frame begins is not known */
};

/* Frames of the operation that is looked at, on their way into the ring. One CPU, one operation. */
struct hs_frames {
	struct hs_frames_record record;
	__u8 bytes[HS_MAX_FRAMES_BYTES]; /* follow the record in the ring */
	struct hs_frame frame;
	__u64 left; /* of the operation, in the next buffers */
	__u64 skip; /* bytes before the first frame */
	__u64 base; /* user address of this buffer */
	__u64 length;
	__u64 position;
	__u32 messages; /* that ended in this operation, and were not told of yet */
	__u32 begins; /* the frame's header was complete in this operation, and that was not told yet */
	__u32 broken;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hs_frames);
} frames SEC(".maps");

#define HS_PADDED 0x8     /* section 6.1 */
#define HS_END_STREAM 0x1
#define HS_GRPC_PREFIX_BYTES 5
#define HS_MAX_MESSAGES 0xffff /* in one struct hs_frame */

struct hs_grpc_stream {
	__u64 connection;
	__u32 stream;
	__u32 answers;
};

/*
 * Streams that paused amid a gRPC message, while their direction of the connection carried another's. The probes insert
 * when that one begins, and delete when the first goes on or is reset. Those of connections that ended are left to the
 * LRU.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct hs_grpc_stream);
	__type(value, struct hs_grpc);
} grpc_streams SEC(".maps");

struct hs_frame_scan {
	struct hs_connection *connection;
	struct hs_framing *framing;
	struct hs_frames *frames;
	const struct hs_buffers *buffers;
};

static __always_inline bool has_block(__u8 type)
{
	return type == HS_HEADERS || type == HS_PUSH_PROMISE || type == HS_CONTINUATION;
}

static __always_inline bool is_told(__u8 type)
{
	return type == HS_DATA || type == HS_RST_STREAM || type == HS_GOAWAY || has_block(type);
}

static __always_inline bool is_valid_frame(const struct hs_framing *f)
{
	switch (f->type) {
	case HS_DATA:
	case HS_HEADERS:
	case HS_CONTINUATION:
	case HS_PRIORITY:
		return f->stream != 0;
	case HS_RST_STREAM:
		return f->stream && f->length == 4;
	case HS_PUSH_PROMISE:
		return f->stream && f->length >= 4;
	case HS_SETTINGS:
		return !f->stream && f->length % 6 == 0;
	case HS_PING:
		return !f->stream && f->length == 8;
	case HS_GOAWAY:
		return !f->stream && f->length >= 8;
	case HS_WINDOW_UPDATE:
		return f->length == 4;
	}
	return true; /* extensions are ignored (section 4.1) */
}

/* Of bytes whose beginning was not seen: no extension, no frame longer than everybody allows, no stream of the server's. */
static __always_inline bool is_likely_frame(const struct hs_framing *f)
{
	return f->type <= HS_CONTINUATION && f->length <= 16384 && (!f->stream || f->stream & 1) && is_valid_frame(f);
}

static __always_inline void set_header(struct hs_framing *f, __u64 first, __u8 last)
{
	f->length = f->remaining = first >> 40;
	f->type = first >> 32;
	f->flags = first >> 24;
	f->stream = ((__u32)(first << 8) | last) & 0x7fffffff;
	f->header = 0;
	f->have = 0;
}

static __always_inline void send_frames(struct hs_frame_scan *scan)
{
	struct hs_frames *w = scan->frames;
	__u64 length = w->record.frames_bytes;

	if (!length || length > HS_MAX_FRAMES_BYTES)
		return;
	w->record.number = ++scan->framing->records;
	if (bpf_ringbuf_output(&records, &w->record, sizeof(w->record) + length, BPF_RB_NO_WAKEUP) != 0)
		count(&shared.counters.ring_full);
	w->record.frames_bytes = 0;
	w->record.flags &= ~HS_FRAMES_BROKEN;
}

/* Tells of the frame under way, with `kept` bytes of it at the current position. */
static __always_inline void add_frame(struct hs_frame_scan *scan, __u32 kept, __u8 marks)
{
	struct hs_framing *f = scan->framing;
	struct hs_frames *w = scan->frames;

	if (w->record.frames_bytes > HS_FRAMES_LIMIT)
		send_frames(scan);
	__u64 at = w->record.frames_bytes;

	if (at > HS_FRAMES_LIMIT)
		return;
	if (kept > HS_MAX_KEPT)
		kept = HS_MAX_KEPT;
	if (kept && bpf_probe_read_user(w->bytes + at + sizeof(w->frame), kept, (void *)(w->base + w->position)) != 0) {
		kept = 0;
		marks |= HS_FRAME_TRUNCATED;
	}
	w->frame.length = f->length;
	w->frame.stream = f->stream;
	w->frame.kept = kept;
	w->frame.type = f->type;
	w->frame.flags = f->flags;
	w->frame.marks = marks | (w->begins ? HS_FRAME_BEGINS : 0);
	w->frame.messages = w->messages;
	w->frame.padding = f->type == HS_DATA ? f->padding : 0;
	w->messages = 0;
	w->begins = 0;
	__builtin_memcpy(w->bytes + at, &w->frame, sizeof(w->frame));
	w->record.frames_bytes = at + sizeof(w->frame) + kept;
}

static __always_inline bool is_answers(const struct hs_frame_scan *scan)
{
	return scan->frames->record.flags & HS_FRAMES_ANSWER;
}

/* A DATA frame begins: its stream's messages go on where they stood. */
static __always_inline void count_stream(struct hs_frame_scan *scan)
{
	struct hs_framing *f = scan->framing;
	struct hs_grpc_stream key = { scan->connection->record.connection, f->counted, is_answers(scan) };

	f->padding = 0;
	f->is_padded = f->flags & HS_PADDED;
	if (f->counted == f->stream)
		return;
	if (f->counted && !f->uncounted && (f->grpc.left || f->grpc.prefix_bytes) &&
	    bpf_map_update_elem(&grpc_streams, &key, &f->grpc, BPF_ANY) == 0)
		f->parked++;
	f->counted = f->stream;
	f->uncounted = false;
	__builtin_memset(&f->grpc, 0, sizeof(f->grpc));
	if (!f->parked)
		return;
	key.stream = f->stream;
	struct hs_grpc *parked = bpf_map_lookup_elem(&grpc_streams, &key);

	if (!parked)
		return;
	f->grpc = *parked;
	f->parked--;
	bpf_map_delete_elem(&grpc_streams, &key);
}

/* Nothing follows on this stream. */
static __always_inline void forget_stream(struct hs_connection *connection, struct hs_framing *f, __u32 stream,
					 __u32 answers)
{
	struct hs_grpc_stream key = { connection->record.connection, stream, answers };

	if (f->counted == stream)
		f->counted = 0;
	else if (f->parked && bpf_map_delete_elem(&grpc_streams, &key) == 0)
		f->parked--;
}

static __always_inline bool header_over(struct hs_frame_scan *scan)
{
	struct hs_framing *f = scan->framing;

	if (!is_valid_frame(f))
		return false;
	f->state = f->length ? HS_FRAME_PAYLOAD : HS_FRAME_HEADER;
	if (f->type == HS_HEADERS || f->type == HS_PUSH_PROMISE)
		f->block = 0;
	if (f->type == HS_DATA && f->length)
		count_stream(scan);
	if (f->type == HS_RST_STREAM) {
		forget_stream(scan->connection, &scan->connection->request_frames, f->stream, 0);
		forget_stream(scan->connection, &scan->connection->answer_frames, f->stream, 1);
	}
	scan->frames->begins = is_told(f->type);
	if (!f->length && is_told(f->type))
		add_frame(scan, 0, HS_FRAME_ENDS);
	return true;
}

/* Bytes of this frame's payload, from the current position on, that are kept. */
static __always_inline __u32 kept_of(struct hs_framing *f, __u32 bytes, __u8 *marks)
{
	__u32 allowed = 0;

	if (has_block(f->type)) {
		allowed = config.max_head_bytes > f->block ? config.max_head_bytes - f->block : 0;
		if (bytes > allowed)
			*marks |= HS_FRAME_TRUNCATED;
	} else if (f->type != HS_DATA) {
		allowed = f->length - f->remaining < 8 ? 8 - (f->length - f->remaining) : 0;
	}
	if (bytes > allowed)
		bytes = allowed;
	f->block += bytes;
	return bytes;
}

/* Of a message's prefix, `have` bytes of it at the current position: a flag, and the length. */
static __always_inline __u32 take_prefix(struct hs_frame_scan *scan, __u32 have)
{
	struct hs_framing *f = scan->framing;
	struct hs_frames *w = scan->frames;
	struct hs_grpc *g = &f->grpc;
	bool whole = !g->prefix_bytes && have >= HS_GRPC_PREFIX_BYTES;
	void *from = (void *)(w->base + w->position);
	__u32 words[2]; /* the length in one of its own */
	__u8 *first = (__u8 *)words + 3;

	if (whole ? bpf_probe_read_user(first, HS_GRPC_PREFIX_BYTES, from) != 0 :
		    bpf_probe_read_user(first, 1, from) != 0)
		*first = 0xff;
	if (!g->prefix_bytes && *first > 1) { /* compressed or not */
		f->uncounted = true;
		return have;
	}
	if (whole) {
		g->length = bpf_ntohl(words[1]);
	} else {
		g->length = (g->length << 8) | (g->prefix_bytes ? *first : 0);
		if (++g->prefix_bytes < HS_GRPC_PREFIX_BYTES)
			return 1;
	}
	g->prefix_bytes = 0;
	g->left = g->length;
	g->length = 0;
	if (!g->left)
		w->messages++;
	return whole ? HS_GRPC_PREFIX_BYTES : 1;
}

/* How many of these bytes of a DATA frame are taken in one step: up to where a message, or its prefix, ends. */
static __always_inline __u32 take_data(struct hs_frame_scan *scan, __u32 bytes)
{
	struct hs_framing *f = scan->framing;
	struct hs_frames *w = scan->frames;

	if (f->is_padded) {
		f->is_padded = false;
		if (bpf_probe_read_user(&f->padding, 1, (void *)(w->base + w->position)) != 0)
			f->uncounted = true;
		return 1;
	}
	if (f->uncounted || f->remaining <= f->padding)
		return bytes;
	if (bytes > f->remaining - f->padding)
		bytes = f->remaining - f->padding;
	if (!f->grpc.left)
		return take_prefix(scan, bytes);
	if (bytes > f->grpc.left)
		bytes = f->grpc.left;
	f->grpc.left -= bytes;
	if (!f->grpc.left)
		w->messages++;
	return bytes;
}

static __always_inline void take_payload(struct hs_frame_scan *scan)
{
	struct hs_framing *f = scan->framing;
	struct hs_frames *w = scan->frames;
	__u64 left = w->length - w->position;
	__u32 here = f->remaining < left ? f->remaining : left;
	__u32 n = here;
	bool more = false;

	if (f->type == HS_DATA) {
		n = take_data(scan, here);
		more = n < here && w->messages < HS_MAX_MESSAGES;
	} else if (n > HS_MAX_KEPT) {
		n = HS_MAX_KEPT;
	}
	if (is_told(f->type) && !more) {
		bool ends = n == f->remaining;
		__u8 marks = (ends ? HS_FRAME_ENDS : 0) | (f->type == HS_DATA && f->uncounted ? HS_FRAME_UNCOUNTED : 0);
		__u32 kept = kept_of(f, n, &marks);

		if (w->begins || ends || kept || w->messages || marks & HS_FRAME_TRUNCATED)
			add_frame(scan, kept, marks);
		if (ends && f->type == HS_DATA && f->flags & HS_END_STREAM)
			f->counted = 0;
	}
	w->position += n;
	f->remaining -= n;
	if (!f->remaining)
		f->state = HS_FRAME_HEADER;
}

static long frame_step(__u32 index, struct hs_frame_scan *scan)
{
	struct hs_framing *f = scan->framing;
	struct hs_frames *w = scan->frames;
	__u8 bytes[16];
	__u64 address = w->base + w->position;

	(void)index;
	if (w->position >= w->length)
		return 1;
	if (f->state == HS_FRAME_PAYLOAD) {
		take_payload(scan);
		return 0;
	}
	if (f->state != HS_FRAME_PREFACE && !f->have && w->length - w->position >= HS_FRAME_HEADER_BYTES) {
		if (bpf_probe_read_user(bytes, HS_FRAME_HEADER_BYTES, (void *)address) != 0)
			goto broken;
		set_header(f, __builtin_bswap64(*(__u64 *)bytes), bytes[8]);
		if (f->state == HS_FRAME_UNSYNCED && !is_likely_frame(f)) {
			w->position = w->length;
			w->left = 0;
			return 1;
		}
		w->position += HS_FRAME_HEADER_BYTES;
		if (!header_over(scan))
			goto broken;
		return 0;
	}
	if (f->state == HS_FRAME_UNSYNCED) {
		w->position = w->length;
		w->left = 0;
		return 1;
	}
	if (bpf_probe_read_user(bytes, 1, (void *)address) != 0)
		goto broken;
	w->position++;
	if (f->state == HS_FRAME_PREFACE) {
		if (bytes[0] != preface(f->have))
			goto broken;
		if (++f->have == 24) {
			f->state = HS_FRAME_HEADER;
			f->have = 0;
		}
		return 0;
	}
	if (f->have < 8) {
		f->header = (f->header << 8) | bytes[0];
		f->have++;
		return 0;
	}
	set_header(f, f->header, bytes[0]);
	if (header_over(scan))
		return 0;
broken:
	w->broken = 1;
	return 1;
}

/* One buffer of the operation after the other. */
static long next_frames_buffer(__u32 index, struct hs_frame_scan *scan)
{
	struct hs_frames *w = scan->frames;
	struct user_iovec buffer;

	if (!w->left || !nth_buffer(scan->buffers, index, &buffer))
		return 1;
	w->base = buffer.base;
	w->length = buffer.len < w->left ? buffer.len : w->left;
	w->left -= w->length;
	w->position = w->skip < w->length ? w->skip : w->length;
	w->skip -= w->position;
	bpf_loop(HS_MAX_FRAME_STEPS, frame_step, scan, 0);
	if (w->position < w->length)
		w->broken = 1;
	return w->broken & 1;
}

/* Verified by itself: a global function, whose arguments may be null for all that the verifier knows. */
__noinline int scan_frames(struct hs_connection *connection, struct hs_buffers *all)
{
	__u32 zero = 0;
	struct hs_frames *w = bpf_map_lookup_elem(&frames, &zero);

	if (!connection || !all || !w)
		return 0;
	struct hs_framing *f =
		w->record.flags & HS_FRAMES_ANSWER ? &connection->answer_frames : &connection->request_frames;
	struct hs_frame_scan scan = { connection, f, w, all };

	w->record.operation = ++f->operations;
	bpf_loop(HS_MAX_VECTORS, next_frames_buffer, &scan, 0);
	if (w->begins) { /* the operation ended with the frame's header */
		w->position = w->length;
		add_frame(&scan, 0, 0);
	}
	if (f->state == HS_FRAME_PAYLOAD && is_told(f->type))
		w->record.remaining = f->remaining;
	if (w->broken) {
		connection->protocol = HS_PROTOCOL_OPAQUE;
		connection->record.flags |= HS_BROKEN;
		w->record.flags |= HS_FRAMES_BROKEN;
		if (!w->record.frames_bytes) { /* a record without frames is not sent */
			f->type = HS_GOAWAY;
			f->length = f->remaining = f->stream = 0;
			add_frame(&scan, 0, 0);
		}
	}
	send_frames(&scan);
	return 0;
}

/*
 * Follows the frames of one direction through what was just read or written, from byte `skip` on. What turns out to be no
 * HTTP/2 makes the connection opaque; returns how many bytes at the end are no frames.
 */
static __always_inline __u64 follow_frames(struct hs_connection *connection, struct sock *sk, struct hs_buffers *all,
					  __u64 bytes, __u64 skip, bool requests, __u64 now_ns, __u64 arrived_ns)
{
	__u32 zero = 0;
	struct hs_frames *w = bpf_map_lookup_elem(&frames, &zero);
	const struct tcp_sock *tp = tcp_of(sk);
	struct hs_framing *f = requests ? &connection->request_frames : &connection->answer_frames;
	struct hs_side_record *side = &connection->record;
	bool written = requests != (side->role == HS_DOWNSTREAM);

	if (!w || !tp)
		return 0;
	w->record.kind = HS_KIND_FRAMES;
	w->record.flags = (requests ? 0 : HS_FRAMES_ANSWER) | (written ? HS_FRAMES_WRITTEN : 0) |
			  (connection->chained ? 0 : HS_FRAMES_ALONE) |
			  (side->flags & HS_PREEXISTING && !f->records ? HS_FRAMES_JOINED : 0);
	w->record.connection = side->connection;
	w->record.peer = side->peer;
	w->record.arrived_ns = arrived_ns;
	w->record.time_ns = now_ns;
	w->record.position = written ? side->total_written : side->total_read;
	w->record.remaining = 0;
	w->record.tid = (__u32)bpf_get_current_pid_tgid();
	w->record.srtt_us = tp->srtt_us >> 3;
	w->record.retransmits = tp->total_retrans;
	w->record.out_of_order = tp->rcv_ooopack;
	w->record.frames_bytes = 0;
	w->left = bytes;
	w->skip = skip;
	w->messages = 0;
	w->begins = 0;
	w->broken = 0;
	scan_frames(connection, all);
	return w->broken ? w->length - w->position + w->left : 0;
}

/* The connection speaks HTTP/2 from here on. */
static __always_inline void begin_frames(struct hs_connection *connection, __u8 requests_state, __u8 answers_state)
{
	__builtin_memset(&connection->requests, 0, sizeof(connection->requests));
	__builtin_memset(&connection->answers, 0, sizeof(connection->answers));
	connection->request_frames.state = requests_state;
	connection->answer_frames.state = answers_state;
	connection->protocol = HS_PROTOCOL_HTTP2;
}

/* Whether these bytes begin with a frame of a connection whose beginning was not seen. */
static __always_inline bool begins_with_frame(const struct hs_buffers *buffers, __u64 bytes, bool settings)
{
	struct hs_framing f = {};
	struct user_iovec buffer;
	__u8 header[16];

	if (bytes < HS_FRAME_HEADER_BYTES || !nth_buffer(buffers, 0, &buffer) ||
	    buffer.len < HS_FRAME_HEADER_BYTES ||
	    bpf_probe_read_user(header, HS_FRAME_HEADER_BYTES, (void *)buffer.base) != 0)
		return false;
	set_header(&f, __builtin_bswap64(*(__u64 *)header), header[8]);
	if (settings)
		return f.type == HS_SETTINGS && !f.flags && is_likely_frame(&f);
	return is_likely_frame(&f) && f.length + HS_FRAME_HEADER_BYTES <= bytes;
}

#endif
