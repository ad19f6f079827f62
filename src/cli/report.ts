import { basename } from 'node:path';
import { createPropagator } from '../pipeline/propagator.ts';
import { collect } from '../report/collect.ts';
import { lossesOf } from '../report/findings.ts';
import { openInput } from '../report/input/source.ts';
import { createCharts } from '../report/page/charts.ts';
import { pageOf } from '../report/page/page.ts';
import { openReportFile } from '../report/report-file.ts';
import { createContextReader } from '../spans/context.ts';
import { readConfiguration } from './configuration.ts';

/** `hopspan report`: one page about a recording, or about spans. @throws HopspanError */
export async function report(path: string, options: { readonly html: string }): Promise<void> {
  const { config, log } = readConfiguration({});
  const input = await openInput(path, {
    phaseFloorNs: 0,
    unsampled: 'keep',
    resourceAttributes: config.resourceAttributes,
    readContext: createContextReader(createPropagator(config.propagators)),
  });
  const file = await openReportFile(options.html);
  const model = await collect(input, basename(path));
  await file.write(pageOf(model, await createCharts()));
  for (const { text } of lossesOf(model)) log.warn(text);
  const { hops, failed } = model.counts;
  log.info({ file: options.html, hops, failed, waterfalls: model.waterfalls.length }, 'written');
}
