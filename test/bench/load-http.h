// SPDX-License-Identifier: Apache-2.0
/* HTTP/1.1 and gRPC for load.c: fixed messages, and just enough reading to find where one ends. */

#define END_OF_HEAD 0x0d0a0d0a /* CR LF CR LF */
#define FLAG_END_STREAM 1
#define FLAG_END_HEADERS 4

enum { DATA = 0, HEADERS = 1, SETTINGS = 4, PING = 6, WINDOW_UPDATE = 8 };

/* A call, or its answer, as it is on the wire but for the streams' numbers. */
static struct {
	uint8_t bytes[MAX_BYTES];
	uint32_t length;
	uint32_t streams[4]; /* where the numbers stand */
	uint32_t frames;
} call_bytes;

static void write_request(char *to, uint32_t bytes)
{
	uint32_t n = (uint32_t)sprintf(to, "GET /some/path HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: load\r\nX-Filler: ");

	while (n + 4 < bytes)
		to[n++] = 'x';
	memcpy(to + n, "\r\n\r\n", 4);
	if (n + 4 > bytes)
		fail("too small a request");
}

static uint32_t write_answer(char *to, uint32_t body)
{
	uint32_t n = (uint32_t)sprintf(to, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %u\r\n\r\n", body);

	memset(to + n, 'x', body);
	return n + body;
}

/* One message is under way at a time; its body has so many bytes. */
static bool take_http1(struct peer *peer, const char *bytes, uint32_t count, uint32_t body)
{
	for (uint32_t i = 0; i < count; i++) {
		if (peer->got == 0) {
			peer->tail = (peer->tail << 8) | (uint8_t)bytes[i];
			if (peer->tail != END_OF_HEAD)
				continue;
			peer->got = 1;
		} else {
			uint32_t rest = count - i, left = body + 1 - peer->got;
			uint32_t n = rest < left ? rest : left;

			peer->got += n;
			i += n - 1;
		}
		if (peer->got == body + 1) {
			peer->got = 0;
			peer->tail = 0;
			return true;
		}
	}
	return false;
}

static void add_frame(uint8_t type, uint8_t flags, const void *payload_bytes, uint32_t length)
{
	uint8_t header[9] = { (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length, type, flags };

	memcpy(call_bytes.bytes + call_bytes.length, header, 9);
	call_bytes.streams[call_bytes.frames++] = call_bytes.length + 5;
	memcpy(call_bytes.bytes + call_bytes.length + 9, payload_bytes, length);
	call_bytes.length += 9 + length;
}

static void add_message(uint32_t bytes, uint8_t flags)
{
	static uint8_t message[MAX_BYTES];

	bytes = bytes > 16000 ? 16000 : bytes;
	message[3] = (uint8_t)(bytes >> 8);
	message[4] = (uint8_t)bytes;
	memset(message + 5, 'x', bytes);
	add_frame(DATA, flags, message, 5 + bytes);
}

static void write_call(uint32_t bytes)
{
	static const char block[] = "\x83\x86\x04\x13/bench.Service/Call\x01\x05" "bench\x0f\x10\x10" "application/grpc"
				    "\x00\x02te\x08trailers";

	add_frame(HEADERS, FLAG_END_HEADERS, block, sizeof(block) - 1);
	add_message(bytes, FLAG_END_STREAM);
}

static void write_call_answer(uint32_t bytes)
{
	static const char head[] = "\x88\x0f\x10\x10" "application/grpc";
	static const char trailers[] = "\x00\x0bgrpc-status\x01" "0";

	add_frame(HEADERS, FLAG_END_HEADERS, head, sizeof(head) - 1);
	add_message(bytes, 0);
	add_frame(HEADERS, FLAG_END_HEADERS | FLAG_END_STREAM, trailers, sizeof(trailers) - 1);
}

static void put(const struct peer *peer, const void *bytes, uint32_t length)
{
	if (send(peer->fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
		fail("send");
}

static void put_call(const struct peer *peer, uint32_t stream)
{
	uint32_t number = htonl(stream);

	for (uint32_t i = 0; i < call_bytes.frames; i++)
		memcpy(call_bytes.bytes + call_bytes.streams[i], &number, 4);
	put(peer, call_bytes.bytes, call_bytes.length);
}

/* The client's next call. */
static void call(struct peer *peer)
{
	put_call(peer, peer->stream);
	peer->stream += 2;
}

static void begin_http2(struct peer *peer, bool client)
{
	static const uint8_t begin[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
				       "\0\0\x06\x04\0\0\0\0\0" "\0\x03\0\x01\0\0" /* streams at a time */
				       "\0\0\x04\x08\0\0\0\0\0" "\x7f\xff\0\0";	  /* as much DATA as there is */

	peer->stream = client ? 1 : 0;
	peer->skip = client ? 0 : 24;
	put(peer, begin + (client ? 0 : 24), sizeof(begin) - 1 - (client ? 0 : 24));
}

/* True when a stream has ended; the backend, which begins none, answers it. */
static bool take_frames(struct peer *peer, const char *bytes, uint32_t count)
{
	bool ended = false;

	for (uint32_t i = 0; i < count;) {
		uint32_t n = peer->skip < count - i ? peer->skip : count - i;

		peer->skip -= n;
		i += n;
		if (i == count)
			break;
		peer->header[peer->got++] = (uint8_t)bytes[i++];
		if (peer->got < 9)
			continue;
		const uint8_t *h = peer->header;
		uint32_t stream;

		memcpy(&stream, h + 5, 4);
		peer->got = 0;
		peer->skip = (uint32_t)h[0] << 16 | (uint32_t)h[1] << 8 | h[2];
		if (h[3] == SETTINGS && !(h[4] & 1))
			put(peer, "\0\0\0\x04\x01\0\0\0\0", 9);
		if ((h[3] != DATA && h[3] != HEADERS) || !(h[4] & FLAG_END_STREAM))
			continue;
		ended = true;
		if (!peer->stream)
			put_call(peer, ntohl(stream));
	}
	return ended;
}
