import { list, optional, required, section } from './fields.ts';
import { durationMsRule, integerRule, oneOfRule, textRule } from './rules.ts';
import { TAIL_SAMPLING } from './schema-tail-sampling.ts';

const HOP_PARENT = section({
  wait: optional(
    durationMsRule('0s', '1m'),
    2_000,
    '2s',
    "How long an application's SERVER span waits for the hops of its trace.",
  ),
  remember: optional(
    durationMsRule('0s', '10m'),
    30_000,
    '30s',
    "How long hops are remembered for applications' spans that come later. SDKs send every 5 s by default.",
  ),
  max_spans: optional(
    integerRule(1, 1_000_000, 'spans'),
    65_536,
    '65536',
    "The most spans that wait, and the most of hops' that are remembered; above it the oldest go.",
  ),
});

const FILTER = section({
  error_mode: optional(
    oneOfRule('ignore', 'silent', 'propagate'),
    'propagate',
    'propagate',
    'Taken for the sake of files of the Collector: conditions of this kind cannot fail.',
  ),
  traces: section({
    span: list(required(textRule('a condition'), ''), {
      accepts: 'a list of conditions',
      default: 'required',
      meaning: 'Spans for which one of these is true are dropped; see docs/processors.md.',
    }),
  }),
});

/** Hopspan's own first; the others have the Collector's names and keys. */
export const PROCESSORS = {
  hop_parent: HOP_PARENT,
  tail_sampling: TAIL_SAMPLING,
  filter: FILTER,
};
