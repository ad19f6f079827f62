import type { ExporterStats } from '../exporter/exporter.ts';
import { namesOf, ownCredentials } from '../privileges/capabilities.ts';
import type { EbpfReceiver } from '../receiver/ebpf.ts';
import type { OtlpReceiver } from '../receiver/otlp/otlp.ts';
import type { Logger } from '../telemetry/log.ts';

/** Targets that cannot be watched, where there are such. */
export function logUnreadable(receivers: readonly EbpfReceiver[], log: Logger): void {
  for (const receiver of receivers) {
    const unreadable = receiver.unreadable().map(({ executable, pid }) => `${executable.name}(${pid})`);
    if (unreadable.length > 0) {
      log.warn(
        { processes: unreadable.join(',') },
        'not watched, since this user may not see on which ports they listen; add CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH',
      );
    }
  }
}

/** One line for each receiver that is attached. */
export function logReady(receivers: readonly EbpfReceiver[], log: Logger): void {
  logUnreadable(receivers, log);
  for (const receiver of receivers) {
    const targets = receiver.watched().map(({ executable, pid }) => `${executable.name}(${pid})`);
    const capabilities = namesOf(ownCredentials().permitted).join(',') || 'none';
    const fields = { hooks: receiver.hooks, targets: targets.join(',') || 'none yet', capabilities };
    if (receiver.missingEvents.length > 0)
      log.warn({ missing: receiver.missingEvents.join('; ') }, 'some host events will not be told');
    if (receiver.acceptHook) log.info(fields, 'ready');
    else log.warn({ ...fields, accept_hook: 'none, so accept waits count as read waits' }, 'ready');
  }
}

/** One line for each receiver of applications' spans. */
export function logListening(receivers: readonly OtlpReceiver[], log: Logger): void {
  for (const receiver of receivers)
    log.info({ receiver: receiver.name, ...receiver.addresses() }, 'listening');
}

/** Where hopspan itself can be asked. */
export function logPages(urls: readonly string[], log: Logger): void {
  if (urls.length > 0) log.info({ pages: urls.join(',') }, 'answering');
}

/** Losses are never silent: records that the kernel could not keep. */
export function logLostRecords(receivers: readonly EbpfReceiver[], log: Logger): void {
  for (const receiver of receivers) {
    const lost = Object.entries(receiver.counters()).filter(([, count]) => count > 0);
    if (lost.length > 0) log.warn(Object.fromEntries(lost), 'some records were lost or not believed');
  }
}

/** Losses are never silent: spans that no backend would have taken; those that were refused came again, or their sender says so. */
export function logRejectedSpans(receivers: readonly OtlpReceiver[], log: Logger): void {
  for (const { name, stats } of receivers) {
    const { accepted, refused, rejected } = stats;
    if (rejected > 0) log.warn({ receiver: name, rejected }, 'some spans had ids that cannot be');
    if (refused > 0) log.info({ receiver: name, accepted, refused }, 'senders were told to send again later');
  }
}

/** Losses are never silent: spans that the exporters could not send. */
export function logDroppedSpans(stats: readonly ExporterStats[], log: Logger): void {
  for (const { name, exported, dropped } of stats) {
    if (dropped > 0) log.warn({ exporter: name, exported, dropped }, 'some spans could not be exported');
  }
}
