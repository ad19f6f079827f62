import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse, yaml } from './harness.ts';

const PROCESSORS = `processors:
  batch:
  hop_parent:
  memory_limiter: { check_interval: 1s, limit_mib: 100 }
  probabilistic_sampler: { sampling_percentage: 10 }
  probabilistic_sampler/all: { sampling_percentage: 100 }
  redaction: { allowed_keys: [a] }
  redaction/values: { allow_all_keys: true, blocked_values: [secret] }
  attributes/add: { actions: [{ action: insert, key: a, value: b }] }
  attributes/delete: { actions: [{ action: delete, key: http.route }, { action: delete, key: network.local.port }] }
  tail_sampling: { policies: [{ name: all, type: always_sample }] }
  tail_sampling/route:
    policies:
      - { name: route, type: and, and: { and_sub_policy: [{ name: b, type: string_attribute, string_attribute: { key: http.route, values: [/] } }] } }
`;

/** Names in their order, and the warnings of it, without the place. */
const CASES: readonly (readonly [string, ...string[]])[] = [
  ['memory_limiter, hop_parent, attributes/add, redaction, tail_sampling, batch'],
  ['hop_parent, redaction/values, tail_sampling/route, memory_limiter'],
  ['redaction/values, hop_parent, batch'],
  ['attributes/add, hop_parent'],
  ['probabilistic_sampler/all, tail_sampling'],
  ['tail_sampling, probabilistic_sampler/all'],
  [
    'batch, hop_parent',
    'the order of "batch" and "hop_parent": hop_parent takes apart what batch put together; put batch last',
  ],
  [
    'probabilistic_sampler, tail_sampling',
    'the order of "probabilistic_sampler" and "tail_sampling": tail_sampling sees only what probabilistic_sampler left, so errors and slow traces are lost; leave one of them out',
  ],
  [
    'tail_sampling, probabilistic_sampler',
    'the order of "tail_sampling" and "probabilistic_sampler": probabilistic_sampler drops a part of what tail_sampling kept for a reason; put its percentage among the policies',
  ],
  [
    'redaction, attributes/add',
    'the order of "redaction" and "attributes/add": redaction does not look at what attributes/add adds behind it; put redaction behind attributes/add',
  ],
  [
    'redaction, hop_parent',
    'the order of "redaction" and "hop_parent": redaction removes network.local.address, by which hop_parent decides; put it behind',
  ],
  [
    'attributes/delete, hop_parent',
    'the order of "attributes/delete" and "hop_parent": attributes/delete removes network.local.port, by which hop_parent decides; put it behind',
  ],
  [
    'redaction, attributes/delete, tail_sampling/route',
    'the order of "redaction" and "tail_sampling/route": redaction removes http.route, by which tail_sampling/route decides; put it behind',
    'the order of "attributes/delete" and "tail_sampling/route": attributes/delete removes http.route, by which tail_sampling/route decides; put it behind',
  ],
];

for (const [names, ...expected] of CASES) {
  test(`${names}: ${expected.length === 0 ? 'nothing to say' : expected.length}`, () => {
    const service = `{pipelines: {traces: {receivers: [ebpf], processors: [${names}], exporters: [console]}}}`;
    const { warnings } = parse(yaml({ service, more: PROCESSORS }));
    const told = warnings.filter((line) => line.includes('the order of'));
    assert.deepEqual(
      told.map((line) => line.replace(/^f\.yaml:\d+:\d+: /, '')),
      expected,
    );
    for (const line of told) {
      const later = line.match(/ and "([^"]+)"/)?.[1] ?? '';
      const column = 'service: '.length + service.lastIndexOf(later) + 1;
      assert.ok(line.startsWith(`f.yaml:3:${column}: `), line);
    }
  });
}
