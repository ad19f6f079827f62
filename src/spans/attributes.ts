/** Where an attribute stands. */
export type AttributeSpan = 'hop' | 'upstream' | 'resource' | 'phase' | 'application' | 'event';

export interface AttributeMeaning {
  readonly on: readonly AttributeSpan[];
  readonly type: 'string' | 'int' | 'double' | 'boolean' | 'string[]';
  readonly meaning: string;
}

/** Every attribute that hopspan sets: OpenTelemetry's names first, its own under `hopspan.`. docs/spans.md is generated from this table. */
export const ATTRIBUTES = {
  'network.transport': { on: ['hop', 'upstream'], type: 'string', meaning: '`tcp`' },
  'network.type': { on: ['hop', 'upstream'], type: 'string', meaning: '`ipv4` or `ipv6`' },
  'network.peer.address': {
    on: ['hop', 'upstream'],
    type: 'string',
    meaning:
      'The other end of the connection: the client on the hop, the upstream host on the upstream span.',
  },
  'network.peer.port': { on: ['hop', 'upstream'], type: 'int', meaning: 'Its port.' },
  'network.local.address': {
    on: ['hop', 'upstream'],
    type: 'string',
    meaning: "The proxy's end of the connection.",
  },
  'network.local.port': { on: ['hop', 'upstream'], type: 'int', meaning: 'Its port.' },
  'client.address': { on: ['hop'], type: 'string', meaning: 'The client, as the proxy sees it.' },
  'client.port': { on: ['hop'], type: 'int', meaning: "The client's port." },
  'server.address': {
    on: ['hop', 'upstream'],
    type: 'string',
    meaning: 'The proxy on the hop, the upstream host on the upstream span.',
  },
  'server.port': { on: ['hop', 'upstream'], type: 'int', meaning: 'The port that was connected to.' },
  'peer.service': {
    on: ['upstream'],
    type: 'string',
    meaning:
      'The upstream host as `address:port`, so that service graphs draw an upstream that sends no spans.',
  },
  'service.peer.name': {
    on: ['upstream'],
    type: 'string',
    meaning: 'The same under the name that succeeds `peer.service`.',
  },
  'network.protocol.name': { on: ['hop', 'upstream'], type: 'string', meaning: '`http`, where it is.' },
  'network.protocol.version': { on: ['hop', 'upstream'], type: 'string', meaning: '`1.0`, `1.1` or `2`' },
  'rpc.system.name': { on: ['hop', 'upstream'], type: 'string', meaning: '`grpc`' },
  'rpc.method': {
    on: ['hop', 'upstream'],
    type: 'string',
    meaning: 'Full name of the method, `package.Service/Method`; also the name of the span.',
  },
  'rpc.status_code': {
    on: ['hop', 'upstream'],
    type: 'string',
    meaning: 'The status in the trailers, such as `OK` or `DEADLINE_EXCEEDED`.',
  },
  'http.request.method': {
    on: ['hop', 'upstream'],
    type: 'string',
    meaning: 'The method, or `_OTHER` for one outside RFC 9110 and RFC 5789.',
  },
  'http.request.method_original': {
    on: ['hop', 'upstream'],
    type: 'string',
    meaning: 'That other method.',
  },
  'http.response.status_code': {
    on: ['hop', 'upstream'],
    type: 'int',
    meaning: 'Absent where no answer came: none is made up.',
  },
  'http.request.resend_count': {
    on: ['upstream'],
    type: 'int',
    meaning: 'The how manieth repetition of the request this is, where the proxy tried again.',
  },
  'url.path': { on: ['hop'], type: 'string', meaning: 'Without the query string.' },
  'url.query': {
    on: ['hop'],
    type: 'string',
    meaning: 'Only with `query_strings`; values of known signatures are `REDACTED`.',
  },
  'url.scheme': { on: ['hop'], type: 'string', meaning: '`http`, or `https` where TLS ends at the proxy.' },
  'url.full': {
    on: ['upstream'],
    type: 'string',
    meaning: 'Without the query string, unless `query_strings` is on.',
  },
  'user_agent.original': { on: ['hop', 'upstream'], type: 'string', meaning: 'The `User-Agent` header.' },
  'tls.protocol.name': { on: ['hop', 'upstream'], type: 'string', meaning: '`tls`, where it is.' },
  'tls.protocol.version': {
    on: ['hop', 'upstream'],
    type: 'string',
    meaning: 'The version that the server chose: `1.3`.',
  },
  'tls.cipher': {
    on: ['hop', 'upstream'],
    type: 'string',
    meaning: "The cipher suite that the server chose, by IANA's number: `0x1301`.",
  },
  'tls.client.server_name': {
    on: ['hop', 'upstream'],
    type: 'string',
    meaning: 'The host that the client asked for (SNI).',
  },
  'tls.next_protocol': {
    on: ['hop', 'upstream'],
    type: 'string',
    meaning: 'The protocol that the server chose (ALPN), where that is not encrypted: up to TLS 1.2.',
  },
  'hopspan.tls.handshake': {
    on: ['hop', 'upstream'],
    type: 'boolean',
    meaning: 'TLS ends at the proxy, and this is the handshake: nothing of the application was said yet.',
  },
  'error.type': {
    on: ['hop', 'upstream'],
    type: 'string',
    meaning: 'The outcome, where it is an error; else a status code that is one.',
  },
  'hopspan.outcome': {
    on: ['hop', 'upstream'],
    type: 'string',
    meaning: 'What became of the exchange; see outcomes.',
  },
  'hopspan.pairing': {
    on: ['hop', 'upstream'],
    type: 'string',
    meaning:
      'The evidence that the two sides belong together: `buffer`, `content`, `length`, `connect`, `order` or `none`.',
  },
  'hopspan.pairing.ambiguous': {
    on: ['hop', 'upstream'],
    type: 'boolean',
    meaning: 'True where the evidence left more than one candidate, so that none was taken.',
  },
  'hopspan.mirrored': {
    on: ['upstream'],
    type: 'boolean',
    meaning: 'True on a copy of the request that the proxy made; its answer went nowhere.',
  },
  'hopspan.unparsed': {
    on: ['hop', 'upstream'],
    type: 'boolean',
    meaning:
      'True where the connection began as HTTP and broke its rules, or went on as something else unannounced: its bytes are counted, not understood.',
  },
  'hopspan.connection.id': {
    on: ['hop', 'upstream'],
    type: 'string',
    meaning:
      'The TCP connection: client and server initial sequence numbers in hexadecimal. Both ends compute the same one, through address translation too. Absent for preexisting connections.',
  },
  'hopspan.connection.reused': {
    on: ['hop', 'upstream'],
    type: 'boolean',
    meaning: 'The connection had carried an earlier exchange.',
  },
  'hopspan.connection.preexisting': {
    on: ['hop', 'upstream'],
    type: 'boolean',
    meaning: 'The connection is older than hopspan: its set-up is unknown.',
  },
  'hopspan.exchange.number': {
    on: ['hop', 'upstream'],
    type: 'int',
    meaning: 'From 1 on each connection; 0 for a connection that ended before any byte.',
  },
  'hopspan.exchange.overlapping': {
    on: ['hop'],
    type: 'boolean',
    meaning:
      'Bytes went both ways at once (pipelining, full duplex): several exchanges without a border between them stand in one hop.',
  },
  'hopspan.exchange.server_first': {
    on: ['hop', 'upstream'],
    type: 'boolean',
    meaning:
      'The server spoke without a request: the greeting of SMTP or MySQL, or more of an answer after a long silence.',
  },
  'hopspan.bytes.received': {
    on: ['hop', 'upstream'],
    type: 'int',
    meaning: "Payload bytes that the proxy read from this side's connection in this exchange.",
  },
  'hopspan.bytes.sent': {
    on: ['hop', 'upstream'],
    type: 'int',
    meaning: "Payload bytes that the proxy wrote to this side's connection in this exchange.",
  },
  'hopspan.grpc.request.messages': {
    on: ['hop', 'upstream'],
    type: 'int',
    meaning: 'Whole gRPC messages of the request, as far as it went; absent where they could not be counted.',
  },
  'hopspan.grpc.response.messages': {
    on: ['hop', 'upstream'],
    type: 'int',
    meaning: 'The same of the answer.',
  },
  'hopspan.tcp.rtt': {
    on: ['hop', 'upstream'],
    type: 'double',
    meaning: "Smoothed round-trip time in seconds, as the kernel's TCP keeps it.",
  },
  'hopspan.tcp.retransmits': {
    on: ['hop', 'upstream'],
    type: 'int',
    meaning: 'Segments sent again on this connection so far.',
  },
  'hopspan.tcp.out_of_order': {
    on: ['hop', 'upstream'],
    type: 'int',
    meaning: 'Segments received out of order on this connection so far.',
  },
  'hopspan.worker': { on: ['hop', 'upstream'], type: 'string', meaning: "Name of the proxy's thread." },
  'hopspan.close.by': {
    on: ['hop'],
    type: 'string',
    meaning: '`client`, `proxy` or `upstream`: who ended first. On the exchange that carries the end.',
  },
  'hopspan.close.how': { on: ['hop'], type: 'string', meaning: '`fin`, `reset` or `timeout`.' },
  'hopspan.headers.added': {
    on: ['hop'],
    type: 'string[]',
    meaning:
      'With `header_diff`: names of headers in the request that the proxy sent, and not in the one that it got.',
  },
  'hopspan.headers.removed': {
    on: ['hop'],
    type: 'string[]',
    meaning:
      'With `header_diff`: names of headers in the request that the proxy got, and not in the one that it sent.',
  },
  'hopspan.headers.recased': {
    on: ['hop'],
    type: 'string[]',
    meaning:
      'With `header_diff`: names of headers of the request that the proxy spelled otherwise, as `x-id → X-Id`; with HTTP/1 on both sides.',
  },
  'hopspan.headers.rewritten': {
    on: ['hop'],
    type: 'string[]',
    meaning: 'With `header_diff`: names of headers of the request whose value the proxy changed.',
  },
  'hopspan.path.rewritten': {
    on: ['hop'],
    type: 'boolean',
    meaning:
      'With `header_diff`: true where the proxy asked the upstream for another path, or made an absolute URL of it, or the reverse.',
  },
  'hopspan.response.headers.added': {
    on: ['hop'],
    type: 'string[]',
    meaning:
      'With `header_diff`: names of headers in the answer that the proxy sent, and not in the one that it got.',
  },
  'hopspan.response.headers.removed': {
    on: ['hop'],
    type: 'string[]',
    meaning:
      'With `header_diff`: names of headers in the answer that the proxy got, and not in the one that it sent.',
  },
  'hopspan.response.headers.recased': {
    on: ['hop'],
    type: 'string[]',
    meaning:
      'With `header_diff`: names of headers of the answer that the proxy spelled otherwise, as `x-id → X-Id`; with HTTP/1 on both sides.',
  },
  'hopspan.response.headers.rewritten': {
    on: ['hop'],
    type: 'string[]',
    meaning: 'With `header_diff`: names of headers of the answer whose value the proxy changed.',
  },
  'hopspan.attempts': {
    on: ['hop'],
    type: 'int',
    meaning: 'Upstream connections or requests tried, where more than one was.',
  },
  'hopspan.accept_wait.duration': {
    on: ['hop'],
    type: 'double',
    meaning: 'Seconds from handshake to accept().',
  },
  'hopspan.read_wait.duration': { on: ['hop'], type: 'double', meaning: 'Seconds from readable to read.' },
  'hopspan.forward.duration': {
    on: ['hop'],
    type: 'double',
    meaning: 'Seconds from read to written upstream.',
  },
  'hopspan.request_transfer.duration': {
    on: ['hop'],
    type: 'double',
    meaning: 'Seconds from the first to the last request byte written upstream.',
  },
  'hopspan.connect.duration': {
    on: ['hop'],
    type: 'double',
    meaning: 'Seconds from SYN to established, upstream.',
  },
  'hopspan.upstream_wait.duration': {
    on: ['hop'],
    type: 'double',
    meaning: 'Seconds from the request written to the first answer byte in the kernel.',
  },
  'hopspan.answer_read_wait.duration': {
    on: ['hop'],
    type: 'double',
    meaning: 'Seconds from the first answer byte in the kernel to its read.',
  },
  'hopspan.answer_forward.duration': {
    on: ['hop'],
    type: 'double',
    meaning: 'Seconds from the answer read to its first byte written downstream.',
  },
  'hopspan.answer_transfer.duration': {
    on: ['hop'],
    type: 'double',
    meaning: 'Seconds from the first to the last answer byte written downstream.',
  },
  'hopspan.original_parent_span_id': {
    on: ['application'],
    type: 'string',
    meaning: 'The parent that the span came with, before `hop_parent` put it under a hop.',
  },
  'hopspan.first_message.duration': {
    on: ['hop', 'upstream'],
    type: 'double',
    meaning:
      'gRPC: seconds from the first byte of the request until the first message of the answer was there as a whole: written downstream on the hop, read on the upstream span.',
  },
  'hopspan.host.freeze.by': {
    on: ['event'],
    type: 'string',
    meaning:
      '`signal` (SIGSTOP and its kin), `cgroup` (the freezer of cgroup v2: `docker pause`, a live migration) or `suspend` (the whole host).',
  },
  'hopspan.host.duration': {
    on: ['event'],
    type: 'double',
    meaning:
      'Seconds that the freeze took, or the interface was down: all of it, before and after the span too. Absent while it lasts.',
  },
  'hopspan.host.signal': {
    on: ['event'],
    type: 'string',
    meaning: 'The signal that stopped or killed the process: `SIGSTOP`.',
  },
  'hopspan.host.out_of_memory': {
    on: ['event'],
    type: 'boolean',
    meaning: 'True where the kernel killed the process for want of memory.',
  },
  'network.interface.name': { on: ['event'], type: 'string', meaning: 'The interface: `eth0`.' },
  'hopspan.host.link.by': {
    on: ['event'],
    type: 'string',
    meaning:
      '`carrier` (the cable, the other end), `administrator` (`ip link set eth0 down`), or `removal` of the interface.',
  },
  'hopspan.host.mtu': { on: ['event'], type: 'int', meaning: 'The MTU from then on, in bytes.' },
  'hopspan.host.mtu.before': { on: ['event'], type: 'int', meaning: 'The MTU until then.' },
  'hopspan.host.address': {
    on: ['event'],
    type: 'string',
    meaning: 'The address and the length of its prefix: `10.0.0.5/24`.',
  },
  'hopspan.host.route': {
    on: ['event'],
    type: 'string',
    meaning: 'The destination: `10.0.0.0/8`, or `default`.',
  },
  'hopspan.host.gateway': { on: ['event'], type: 'string', meaning: 'The next hop, where there is one.' },
  'service.name': { on: ['resource'], type: 'string', meaning: "Configured, else the executable's name." },
  'service.instance.id': { on: ['resource'], type: 'string', meaning: 'One per watched process.' },
  'process.pid': { on: ['resource'], type: 'int', meaning: 'Process id, as hopspan sees it.' },
  'process.executable.name': { on: ['resource'], type: 'string', meaning: 'Basename of the executable.' },
  'process.executable.path': { on: ['resource'], type: 'string', meaning: 'Its path.' },
  'host.name': { on: ['resource'], type: 'string', meaning: 'Host name.' },
  'host.id': { on: ['resource'], type: 'string', meaning: 'The machine id.' },
  'container.id': {
    on: ['resource'],
    type: 'string',
    meaning: "The container, where the process's cgroup names one.",
  },
  'k8s.pod.uid': {
    on: ['resource'],
    type: 'string',
    meaning: "The Kubernetes pod, where the process's cgroup names one.",
  },
  'k8s.pod.name': {
    on: ['resource'],
    type: 'string',
    meaning: "Its name, where the process's environment tells it.",
  },
  'k8s.namespace.name': {
    on: ['resource'],
    type: 'string',
    meaning: "Its namespace, where the process's environment tells it.",
  },
  'telemetry.distro.name': { on: ['resource'], type: 'string', meaning: '`hopspan`' },
  'telemetry.distro.version': { on: ['resource'], type: 'string', meaning: "hopspan's version." },
} as const satisfies Record<string, AttributeMeaning>;

export type AttributeName = keyof typeof ATTRIBUTES;

export interface EventMeaning {
  readonly meaning: string;
  /** The spans that have it. */
  readonly on: 'hop' | 'both';
}

/** Every event that hopspan puts on spans; see HostEvents. docs/spans.md is generated from this table, too. */
export const EVENTS = {
  'hopspan.host.process_frozen': {
    on: 'hop',
    meaning: "The proxy's process was stopped, frozen with its cgroup, or suspended with the host.",
  },
  'hopspan.host.process_killed': { on: 'hop', meaning: "A signal ended the proxy's process." },
  'hopspan.host.link_down': {
    on: 'both',
    meaning: 'The interface of the connection lost its carrier, was switched off or removed.',
  },
  'hopspan.host.link_up': { on: 'both', meaning: 'It can be used again.' },
  'hopspan.host.mtu_changed': { on: 'both', meaning: 'Its MTU is another one.' },
  'hopspan.host.address_added': {
    on: 'both',
    meaning: "One of the connection's addresses was added to an interface of the host.",
  },
  'hopspan.host.address_removed': { on: 'both', meaning: 'It was removed from there.' },
  'hopspan.host.route_added': { on: 'both', meaning: 'A route to the other end was added.' },
  'hopspan.host.route_replaced': { on: 'both', meaning: 'It was changed.' },
  'hopspan.host.route_removed': { on: 'both', meaning: 'It was removed.' },
} as const satisfies Record<string, EventMeaning>;

export type EventName = keyof typeof EVENTS;
