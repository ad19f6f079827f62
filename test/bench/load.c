// SPDX-License-Identifier: Apache-2.0
/*
 * Load for the bench, cheap enough that the proxy between its two halves is the bottleneck.
 *
 *   load backend REQUEST_BYTES ANSWER_BYTES
 *     Listens on a free port of 127.0.0.1, prints it, and answers every REQUEST_BYTES with ANSWER_BYTES.
 *   load client PORT REQUEST_BYTES ANSWER_BYTES CONNECTIONS SECONDS RATE [MAX_REQUESTS]
 *     Keeps CONNECTIONS open, one request under way on each; RATE requests per second in all, fewer where the machine
 *     does not keep up, 0: as fast as they come back. Prints one line of JSON.
 *   load http1 backend|client ..., load grpc backend|client ...
 *     The same in HTTP/1.1: a GET with a head of REQUEST_BYTES, and a body of ANSWER_BYTES; and as unary calls of gRPC over
 *     HTTP/2, one at a time on each of the client's connections. A proxy may add to heads and share connections.
 *   load burn
 *     Does nothing, without a pause, so that others on its processor get less of it.
 *
 * Sizes up to 64 KiB. Ends with its parent. One thread each; pin them from outside.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_BYTES 65536
#define MAX_EVENTS 256
#define BUCKETS_PER_OCTAVE 32
#define BUCKETS (64 * BUCKETS_PER_OCTAVE)

struct peer {
	int fd;
	uint32_t got; /* bytes of the message, of HTTP's body or of the frame's header under way */
	uint64_t sent_ns;
	uint32_t tail; /* HTTP/1: last bytes of the head; 0 behind it */
	uint32_t skip; /* HTTP/2: bytes that are looked at no more */
	uint32_t stream;
	uint8_t header[9];
};

static enum { RAW, HTTP1, GRPC } protocol;

static char payload[MAX_BYTES], scratch[MAX_BYTES];
static uint64_t histogram[BUCKETS];

static void fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

#include "load-http.h"

/* Messages are small against the socket's buffer and one is under way at a time: a send is never partial. */
static void send_all(int fd, uint32_t bytes)
{
	if (send(fd, payload, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
		fail("send");
}

static void watch(int epoll, struct peer *peer)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = peer };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, peer->fd, &event) < 0)
		fail("epoll_ctl");
}

/* Reads once; true when the message is complete. A peer that has gone is closed: fd becomes -1. */
static bool receive(struct peer *peer, uint32_t bytes)
{
	ssize_t n = recv(peer->fd, scratch, protocol == RAW ? bytes - peer->got : MAX_BYTES, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		close(peer->fd);
		peer->fd = -1;
		return false;
	}
	if (protocol == HTTP1)
		return take_http1(peer, scratch, (uint32_t)n, bytes);
	if (protocol == GRPC)
		return take_frames(peer, scratch, (uint32_t)n);
	peer->got += (uint32_t)n;
	if (peer->got < bytes)
		return false;
	peer->got = 0;
	return true;
}

static void run_backend(uint32_t request, uint32_t answer)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	struct epoll_event events[MAX_EVENTS];
	struct peer listener = { .fd = socket(AF_INET, SOCK_STREAM, 0) };
	int epoll = epoll_create1(0);

	if (bind(listener.fd, (struct sockaddr *)&address, length) < 0 || listen(listener.fd, 4096) < 0)
		fail("listen");
	getsockname(listener.fd, (struct sockaddr *)&address, &length);
	printf("port %d\n", ntohs(address.sin_port));
	fflush(stdout);
	watch(epoll, &listener);
	for (;;) {
		int count = epoll_wait(epoll, events, MAX_EVENTS, -1);

		for (int i = 0; i < count; i++) {
			struct peer *peer = events[i].data.ptr;

			if (peer == &listener) {
				peer = calloc(1, sizeof(*peer));
				peer->fd = accept(listener.fd, NULL, NULL);
				if (peer->fd < 0)
					fail("accept");
				no_delay(peer->fd);
				watch(epoll, peer);
				if (protocol == GRPC)
					begin_http2(peer, false);
			} else if (receive(peer, protocol == HTTP1 ? 0 : request)) {
				if (protocol != GRPC) /* whose streams were answered one by one */
					send_all(peer->fd, answer);
			} else if (peer->fd < 0) {
				free(peer);
			}
		}
	}
}

static uint32_t bucket_of(uint64_t ns)
{
	uint32_t octave = 63 - (uint32_t)__builtin_clzll(ns | BUCKETS_PER_OCTAVE);

	return (octave - 5) * BUCKETS_PER_OCTAVE + (uint32_t)(ns >> (octave - 5)) % BUCKETS_PER_OCTAVE;
}

static double percentile_us(uint64_t total, double share)
{
	uint64_t seen = 0, wanted = (uint64_t)((double)total * share);

	for (uint32_t i = 0; i < BUCKETS; i++) {
		seen += histogram[i];
		if (seen > wanted) {
			uint32_t shift = i / BUCKETS_PER_OCTAVE;

			return (double)((uint64_t)(BUCKETS_PER_OCTAVE + i % BUCKETS_PER_OCTAVE) << shift) / 1000;
		}
	}
	return 0;
}

static struct peer *connect_all(int epoll, int port, uint32_t connections)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				       .sin_port = htons((uint16_t)port) };
	struct peer *peers = calloc(connections, sizeof(*peers));

	for (uint32_t i = 0; i < connections; i++) {
		peers[i].fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(peers[i].fd, (struct sockaddr *)&address, sizeof(address)) < 0)
			fail("connect");
		no_delay(peers[i].fd);
		if (protocol == GRPC)
			begin_http2(&peers[i], true);
		watch(epoll, &peers[i]);
	}
	return peers;
}

static void run_client(int port, uint32_t request, uint32_t answer, uint32_t connections, double seconds,
		       double rate, uint64_t limit)
{
	struct epoll_event events[MAX_EVENTS];
	int epoll = epoll_create1(0);
	struct peer *peers = connect_all(epoll, port, connections);
	struct peer **idle = calloc(connections, sizeof(*idle)); /* a ring, longest idle first */
	uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9), now = begin, sent = 0, done = 0;
	uint64_t origin = begin; /* of the schedule */
	uint32_t idle_first = 0, idle_count = connections;

	for (uint32_t i = 0; i < connections; i++)
		idle[i] = &peers[i];
	for (;;) {
		uint64_t due = rate > 0 ? (uint64_t)((double)(now - origin) / 1e9 * rate) + 1 : UINT64_MAX;

		if (rate > 0 && (double)due > (double)sent + rate) {
			/* A machine that did not keep up is left its lost time: no burst makes up for more than a second. */
			origin += (uint64_t)(((double)(due - sent) - rate) / rate * 1e9);
			due = sent + (uint64_t)rate;
		}

		if (limit && due > limit)
			due = limit;
		if (now >= end)
			due = 0;
		if (due <= sent && idle_count == connections && (now >= end || sent == limit))
			break;
		while (sent < due && idle_count > 0) {
			struct peer *peer = idle[idle_first];

			idle_first = (idle_first + 1) % connections;
			idle_count--;
			sent++;
			peer->sent_ns = now_ns();
			if (protocol == GRPC)
				call(peer);
			else
				send_all(peer->fd, request);
		}
		int count = epoll_wait(epoll, events, MAX_EVENTS, rate > 0 ? 1 : 1000);

		now = now_ns();
		if (now > end + 5000000000ull) {
			fprintf(stderr, "load: no answer for 5 s\n");
			exit(1);
		}
		for (int i = 0; i < count; i++) {
			struct peer *peer = events[i].data.ptr;
			bool complete = receive(peer, answer);

			if (peer->fd < 0) {
				fprintf(stderr, "load: the other side closed a connection\n");
				exit(1);
			}
			if (!complete)
				continue;
			histogram[bucket_of(now - peer->sent_ns)]++;
			done++;
			idle[(idle_first + idle_count) % connections] = peer;
			idle_count++;
		}
	}
	printf("{\"requests\":%llu,\"seconds\":%.6f,\"p50Us\":%.1f,\"p95Us\":%.1f,\"p99Us\":%.1f}\n",
	       (unsigned long long)done, (double)(now - begin) / 1e9, percentile_us(done, 0.5),
	       percentile_us(done, 0.95), percentile_us(done, 0.99));
}

static uint32_t size_of(const char *text)
{
	long bytes = atol(text);

	return bytes < 1 ? 1 : bytes > MAX_BYTES ? MAX_BYTES : (uint32_t)bytes;
}

int main(int argc, char **argv)
{
	struct rlimit files;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	memset(payload, 'x', sizeof(payload));
	if (argc == 2 && strcmp(argv[1], "burn") == 0)
		for (volatile uint64_t turns = 0;; turns++)
			;
	if (argc > 1 && (strcmp(argv[1], "http1") == 0 || strcmp(argv[1], "grpc") == 0)) {
		protocol = argv[1][0] == 'h' ? HTTP1 : GRPC;
		argc--;
		argv++;
	}
	if (argc == 4 && strcmp(argv[1], "backend") == 0) {
		uint32_t answer = size_of(argv[3]);

		if (protocol == HTTP1)
			answer = write_answer(payload, answer);
		if (protocol == GRPC)
			write_call_answer(answer);
		run_backend(size_of(argv[2]), answer);
	}
	if (argc >= 8 && strcmp(argv[1], "client") == 0) {
		if (protocol == HTTP1)
			write_request(payload, size_of(argv[3]));
		if (protocol == GRPC)
			write_call(size_of(argv[3]));
		run_client(atoi(argv[2]), size_of(argv[3]), size_of(argv[4]), (uint32_t)atoi(argv[5]), atof(argv[6]),
			   atof(argv[7]), argc > 8 ? strtoull(argv[8], NULL, 10) : 0);
		return 0;
	}
	fprintf(stderr, "load: see the comment at the top of load.c\n");
	return 2;
}
