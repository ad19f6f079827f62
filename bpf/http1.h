/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * HTTP/1 framing (RFC 9112): where each message begins and ends in the bytes that a proxy reads and writes. Heads
 * are handed up, bodies are skipped where they lie. One state machine per direction, a byte at a time where a byte
 * decides something, eight at a time elsewhere.
 */
#ifndef HOPSPAN_HTTP1_H
#define HOPSPAN_HTTP1_H

#include "pairing.h"

#define HS_WINDOW 1024   /* bytes that are looked at in one go */
#define HS_MAX_HEAD 16384 /* of a head, in one record */
/* Steps in one buffer: a byte, a word or a body each. 32 requests of 1 kB in 64 kB take some 6,000. */
#define HS_MAX_STEPS 65536
#define HS_MAX_VECTORS 1024 /* UIO_MAXIOV */
#define HS_MAX_OUTSTANDING 64
#define HS_MAX_METHOD 16
#define HS_MAX_BODY (1ULL << 53)

enum hs_http1_state {
	HS_BETWEEN, /* empty lines may precede a message (section 2.2) */
	HS_PROXY1,  /* line of a PROXY protocol header, version 1 */
	HS_PROXY2,  /* the same, version 2, and its addresses */
	HS_PROXY2_ADDRESSES,
	HS_PREFACE, /* of HTTP/2 (RFC 9113, section 3.4), which begins like a request */
	HS_METHOD,
	HS_TARGET, /* and version, to the end of the line */
	HS_STATUS, /* "HTTP/1.1 200" */
	HS_LINE,   /* at the start of a line of the head */
	HS_LINE_CR,
	HS_NAME_LENGTH, /* in what may become "Content-Length" */
	HS_NAME_CODING, /* "Transfer-Encoding" */
	HS_LENGTH,
	HS_CODING,
	HS_REST_OF_LINE,
	HS_BODY,
	HS_UNTIL_CLOSE,
	HS_CHUNK_SIZE,
	HS_CHUNK_EXTENSION,
	HS_CHUNK,
	HS_TRAILER, /* at the start of a line */
	HS_TRAILER_CR,
	HS_TRAILER_LINE,
};

enum hs_http1_flags {
	HS_HAS_LENGTH = 1 << 0,
	HS_HAS_CODING = 1 << 1,
	HS_CHUNKED = 1 << 2, /* the last coding so far is "chunked" */
	HS_IS_HEAD = 1 << 3,
	HS_IS_CONNECT = 1 << 4,
	HS_TRUNCATED = 1 << 5,
	HS_FOLLOWED = 1 << 6, /* some of the head was not looked at */
};

/* The operation that is looked at, one buffer of it at a time. One CPU, one operation: probes are not preempted. */
struct hs_window {
	struct hs_message_record record;
	__u8 head[HS_MAX_HEAD]; /* follows the record in the ring */
	__u8 bytes[HS_WINDOW + 64]; /* words that begin within may end behind */
	__u64 now_ns;
	__u64 arrived_ns;
	__u64 left; /* of the operation, in the next buffers */
	__u64 rest; /* bytes of the operation that turned out to be no HTTP */
	__u64 base; /* user address of this buffer */
	__u64 length;
	__u64 position;
	__u64 start; /* of `bytes` in the buffer */
	__u64 filled;
	/* Bytes of a head in this buffer. */
	__u64 head_start;
	__u64 head_end;
	__u32 requests; /* else answers */
	__u32 written;  /* else read */
	__u32 turn;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hs_window);
} window SEC(".maps");

struct hs_scan {
	struct hs_connection *connection;
	struct hs_message *message;
	struct hs_window *window;
	const struct hs_buffers *buffers;
};

static __always_inline bool in_head(__u8 state)
{
	return state >= HS_METHOD && state <= HS_REST_OF_LINE;
}

/* Nothing is looked for but the end of the line. */
static __always_inline bool skips_line(__u8 state)
{
	return state == HS_TARGET || state == HS_REST_OF_LINE || state == HS_CHUNK_EXTENSION ||
	       state == HS_TRAILER_LINE || state == HS_PROXY1;
}

#define WORD(a, b, c, d, e, f, g, h)                                                                        \
	(((__u64)(a) << 56) | ((__u64)(b) << 48) | ((__u64)(c) << 40) | ((__u64)(d) << 32) |                \
	 ((__u64)(e) << 24) | ((__u64)(f) << 16) | ((__u64)(g) << 8) | (__u64)(h))

/* The n-th byte of a word of up to sixteen, without a table: .rodata holds hs_config and nothing else. */
static __always_inline __u8 letter(__u64 first, __u64 second, __u8 n)
{
	return (n < 8 ? first : second) >> (56 - 8 * (n & 7));
}

static __always_inline __u8 content_length(__u8 n)
{
	return letter(WORD('c', 'o', 'n', 't', 'e', 'n', 't', '-'), WORD('l', 'e', 'n', 'g', 't', 'h', 0, 0), n);
}

static __always_inline __u8 transfer_encoding(__u8 n)
{
	if (n == 16)
		return 'g';
	return letter(WORD('t', 'r', 'a', 'n', 's', 'f', 'e', 'r'), WORD('-', 'e', 'n', 'c', 'o', 'd', 'i', 'n'), n);
}

#define METHOD_PROXY WORD(0, 0, 0, 'P', 'R', 'O', 'X', 'Y')
#define METHOD_PRI WORD(0, 0, 0, 0, 0, 'P', 'R', 'I')
#define METHOD_HEAD WORD(0, 0, 0, 0, 'H', 'E', 'A', 'D')
#define METHOD_CONNECT WORD(0, 'C', 'O', 'N', 'N', 'E', 'C', 'T')

/* Methods by their last eight letters: RFC 9110 section 9, RFC 5789, and WebDAV's (RFC 4918, 3253, 5323). */
static __always_inline bool is_method(__u64 word)
{
	switch (word) {
	case WORD(0, 0, 0, 0, 0, 'G', 'E', 'T'):
	case WORD(0, 0, 0, 0, 0, 'P', 'U', 'T'):
	case WORD(0, 0, 0, 0, 'P', 'O', 'S', 'T'):
	case METHOD_HEAD:
	case METHOD_CONNECT:
	case WORD(0, 0, 'D', 'E', 'L', 'E', 'T', 'E'):
	case WORD(0, 'O', 'P', 'T', 'I', 'O', 'N', 'S'):
	case WORD(0, 0, 0, 'P', 'A', 'T', 'C', 'H'):
	case WORD(0, 0, 0, 'T', 'R', 'A', 'C', 'E'):
	case WORD(0, 0, 0, 'Q', 'U', 'E', 'R', 'Y'):
	case WORD(0, 0, 0, 'P', 'U', 'R', 'G', 'E'):
	case WORD(0, 0, 0, 0, 'C', 'O', 'P', 'Y'):
	case WORD(0, 0, 0, 0, 'M', 'O', 'V', 'E'):
	case WORD(0, 0, 0, 0, 'L', 'O', 'C', 'K'):
	case WORD(0, 0, 'U', 'N', 'L', 'O', 'C', 'K'):
	case WORD(0, 0, 0, 'M', 'K', 'C', 'O', 'L'):
	case WORD('P', 'R', 'O', 'P', 'F', 'I', 'N', 'D'):
	case WORD('R', 'O', 'P', 'P', 'A', 'T', 'C', 'H'):
	case WORD(0, 0, 'R', 'E', 'P', 'O', 'R', 'T'):
	case WORD(0, 0, 'S', 'E', 'A', 'R', 'C', 'H'):
		return true;
	}
	return false;
}

/* "TTP/1.1\r", or "HTTP/1.1" of a line that ends without CR. */
static __always_inline bool ends_in_version(__u64 tail)
{
	__u64 before = (tail & 0xff) == '\r' ? tail >> 16 : tail >> 8;

	return (before & 0xffffffffffffULL) == WORD(0, 0, 'T', 'T', 'P', '/', '1', '.');
}

/* The client's connection preface of HTTP/2 (RFC 9113, section 3.4). */
static __always_inline __u8 preface(__u8 n)
{
	if (n >= 16)
		return letter(WORD('\r', '\n', 'S', 'M', '\r', '\n', '\r', '\n'), 0, n - 16);
	return letter(WORD('P', 'R', 'I', ' ', '*', ' ', 'H', 'T'), WORD('T', 'P', '/', '2', '.', '0', '\r', '\n'), n);
}

/* Hands up what this buffer holds of the head; with HS_OVER also when it holds nothing of it. */
static __always_inline void hand_up(struct hs_scan *scan, __u32 flags)
{
	struct hs_window *w = scan->window;
	struct hs_message *m = scan->message;
	struct hs_message_record *record = &w->record;
	__u64 length = w->head_end > w->head_start ? w->head_end - w->head_start : 0;
	__u64 allowed = config.max_head_bytes - m->head_bytes;

	if (m->head_bytes >= config.max_head_bytes)
		allowed = 0;
	if (length > allowed) {
		length = allowed;
		m->flags |= HS_TRUNCATED;
	}
	if (length >= HS_MAX_HEAD)
		length = HS_MAX_HEAD - 1;
	length &= HS_MAX_HEAD - 1;
	if (length && bpf_probe_read_user(w->head, length, (void *)(w->base + w->head_start)) != 0) {
		length = 0;
		m->flags |= HS_TRUNCATED;
	}
	if (!length && !flags)
		return;
	m->head_bytes += length;
	w->head_start = w->head_end;
	record->kind = HS_KIND_MESSAGE;
	record->flags = flags | (w->requests ? 0 : HS_ANSWER_MESSAGE) | (w->written ? HS_WRITTEN : 0) |
			(m->flags & HS_TRUNCATED ? HS_HEAD_TRUNCATED : 0) |
			(m->flags & HS_FOLLOWED ? HS_RELAYED : 0) |
			(scan->connection->chained ? 0 : HS_ALONE) |
			(m->state == HS_UNTIL_CLOSE ? HS_UNTIL_END : 0);
	record->connection = scan->connection->record.connection;
	record->peer = scan->connection->record.peer;
	record->arrived_ns = m->arrived_ns;
	record->first_ns = m->first_ns;
	record->last_ns = w->now_ns;
	record->bytes = m->bytes;
	record->body_bytes = m->body_bytes;
	record->tid = m->tid;
	record->first_turn = m->first_turn;
	record->last_turn = w->turn;
	record->number = m->number;
	record->operations = m->operations;
	record->status_code = m->status;
	record->head_bytes = length;
	if (bpf_ringbuf_output(&records, record, sizeof(*record) + length, BPF_RB_NO_WAKEUP) != 0)
		count(&shared.counters.ring_full);
}

/* What the byte did beside moving the state on. */
enum hs_step {
	HS_GO_ON,
	HS_HEAD_OVER,
	HS_MESSAGE_OVER,
	HS_TUNNEL,    /* the message is over, and what follows is no HTTP */
	HS_NOT_HTTP1,
	HS_IS_HTTP2, /* from the next byte on */
};

static __always_inline enum hs_step answer_begins(struct hs_connection *connection, struct hs_message *m)
{
	bool is_head = false, is_connect = false;

	if (m->status >= 100 && m->status < 200) {
		if (m->status == 101)
			return HS_TUNNEL;
		return HS_MESSAGE_OVER;
	}
	if (connection->outstanding) {
		is_head = connection->head_requests & 1;
		is_connect = connection->connect_requests & 1;
		connection->head_requests >>= 1;
		connection->connect_requests >>= 1;
		connection->outstanding--;
	}
	if (is_connect && m->status < 300)
		return HS_TUNNEL;
	if (is_head || m->status == 204 || m->status == 304)
		return HS_MESSAGE_OVER;
	m->state = HS_UNTIL_CLOSE;
	return HS_HEAD_OVER;
}

static __always_inline enum hs_step request_begins(struct hs_connection *connection, struct hs_message *m)
{
	__u64 bit = connection->outstanding;

	if (bit >= HS_MAX_OUTSTANDING)
		return HS_NOT_HTTP1;
	if (m->flags & HS_IS_HEAD)
		connection->head_requests |= 1ULL << bit;
	if (m->flags & HS_IS_CONNECT)
		connection->connect_requests |= 1ULL << bit;
	connection->outstanding = bit + 1;
	return HS_MESSAGE_OVER;
}

/* Message body length, RFC 9112 section 6.3. */
static __always_inline enum hs_step head_over(struct hs_scan *scan)
{
	struct hs_message *m = scan->message;
	struct hs_window *w = scan->window;
	enum hs_step step;

	w->head_end = w->position;
	if (m->number == 1)
		m->first_head = m->bytes;
	step = w->requests ? request_begins(scan->connection, m) : answer_begins(scan->connection, m);
	if (step == HS_NOT_HTTP1 || step == HS_TUNNEL)
		return step;
	if (step == HS_MESSAGE_OVER && !w->requests)
		return step;
	if (m->flags & HS_CHUNKED) {
		m->state = HS_CHUNK_SIZE;
		m->remaining = 0;
		m->match = 0;
		return HS_HEAD_OVER;
	}
	if (m->flags & HS_HAS_CODING)
		return w->requests ? HS_NOT_HTTP1 : HS_HEAD_OVER;
	if (!(m->flags & HS_HAS_LENGTH))
		return step;
	if (!m->remaining)
		return HS_MESSAGE_OVER;
	m->state = HS_BODY;
	return HS_HEAD_OVER;
}

static __always_inline enum hs_step chunk_begins(struct hs_message *m)
{
	if (!m->match)
		return HS_NOT_HTTP1;
	if (!m->remaining) {
		m->state = HS_TRAILER;
		return HS_GO_ON;
	}
	m->remaining += 2; /* CR LF after the data */
	m->state = HS_CHUNK;
	return HS_GO_ON;
}

static __always_inline void next_line(struct hs_message *m, __u8 byte)
{
	m->state = byte == '\n' ? HS_LINE : HS_REST_OF_LINE;
}

static __always_inline void message_begins(struct hs_scan *scan)
{
	struct hs_message *m = scan->message;
	struct hs_window *w = scan->window;

	m->number++;
	m->first_ns = w->now_ns;
	m->arrived_ns = w->arrived_ns;
	m->operations = 1;
	m->head_bytes = 0;
	m->body_bytes = 0;
	m->tid = (__u32)bpf_get_current_pid_tgid();
	m->first_turn = w->turn;
	m->flags = 0;
	m->remaining = 0;
	m->tail = 0;
	m->match = 0;
	m->status = 0;
	m->state = w->requests ? HS_METHOD : HS_STATUS;
	w->head_start = w->position;
}

/* Neither an empty line nor what only a PROXY protocol header has at this place: CR LF CR LF NUL. */
static __always_inline bool begins_message(const struct hs_message *m, __u8 byte)
{
	return byte != '\r' && byte != '\n' && (byte || m->bytes != 4 || m->number);
}

static __always_inline enum hs_step take_byte(struct hs_scan *scan, __u8 byte)
{
	struct hs_message *m = scan->message;
	__u8 lower = byte | 0x20;

	if (m->state == HS_BETWEEN) {
		if (byte == '\r' || byte == '\n')
			return HS_GO_ON;
		m->state = HS_PROXY2;
		m->match = 5;
		m->tail = 0;
		return HS_GO_ON;
	}
	switch (m->state) {
	case HS_PROXY1: /* at its LF */
		m->state = HS_BETWEEN;
		return HS_GO_ON;
	case HS_PROXY2: /* 16 bytes, the last two are the length of what follows */
		m->match++;
		m->tail = (m->tail << 8) | byte;
		if (m->match < 16)
			return HS_GO_ON;
		m->remaining = m->tail & 0xffff;
		m->state = m->remaining ? HS_PROXY2_ADDRESSES : HS_BETWEEN;
		return HS_GO_ON;
	case HS_PREFACE:
		if (byte != preface(m->match))
			return HS_NOT_HTTP1;
		return ++m->match < 24 ? HS_GO_ON : HS_IS_HTTP2;
	case HS_METHOD:
		if (byte == ' ') {
			if (m->tail == METHOD_PROXY && m->number == 1) {
				m->number = 0;
				m->state = HS_PROXY1;
				return HS_GO_ON;
			}
			if (m->tail == METHOD_PRI && m->number == 1) {
				m->match = 4;
				m->state = HS_PREFACE;
				return HS_GO_ON;
			}
			if (!is_method(m->tail))
				return HS_NOT_HTTP1;
			if (m->tail == METHOD_HEAD)
				m->flags |= HS_IS_HEAD;
			if (m->tail == METHOD_CONNECT)
				m->flags |= HS_IS_CONNECT;
			m->tail = 0;
			m->state = HS_TARGET;
			return HS_GO_ON;
		}
		if (byte < 'A' || byte > 'Z' || ++m->match > HS_MAX_METHOD)
			return HS_NOT_HTTP1;
		m->tail = (m->tail << 8) | byte;
		return HS_GO_ON;
	case HS_TARGET: /* at its LF */
		if (!ends_in_version(m->tail))
			return HS_NOT_HTTP1;
		scan->connection->protocol = HS_PROTOCOL_HTTP1;
		m->state = HS_LINE;
		return HS_GO_ON;
	case HS_STATUS:
		if (m->match < 7) {
			if (byte != letter(WORD('H', 'T', 'T', 'P', '/', '1', '.', 0), 0, m->match))
				return HS_NOT_HTTP1;
		} else if (m->match >= 9) {
			if (byte < '0' || byte > '9')
				return HS_NOT_HTTP1;
			m->status = m->status * 10 + byte - '0';
		}
		if (++m->match < 12)
			return HS_GO_ON;
		m->state = HS_REST_OF_LINE;
		return HS_GO_ON;
	case HS_REST_OF_LINE:
		m->state = HS_LINE;
		return HS_GO_ON;
	case HS_LINE:
		m->match = 1;
		if (byte == '\n')
			return head_over(scan);
		if (byte == '\r')
			m->state = HS_LINE_CR;
		else if (lower == 'c')
			m->state = HS_NAME_LENGTH;
		else if (lower == 't')
			m->state = HS_NAME_CODING;
		else
			m->state = HS_REST_OF_LINE;
		return HS_GO_ON;
	case HS_LINE_CR:
		return byte == '\n' ? head_over(scan) : HS_NOT_HTTP1;
	case HS_NAME_LENGTH:
		if (m->match == 14 && byte == ':') {
			m->state = HS_LENGTH;
			m->tail = 0;
		} else if (m->match < 14 && lower == content_length(m->match)) {
			m->match++;
		} else {
			next_line(m, byte);
		}
		return HS_GO_ON;
	case HS_NAME_CODING:
		if (m->match == 17 && byte == ':') {
			m->state = HS_CODING;
			m->match = 0;
			m->flags |= HS_HAS_CODING;
		} else if (m->match < 17 && lower == transfer_encoding(m->match)) {
			m->match++;
		} else {
			next_line(m, byte);
		}
		return HS_GO_ON;
	case HS_LENGTH:
		if (byte >= '0' && byte <= '9') {
			m->tail = m->tail * 10 + byte - '0';
			return m->tail < HS_MAX_BODY ? HS_GO_ON : HS_NOT_HTTP1;
		}
		if (byte == '\n') {
			/* Twice, and not the same: what follows cannot be told (section 6.3). */
			if (m->flags & HS_HAS_LENGTH && m->remaining != m->tail)
				return HS_NOT_HTTP1;
			m->flags |= HS_HAS_LENGTH;
			m->remaining = m->tail;
			m->state = HS_LINE;
			return HS_GO_ON;
		}
		return byte == ' ' || byte == '\t' || byte == '\r' ? HS_GO_ON : HS_NOT_HTTP1;
	case HS_CODING:
		if (byte == '\n') {
			if (m->match == 7)
				m->flags |= HS_CHUNKED;
			else
				m->flags &= ~HS_CHUNKED;
			m->state = HS_LINE;
		} else if (byte == ',') {
			m->match = 0;
		} else if (byte == ' ' || byte == '\t' || byte == '\r') {
			/* around a coding */
		} else if (m->match < 7 && lower == letter(WORD('c', 'h', 'u', 'n', 'k', 'e', 'd', 0), 0, m->match)) {
			m->match++;
		} else {
			m->match = 8;
		}
		return HS_GO_ON;
	case HS_CHUNK_SIZE: {
		__u8 digit;

		if (byte >= '0' && byte <= '9')
			digit = byte - '0';
		else if (lower >= 'a' && lower <= 'f')
			digit = lower - 'a' + 10;
		else if (byte == '\n')
			return chunk_begins(m);
		else if (byte == ';' || byte == ' ' || byte == '\t') {
			m->state = HS_CHUNK_EXTENSION;
			return HS_GO_ON;
		} else
			return byte == '\r' ? HS_GO_ON : HS_NOT_HTTP1;
		m->remaining = (m->remaining << 4) | digit;
		m->match = 1;
		return m->remaining < HS_MAX_BODY ? HS_GO_ON : HS_NOT_HTTP1;
	}
	case HS_CHUNK_EXTENSION:
		return chunk_begins(m);
	case HS_TRAILER:
		if (byte == '\n')
			return HS_MESSAGE_OVER;
		m->state = byte == '\r' ? HS_TRAILER_CR : HS_TRAILER_LINE;
		return HS_GO_ON;
	case HS_TRAILER_CR:
		return byte == '\n' ? HS_MESSAGE_OVER : HS_NOT_HTTP1;
	case HS_TRAILER_LINE:
		m->state = HS_TRAILER;
		return HS_GO_ON;
	}
	return HS_NOT_HTTP1;
}

/* Passes over a body, or what is left of it. */
static __always_inline enum hs_step skip_body(struct hs_scan *scan)
{
	struct hs_message *m = scan->message;
	struct hs_window *w = scan->window;
	__u64 left = w->length - w->position;
	__u64 n = m->state == HS_UNTIL_CLOSE || m->remaining > left ? left : m->remaining;

	w->position += n;
	m->bytes += n;
	if (m->state != HS_PROXY2_ADDRESSES)
		m->body_bytes += n;
	if (m->state == HS_UNTIL_CLOSE)
		return HS_GO_ON;
	m->remaining -= n;
	if (m->remaining)
		return HS_GO_ON;
	switch (m->state) {
	case HS_BODY:
		return HS_MESSAGE_OVER;
	case HS_CHUNK:
		m->body_bytes -= 2; /* CR LF after the data */
		m->state = HS_CHUNK_SIZE;
		m->match = 0;
		return HS_GO_ON;
	default:
		m->state = HS_BETWEEN;
		return HS_GO_ON;
	}
}

static __always_inline __u64 word_at(const struct hs_window *w, __u64 offset)
{
	return *(const __u64 *)(w->bytes + (offset & (HS_WINDOW - 1)));
}

/* Which bytes of a word are `byte`: a mark at the top of each, exact up to the lowest. */
static __always_inline __u64 marks(__u64 word, __u8 byte)
{
	__u64 x = word ^ (byte * 0x0101010101010101ULL);

	return (x - 0x0101010101010101ULL) & ~x & 0x8080808080808080ULL;
}

/* Bytes below the lowest mark, counted by a multiplication. */
static __always_inline __u64 below(__u64 mark)
{
	return (((((mark & -mark) - 1) & 0x8080808080808080ULL) >> 7) * 0x0101010101010101ULL) >> 56;
}

/* A header that says nothing about framing. */
static __always_inline bool starts_another_line(__u8 byte)
{
	__u8 lower = byte | 0x20;

	return lower != 'c' && lower != 't' && byte != '\r' && byte != '\n';
}

/* Up to 32 bytes before the next LF at once; returns how many of the `available` were passed. */
static __always_inline __u64 skip_in_line(struct hs_message *m, const struct hs_window *w, __u64 offset,
					  __u64 available)
{
	__u64 passed = 0;

	for (int i = 0; i < 4; i++) {
		__u64 word = word_at(w, offset + passed);
		__u64 found = marks(word, '\n');
		__u64 n = found ? below(found) : 8;

		if (n > available - passed)
			n = available - passed;
		passed += n;
		if (n < 8) {
			if (n)
				m->tail = (m->tail << (8 * n)) | (__builtin_bswap64(word) >> (64 - 8 * n));
			break;
		}
		m->tail = __builtin_bswap64(word);
	}
	return passed;
}

/*
 * Whole words of a head at once, where enough bytes are there: a method, the first half of a status line, the name of a
 * header. What is unusual is left to take_byte().
 */
static __always_inline __u64 take_words(struct hs_message *m, const struct hs_window *w, __u64 offset)
{
	__u64 first = __builtin_bswap64(word_at(w, offset));
	__u64 second = __builtin_bswap64(word_at(w, offset + 8));
	const __u64 lower_case = 0x2020202020202020ULL;

	switch (m->state) {
	case HS_METHOD: {
		__u64 space = marks(word_at(w, offset), ' ');
		__u64 n = space ? below(space) : 0;

		if (m->match || n < 2 || first >> (64 - 8 * n) == METHOD_PROXY || !is_method(first >> (64 - 8 * n)))
			return 0;
		m->tail = first >> (64 - 8 * n);
		return n;
	}
	case HS_STATUS:
		if (m->match || first >> 8 != WORD(0, 'H', 'T', 'T', 'P', '/', '1', '.'))
			return 0;
		m->match = 7;
		return 7;
	case HS_NAME_LENGTH: /* "c" was taken */
		if (m->match != 1 ||
		    (first | lower_case) != WORD('o', 'n', 't', 'e', 'n', 't', '-', 'l') ||
		    (second | lower_case) >> 24 != WORD(0, 0, 0, 'e', 'n', 'g', 't', 'h'))
			break;
		m->match = 14;
		return 13;
	case HS_NAME_CODING:
		if (m->match != 1 ||
		    (first | lower_case) != WORD('r', 'a', 'n', 's', 'f', 'e', 'r', '-') ||
		    (second | lower_case) != WORD('e', 'n', 'c', 'o', 'd', 'i', 'n', 'g'))
			break;
		m->match = 17;
		return 16;
	default:
		return 0;
	}
	if (m->match == 1) /* another name */
		m->state = HS_REST_OF_LINE;
	return 0;
}

static long http1_step(__u32 index, struct hs_scan *scan)
{
	struct hs_message *m = scan->message;
	struct hs_window *w = scan->window;
	enum hs_step step;

	(void)index;
	if (w->position >= w->length)
		return 1;
	if (m->state == HS_BODY || m->state == HS_CHUNK || m->state == HS_UNTIL_CLOSE ||
	    m->state == HS_PROXY2_ADDRESSES) {
		step = skip_body(scan);
	} else {
		__u64 offset = w->position - w->start;

		if (offset >= w->filled) {
			__u64 left = w->length - w->position;

			if (left > HS_WINDOW)
				left = HS_WINDOW;
			if (bpf_probe_read_user(w->bytes, left, (void *)(w->base + w->position)) != 0) {
				scan->connection->protocol = HS_PROTOCOL_OPAQUE;
				w->rest = w->length - w->position + w->left;
				return 1;
			}
			w->start = w->position;
			w->filled = left;
			offset = 0;
		}
		__u64 available = w->filled - offset;
		__u64 passed = 0;

		if (m->state == HS_BETWEEN && begins_message(m, w->bytes[offset & (HS_WINDOW - 1)]))
			message_begins(scan);
		if (m->state == HS_LINE && starts_another_line(w->bytes[offset & (HS_WINDOW - 1)]))
			m->state = HS_REST_OF_LINE;
		else if (available >= 16)
			passed = take_words(m, w, offset);
		if (skips_line(m->state))
			passed = skip_in_line(m, w, offset, available);
		w->position += passed;
		m->bytes += passed;
		if (passed == available)
			return 0;
		w->position++;
		m->bytes++;
		if (passed == 32 && w->bytes[(offset + passed) & (HS_WINDOW - 1)] != '\n') {
			m->tail = (m->tail << 8) | w->bytes[(offset + passed) & (HS_WINDOW - 1)];
			return 0;
		}
		step = take_byte(scan, w->bytes[(offset + passed) & (HS_WINDOW - 1)]);
	}
	if (step == HS_GO_ON || step == HS_HEAD_OVER)
		return 0;
	if (step == HS_IS_HTTP2) {
		scan->connection->protocol = HS_PROTOCOL_HTTP2;
		w->rest = w->length - w->position + w->left;
		return 1;
	}
	/* Not a word of what never was a message. */
	bool told = step != HS_NOT_HTTP1 || m->head_bytes || m->flags & HS_FOLLOWED;

	if (step == HS_NOT_HTTP1 || step == HS_TUNNEL) {
		scan->connection->protocol = HS_PROTOCOL_OPAQUE;
		w->rest = w->length - w->position + w->left;
		if (!told)
			w->rest += m->bytes;
	}
	if (told)
		hand_up(scan, step == HS_NOT_HTTP1 ? HS_UNPARSED | HS_OVER : HS_OVER);
	m->state = HS_BETWEEN;
	m->bytes = 0;
	return scan->connection->protocol == HS_PROTOCOL_OPAQUE;
}

/* One buffer of the operation after the other. */
static long next_buffer(__u32 index, struct hs_scan *scan)
{
	struct hs_message *m = scan->message;
	struct hs_window *w = scan->window;
	struct user_iovec buffer;

	if (!w->left || !nth_buffer(scan->buffers, index, &buffer))
		return 1;
	w->base = buffer.base;
	w->length = buffer.len < w->left ? buffer.len : w->left;
	w->left -= w->length;
	w->position = w->start = w->filled = 0;
	w->head_start = w->head_end = 0;
	bpf_loop(HS_MAX_STEPS, http1_step, scan, 0);
	if (scan->connection->protocol >= HS_PROTOCOL_HTTP2)
		return 1;
	if (w->position < w->length) { /* more than anybody sends in good faith */
		w->rest = w->length - w->position + w->left;
		scan->connection->protocol = HS_PROTOCOL_OPAQUE;
		return 1;
	}
	if (in_head(m->state))
		w->head_end = w->length;
	if (m->number)
		hand_up(scan, 0);
	return 0;
}

static __always_inline __u64 relayed_bytes(const struct hs_side_record *record, bool requests)
{
	return requests == (record->role == HS_DOWNSTREAM) ? record->total_read : record->total_written;
}

/*
 * What a relay writes is what it has read: where all of it has gone out, this direction stands where the other side's
 * does, and nothing need be looked at. False where that is not so, or where more than one message took part.
 */
static __always_inline bool follow_peer(struct hs_scan *scan, bool requests, __u64 bytes)
{
	struct hs_connection *connection = scan->connection;
	struct hs_message *m = scan->message;
	struct hs_connection *peer = connection_at(connection->peer_place);

	if (!connection->record.peer || !peer || peer->record.connection != connection->record.peer ||
	    peer->protocol != HS_PROTOCOL_HTTP1 ||
	    relayed_bytes(&peer->record, requests) != relayed_bytes(&connection->record, requests))
		return false;
	struct hs_message *read = requests ? &peer->requests : &peer->answers;
	bool begins = m->state == HS_BETWEEN;

	if (read->number - m->number != (begins ? 1 : 0) || connection->outstanding >= HS_MAX_OUTSTANDING ||
	    (read->state == HS_BETWEEN && read->bytes))
		return false;
	bool heads = begins || in_head(m->state);

	if (begins) {
		m->first_ns = scan->window->now_ns;
		m->arrived_ns = 0;
		m->operations = 1;
		m->head_bytes = 0;
		m->tid = (__u32)bpf_get_current_pid_tgid();
		m->first_turn = scan->window->turn;
	}
	m->number = read->number;
	m->bytes += bytes;
	m->body_bytes = read->body_bytes;
	m->remaining = read->remaining;
	m->tail = read->tail;
	m->status = read->status;
	m->match = read->match;
	m->flags = read->flags | HS_FOLLOWED;
	m->state = read->state;
	connection->protocol = HS_PROTOCOL_HTTP1;
	if (heads && !in_head(m->state)) {
		if (requests)
			request_begins(connection, m);
		else
			answer_begins(connection, m);
		m->state = read->state;
	}
	scan->window->head_start = scan->window->head_end = 0;
	if (m->state == HS_BETWEEN) {
		hand_up(scan, HS_OVER);
		m->bytes = 0;
	} else if (heads) {
		hand_up(scan, HS_RELAYED); /* it may never come to its end */
	}
	return true;
}

/* Verified by itself: a global function, whose arguments may be null for all that the verifier knows. */
__noinline int scan_messages(struct hs_connection *connection, struct hs_buffers *all, __u64 bytes)
{
	__u32 zero = 0;
	struct hs_window *w = bpf_map_lookup_elem(&window, &zero);

	if (!connection || !all || !w)
		return 0;
	struct hs_scan scan = { connection, w->requests ? &connection->requests : &connection->answers, w, all };

	if (w->written && follow_peer(&scan, w->requests, bytes))
		return 0;
	bpf_loop(HS_MAX_VECTORS, next_buffer, &scan, 0);
	return 0;
}

/*
 * Follows the messages of one direction through what was just read or written. Afterwards the connection's
 * protocol says whether it was HTTP/1; returns how many bytes at the end were not.
 */
static __always_inline __u64 follow_messages(struct hs_connection *connection, struct sock *sk,
					    struct hs_buffers *all, __u64 bytes, bool requests, __u64 now_ns,
					    __u64 arrived_ns)
{
	__u32 zero = 0;
	struct hs_window *w = bpf_map_lookup_elem(&window, &zero);
	struct hs_message *m = requests ? &connection->requests : &connection->answers;
	const struct tcp_sock *tp = tcp_of(sk);

	if (!w || !tp)
		return 0;
	w->now_ns = now_ns;
	w->arrived_ns = arrived_ns;
	w->turn = current_turn(connection);
	w->left = bytes;
	w->rest = 0;
	w->requests = requests;
	w->written = requests != (connection->record.role == HS_DOWNSTREAM);
	w->record.srtt_us = tp->srtt_us >> 3;
	w->record.retransmits = tp->total_retrans;
	w->record.out_of_order = tp->rcv_ooopack;
	if (m->state != HS_BETWEEN)
		m->operations++;
	scan_messages(connection, all, bytes);
	return w->rest;
}

#endif
