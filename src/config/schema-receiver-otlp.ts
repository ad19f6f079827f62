import { optional, optionalSection, section } from './fields.ts';
import { LISTEN_RULE } from './otlp-rules.ts';
import { integerRule } from './rules.ts';

const MIB = 1024 * 1024;
const MAX_MIB = 256;

/** The Collector's keys; a protocol is served where its key is there, with or without a value. */
export const OTLP_RECEIVER = section({
  protocols: section({
    grpc: optionalSection({
      endpoint: optional(
        LISTEN_RULE,
        { host: '127.0.0.1', port: 4317 },
        '127.0.0.1:4317',
        'Where to listen for OTLP/gRPC, in plain text. There where `grpc` is there, empty or not.',
      ),
      max_recv_msg_size_mib: optional(
        integerRule(1, MAX_MIB),
        4,
        '4',
        'The largest request in MiB, compressed or not; a larger one is refused.',
      ),
    }),
    http: optionalSection({
      endpoint: optional(
        LISTEN_RULE,
        { host: '127.0.0.1', port: 4318 },
        '127.0.0.1:4318',
        'Where to listen for OTLP/HTTP (`/v1/traces`, protobuf or JSON), in plain text. There where `http` is there.',
      ),
      max_request_body_size: optional(
        integerRule(1, MAX_MIB * MIB, 'bytes'),
        20 * MIB,
        String(20 * MIB),
        'The largest request, compressed or not; a larger one is refused.',
      ),
    }),
  }),
});
