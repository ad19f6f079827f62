import { createHash } from 'node:crypto';
import type { HostRecord, ProxyRecord } from '../receiver/kernel-record.ts';
import { VERSION } from '../version.ts';
import type { Attributes, HopResource } from './hop-span.ts';

/** The resource of a watched process; `extra` comes from OTEL_RESOURCE_ATTRIBUTES and yields to what was observed. */
export function resourceOf(
  proxy: ProxyRecord | undefined,
  host: HostRecord | undefined,
  extra: Attributes,
): HopResource {
  return {
    attributes: {
      ...extra,
      'service.name': proxy?.serviceName ?? 'unknown_service',
      ...(proxy && host ? { 'service.instance.id': instanceId(proxy, host) } : {}),
      ...(proxy
        ? {
            'process.pid': proxy.tgid,
            'process.executable.name': proxy.executableName,
            ...(proxy.executablePath ? { 'process.executable.path': proxy.executablePath } : {}),
          }
        : {}),
      ...(proxy?.containerId ? { 'container.id': proxy.containerId } : {}),
      ...(proxy?.podUid ? { 'k8s.pod.uid': proxy.podUid } : {}),
      ...(proxy?.podName ? { 'k8s.pod.name': proxy.podName } : {}),
      ...(proxy?.podNamespace ? { 'k8s.namespace.name': proxy.podNamespace } : {}),
      ...(host ? { 'host.name': host.hostName } : {}),
      ...(host?.hostId ? { 'host.id': host.hostId } : {}),
      'telemetry.distro.name': 'hopspan',
      'telemetry.distro.version': VERSION,
    },
  };
}

/** A UUID-shaped name, the same for a process as long as it is watched. */
function instanceId(proxy: ProxyRecord, host: HostRecord): string {
  const hash = createHash('sha256').update(`${host.seed}:${proxy.tgid}`).digest('hex');
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}
