import { HopspanError } from '../errors.ts';
import { attachFirst } from '../privileges/attach-first.ts';
import { takeHandover } from '../privileges/handover.ts';
import { createEbpfReceiver } from '../receiver/ebpf.ts';
import type { KernelRecord } from '../receiver/kernel-record.ts';
import { createRecordingWriter, type RecordingWriter } from '../recording/write.ts';
import { type ConfigurationOptions, readConfiguration } from './configuration.ts';
import { logLostRecords, logReady } from './run-log.ts';
import { untilSignalled } from './signals.ts';

/** `hopspan record`: writes kernel records to a file until it is told to end. @throws HopspanError */
export async function record(options: ConfigurationOptions & { readonly output: string }): Promise<void> {
  const handover = takeHandover();
  const { config, log, configText } = readConfiguration(options, handover);
  const [receiverConfig, ...others] = config.receivers;
  if (!receiverConfig || others.length > 0) {
    const names = config.receivers.map(({ name }) => name).join(', ');
    throw new HopspanError(
      'CONFIG_INVALID',
      `a recording holds the records of one receiver, and the pipelines use ${names || 'none'}; say what to watch with --executable, --path, --pid or --listen-port instead of --config.`,
    );
  }
  const outputs = [options.output];
  const probes = handover?.probes ?? attachFirst({ ...config, exporters: [] }, { log, configText, outputs });
  const signalled = untilSignalled();
  const early: KernelRecord[] = [];
  let writer: RecordingWriter | undefined;
  const receiver = createEbpfReceiver(
    receiverConfig,
    (each) => (writer ? writer.write(each) : early.push(each)),
    () => writer?.busy() ?? false,
    probes[receiverConfig.name],
  );
  try {
    /* Before the file, so that a start that fails does not empty an earlier recording. */
    receiver.start();
    const opened = await createRecordingWriter(options.output);
    for (const each of early.splice(0)) opened.write(each);
    writer = opened;
    logReady([receiver], log);
    await Promise.race([signalled, writer.failed]);
  } finally {
    await receiver.stop(config.shutdownTimeoutMs / 2);
    await writer?.close();
  }
  logLostRecords([receiver], log);
  const { records, dropped } = writer.stats();
  log.info({ file: options.output, records }, 'recorded');
  if (dropped > 0) log.warn({ dropped }, 'some records are missing in the recording: the disk was too slow');
}
