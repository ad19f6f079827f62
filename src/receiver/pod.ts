import { readFileSync } from 'node:fs';

/** The Kubernetes pod of a process; each is empty where it is not known. */
export interface Pod {
  readonly podUid: string;
  readonly podName: string;
  readonly podNamespace: string;
}

const NO_POD: Pod = { podUid: '', podName: '', podNamespace: '' };

/** As the kubelet names cgroups, with `_` for `-` under systemd; static pods have a hash for a uid. */
const POD_UID = /kubepods[^\n]*?pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})\b/;
/** RFC 1123 subdomains, as Kubernetes names pods and namespaces. */
const NAME = /^[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/;

/**
 * By the process's cgroup, and by variables of its environment that say what its pod is called: `k8s.pod.name` and
 * `k8s.namespace.name` in OTEL_RESOURCE_ATTRIBUTES, else POD_NAME and POD_NAMESPACE. Nothing else of the environment is
 * looked at. A host name is no evidence: on the host's network it is the node's.
 */
export function podOf(pid: number, proc = '/proc'): Pod {
  const [, uid] = POD_UID.exec(read(`${proc}/${pid}/cgroup`)) ?? [];
  if (!uid) return NO_POD;
  const environment = read(`${proc}/${pid}/environ`).split('\0');
  const variable = (name: string): string =>
    environment.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
  const told = variable('OTEL_RESOURCE_ATTRIBUTES').split(',');
  const attribute = (name: string): string =>
    told
      .find((pair) => pair.trim().startsWith(`${name}=`))
      ?.trim()
      .slice(name.length + 1) ?? '';
  const named = (text: string): string => (NAME.test(text) ? text : '');
  return {
    podUid: uid.replaceAll('_', '-'),
    podName: named(attribute('k8s.pod.name') || variable('POD_NAME')),
    podNamespace: named(attribute('k8s.namespace.name') || variable('POD_NAMESPACE')),
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
