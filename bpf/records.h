/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Layout shared with TypeScript. src/records.gen.ts is generated from the BTF of these types; a test
 * regenerates and compares. All times are CLOCK_MONOTONIC nanoseconds; 0 means "did not happen".
 */
#ifndef HOPSPAN_RECORDS_H
#define HOPSPAN_RECORDS_H

#define HS_COMM_LEN 16
#define HS_NAME_LEN 64
#define HS_NETWORK_TIMES 64

enum hs_kind {
	HS_KIND_SIDE = 1,    /* struct hs_side_record */
	HS_KIND_PROCESS = 2, /* struct hs_process_record */
	HS_KIND_MESSAGE = 3, /* struct hs_message_record */
	HS_KIND_FRAMES = 4,  /* struct hs_frames_record */
	HS_KIND_HELLO = 5,   /* struct hs_hello_record */
	HS_KIND_FREEZE = 6,  /* struct hs_freeze_record */
};

/* Which end of the proxy a connection is, as Envoy means the words. */
enum hs_role {
	HS_DOWNSTREAM = 1,
	HS_UPSTREAM = 2,
};

/* Evidence that set `peer`. */
enum hs_pairing {
	HS_PAIRING_NONE = 0,
	HS_PAIRING_BUFFER = 1,
};

enum hs_side_flags {
	HS_PREEXISTING = 1 << 0, /* first seen in mid-life: set-up unknown */
	HS_ENDED = 1 << 1,       /* last record of this connection: socket released, TCP finished */
	HS_EXCHANGE = 1 << 2,    /* the exchange part is filled */
	HS_SERVER_FIRST = 1 << 3, /* the exchange began with answer bytes */
	HS_PROXY_HEADER = 1 << 5, /* the connection began with a PROXY protocol header */
	HS_UNDELIVERED = 1 << 6, /* cut off by the peer or a timeout before its TCP had all that was written to it */
	HS_UNCHAINED = 1 << 7, /* upstream, answered: the other end is no watched downstream connection */
	HS_SNAPSHOT = 1 << 4,    /* copied by the receiver from the connection table; the exchange went quiet */
	HS_HTTP1 = 1 << 8,       /* exchanges come as message records; this one tells of the connection alone */
	HS_HTTP2 = 1 << 9,       /* exchanges come as frames records; this one tells of the connection alone */
	HS_TLS = 1 << 10,        /* the bytes are TLS records */
	HS_BROKEN = 1 << 11,     /* was HTTP/2, and broke its rules: what followed was counted, not understood */
};

/*
 * One side of one exchange, and the connection that carries it. Emitted when the exchange ends (the next
 * request begins, or the socket is released), so each record can be understood without any other.
 */
struct hs_side_record {
	__u32 kind;
	__u32 flags;
	__u64 connection; /* unique while the probes are loaded, from 1 */
	__u64 peer;       /* connection on the other side of the proxy, 0 while unpaired */
	/*
	 * Upstream: the one downstream connection on this thread that was accepted, had led to no other
	 * connection or only to one that failed, and was unpaired at connect(); 0 when there was none or a choice.
	 */
	__u64 candidate;
	__u64 chained;    /* downstream: the watched upstream connection at the other end of this one */
	/* set-up */
	__u64 syn_ns;         /* upstream: SYN sent */
	__u64 established_ns; /* handshake done */
	__u64 accepted_ns;    /* downstream: taken from the accept queue */
	/* exchange */
	__u64 arrived_ns; /* first byte that this exchange read was in the receive queue */
	__u64 first_read_ns;
	__u64 last_read_ns;
	__u64 first_write_ns;
	__u64 last_write_ns;
	__u64 bytes_read;
	__u64 bytes_written;
	__u64 total_read; /* since the connection was first seen, this exchange included */
	__u64 total_written;
	/* end */
	__u64 fin_received_ns;
	__u64 fin_sent_ns;
	__u64 closed_ns;   /* TCP_CLOSE reached */
	__u64 released_ns; /* socket destroyed: the proxy let go and TCP has finished */
	/* Positions in the thread's sequence of accepts, connects and closes (struct hs_thread). */
	__u64 open_op;
	__u64 close_op;
	__u32 tgid;
	__u32 tid; /* thread that accepted or connected */
	__u32 close_tid;
	__u32 exchange; /* from 1 */
	__u32 reads;
	__u32 writes;
	__u32 local_isn; /* initial sequence numbers; valid unless preexisting */
	__u32 remote_isn;
	__u32 srtt_us;
	__u32 retransmits;
	__u32 out_of_order;
	__u32 unacked_bytes;
	__u8 local_addr[16]; /* IPv4 in the first four bytes */
	__u8 remote_addr[16];
	__u16 local_port;
	__u16 remote_port;
	__u16 family; /* AF_INET or AF_INET6 */
	__u16 error;  /* sk_err at TCP_CLOSE, an errno */
	__u8 role;
	__u8 pairing;
	__u8 closed_from; /* TCP state left for TCP_CLOSE */
	__u8 reserved;
	__u32 unread_bytes; /* in the receive queue when the connection was cut off */
	/*
	 * Turns of the event loop of `op_tid` in which this exchange's operations were, from 1: 0 where they are not
	 * counted, or the connection is paired.
	 */
	__u32 first_read_turn;
	__u32 last_read_turn;
	__u32 first_write_turn;
	__u32 last_write_turn;
	__u32 op_tid; /* thread that did all of them; HS_MANY_THREADS where there were more */
	/* TLS that ends here: records of application data, and the bytes of their payload, tag and padding included */
	__u32 tls_records_read;
	__u32 tls_records_written;
	__u32 open_turn; /* upstream: turn of the thread `tid` in which it called connect() */
	__u64 tls_bytes_read;
	__u64 tls_bytes_written;
	char worker[HS_COMM_LEN]; /* thread name */
};

#define HS_MANY_THREADS 0xffffffff

enum hs_message_flags {
	HS_ANSWER_MESSAGE = 1 << 0,
	HS_WRITTEN = 1 << 1,        /* by the proxy; else read */
	HS_OVER = 1 << 2,           /* the message's last byte was in this operation */
	HS_HEAD_TRUNCATED = 1 << 3, /* the head is longer than hs_config.max_head_bytes */
	HS_UNPARSED = 1 << 4,       /* no HTTP after all, or none any more: sides follow from here on */
	HS_ALONE = 1 << 6,          /* upstream: the other end is no watched downstream connection */
	HS_UNTIL_END = 1 << 7,      /* the connection's end is the message's (RFC 9112, section 6.3) */
	HS_RESET = 1 << 8,          /* HTTP/2: its sender reset the stream; set by the receiver */
	HS_UNCOUNTED = 1 << 9,      /* HTTP/2: gRPC messages could not be counted, or there were none; set by the receiver */
	HS_UNWANTED = 1 << 10,      /* HTTP/2: answered before it was whole, and its rest refused; set by the receiver */
	HS_RELAYED = 1 << 5,        /* byte for byte what the other side read: the head stands there */
};

/*
 * A part of one HTTP/1 message, from one read or write: head bytes, the end, or both. What follows the struct are
 * `head_bytes` bytes of the head; the body stays where it is.
 */
struct hs_message_record {
	__u32 kind;
	__u32 flags;
	__u64 connection;
	__u64 peer;
	__u64 arrived_ns; /* read: the message's first byte was in the receive queue */
	__u64 first_ns;   /* first read or write of the message */
	__u64 last_ns;    /* this one */
	__u64 bytes;      /* of the message up to here */
	__u64 body_bytes; /* of these, without head, chunk framing and trailers */
	__u32 number;     /* in this direction, from 1 */
	__u32 operations; /* reads or writes that took part */
	__u32 srtt_us;
	__u32 retransmits;
	__u32 out_of_order;
	__u32 status_code; /* answer: 0 until it is known */
	__u32 head_bytes;
	__u32 tid; /* thread that did the message's first operation */
	__u32 first_turn; /* of the thread's event loop, as in struct hs_side_record */
	__u32 last_turn;
};

enum hs_frame_marks {
	HS_FRAME_BEGINS = 1 << 0,    /* its header was complete in this operation */
	HS_FRAME_ENDS = 1 << 1,      /* its last byte was in this operation */
	HS_FRAME_TRUNCATED = 1 << 2, /* some of a header block was not kept: hs_config.max_head_bytes */
	HS_FRAME_UNCOUNTED = 1 << 3, /* DATA that is not, or not known to be, a row of gRPC messages */
};

/*
 * A part of one HTTP/2 frame (RFC 9113, section 4.1), from one read or write: where it begins or ends, or bytes of it
 * that are kept. HEADERS, PUSH_PROMISE and CONTINUATION keep their payload, padding and all; RST_STREAM and GOAWAY
 * keep 8 bytes at most; other frames keep none. What follows the struct are `kept` bytes. Only DATA and those named
 * are told of. gRPC's messages (grpc/grpc, doc/PROTOCOL-HTTP2.md) are counted in all DATA that could be some: whether
 * the stream is a call, its header fields say.
 */
struct hs_frame {
	__u32 length; /* of the whole payload */
	__u32 stream;
	__u16 kept;
	__u8 type;
	__u8 flags;
	__u8 marks;
	__u8 padding;   /* DATA that is padded: its length, as soon as it is known */
	__u16 messages; /* DATA: gRPC messages whose last byte is in this part */
};

enum hs_frames_flags {
	HS_FRAMES_ANSWER = 1 << 0,  /* from the server to the client */
	HS_FRAMES_WRITTEN = 1 << 1, /* by the proxy; else read */
	HS_FRAMES_BROKEN = 1 << 2,  /* no HTTP/2 after all, or none any more: sides follow from here on */
	HS_FRAMES_ALONE = 1 << 3,   /* upstream: the other end is no watched downstream connection */
	HS_FRAMES_JOINED = 1 << 4,  /* the first of a direction whose beginning was not seen */
};

/* HTTP/2 frames of one read or write, or of a part of it. What follows the struct are `frames_bytes` bytes of struct
 * hs_frame and what each keeps, without gaps. */
struct hs_frames_record {
	__u32 kind;
	__u32 flags;
	__u64 connection;
	__u64 peer;
	__u64 arrived_ns; /* read: the operation's first byte was in the receive queue */
	__u64 time_ns;    /* of the read or write */
	__u64 position;   /* payload bytes that this direction has carried, with this operation */
	__u32 number;     /* of this record in its direction, from 1: a gap is a loss */
	__u32 operation;  /* in this direction, from 1; parts of one operation have the same */
	__u32 tid;
	__u32 srtt_us;
	__u32 retransmits;
	__u32 out_of_order;
	__u32 frames_bytes;
	__u32 remaining;  /* after the operation, of the payload of the last frame that is told of */
};

enum hs_hello_flags {
	HS_HELLO_ANSWER = 1 << 0, /* the server's */
	HS_HELLO_OVER = 1 << 1,   /* its record's last byte was in this operation */
};

/* A part of the first TLS record of one direction, a ClientHello or ServerHello. `hello_bytes` bytes follow the struct. */
struct hs_hello_record {
	__u32 kind;
	__u32 flags;
	__u64 connection;
	__u32 hello_bytes;
	__u32 tgid;
};

enum hs_process_event {
	HS_PROCESS_EXEC = 1,
	HS_PROCESS_FORK = 2,
	HS_PROCESS_EXIT = 3,
	HS_PROCESS_LISTEN = 4, /* became a target by listening on, or accepting at, a target's port */
};

struct hs_process_record {
	__u32 kind;
	__u32 event;
	__u64 time_ns;
	__u32 tgid;
	__u32 parent_tgid; /* fork */
	__u32 target;      /* index in the configuration */
	__u16 signal;      /* exit: by which it was killed, 0 for none */
	__u16 oom;         /* exit: 1 where the kernel killed it for want of memory */
	char name[HS_NAME_LEN]; /* exec: basename of the file */
};

enum hs_freeze_how {
	HS_FREEZE_SIGNAL = 1,  /* SIGSTOP and its kin */
	HS_FREEZE_CGROUP = 2,  /* the freezer of cgroup v2 */
	HS_FREEZE_SUSPEND = 3, /* the whole host; from the receiver */
};

/* A time in which a watched process did not run, sent when it is over. */
struct hs_freeze_record {
	__u32 kind;
	__u32 how;
	__u64 from_ns;
	__u64 to_ns;
	/* Where the host was suspended, which CLOCK_MONOTONIC does not count, the time is longer than from one to the other. */
	__u64 lasted_ns;
	__u32 tgid; /* 0: every process */
	__u32 signal;
};

/* Loss and surprise, counted where they happen; all must stay zero in a healthy run. */
struct hs_counters {
	__u64 ring_full;         /* records that did not fit in the ring */
	__u64 table_full;        /* connections without a place in the table */
	__u64 storage_failed;    /* socket storage could not be allocated */
	__u64 targets_full;      /* processes that did not fit in the target map */
	__u64 pair_conflicts;    /* buffer evidence that named an already paired connection */
	__u64 sample_mismatches; /* same address, other bytes: a reused buffer, not believed */
	__u64 freezes_full;      /* freezes of processes that are not told */
};

/* Set before load, read-only after. */
struct hs_config {
	__u32 max_connections;
	__u32 max_head_bytes; /* of a message's head that are handed up; 0: no payload is looked at */
};

/* The writable global data, mapped by the receiver. */
struct hs_shared {
	struct hs_counters counters;
	__u64 connection_ids; /* last one given */
	__u32 places_used;    /* places handed out at least once */
	__u32 turns_counted;  /* set by the receiver while on_turn is attached to some process */
	/*
	 * One bit per local port on which some target listens, so that a connection can be tracked from its
	 * handshake, before any process has accepted it. A port of the same number in another network
	 * namespace costs a place in the table until its acceptor is known. Receiver and listen set bits;
	 * none is cleared.
	 */
	__u64 listen_ports[1024];
	/*
	 * One bit per local port behind which a proxy turned out to speak HTTP itself: what it sends upstream are
	 * messages of its own, though it may take bodies from where they were received. The probes set bits.
	 */
	__u64 http_ports[1024];
	__u64 network_cookie; /* of the receiver's rtnetlink socket, which sets it; 0 for none */
	__u64 network_told;   /* datagrams that were put into its queue */
	__u64 network_times[HS_NETWORK_TIMES]; /* when the last ones were */
};

_Static_assert(sizeof(struct hs_side_record) == 344, "layout shared with TypeScript");
_Static_assert(sizeof(struct hs_message_record) == 104, "layout shared with TypeScript");
_Static_assert(sizeof(struct hs_frames_record) == 80, "layout shared with TypeScript");
_Static_assert(sizeof(struct hs_frame) == 16, "layout shared with TypeScript");
_Static_assert(sizeof(struct hs_hello_record) == 24, "layout shared with TypeScript");
_Static_assert(sizeof(struct hs_process_record) == 96, "layout shared with TypeScript");
_Static_assert(sizeof(struct hs_freeze_record) == 40, "layout shared with TypeScript");

#endif
