/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* HTTP/2 framing (RFC 9113): which frames are in the bytes that a proxy reads and writes. */
#ifndef HOPSPAN_HTTP2_H
#define HOPSPAN_HTTP2_H

#include "connection.h"

#define HS_MAX_FRAMES_BYTES 16384

/* Frames of the operation that is looked at, on their way into the ring. */
struct hs_frames {
	struct hs_frames_record record;
	__u8 frames[HS_MAX_FRAMES_BYTES]; /* follows the record in the ring */
	struct hs_frame frame;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hs_frames);
} frames SEC(".maps");

#endif
