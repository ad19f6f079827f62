import { bucketsOf } from './buckets.ts';
import type { Input } from './input/source.ts';
import { modelOf, type ReportModel } from './model.ts';
import { createSurvey } from './survey.ts';
import { createTally } from './tally.ts';
import { createGatherer } from './waterfalls.ts';

/**
 * Reads the input twice: first to know the range, the quantiles and which hops to draw, then to tell what needs these.
 * Its memory is bounded, however long the input is.
 * @throws HopspanError when nothing of the input can be read
 */
export async function collect(input: Input, source: string): Promise<ReportModel> {
  const survey = createSurvey();
  const report = await input.read((spans) => survey.add(spans));
  const range = survey.range();
  const gatherer = createGatherer(survey.choices());
  const buckets = range && bucketsOf(range);
  const tally = buckets && createTally(buckets, survey.busiest());
  if (tally) {
    await input.read((spans) => {
      tally.add(spans);
      gatherer.add(spans);
    });
  }
  return modelOf({ source, input: report, survey, buckets, tally, gatherer });
}
