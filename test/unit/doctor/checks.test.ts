import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { examine } from '../../../src/doctor/examine.ts';
import type { Finding } from '../../../src/doctor/finding.ts';
import { TRACEPOINTS } from '../../../src/doctor/kernel.ts';
import type { Machine } from '../../../src/doctor/machine.ts';
import { HopspanError } from '../../../src/errors.ts';
import { preflight } from '../../../src/receiver/preflight.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';
import { BTF, type Files, fakeBtf, fakeMachine, status } from './fake-machine.ts';

const KEPT = { capability: 'CAP_SYS_PTRACE', reason: 'they are looked at' } as const;
const CAPABILITIES = { BPF: 1n << 39n, PERFMON: 1n << 38n, NET_ADMIN: 1n << 12n, SYS_ADMIN: 1n << 21n };
const WATCHING = CAPABILITIES.BPF | CAPABILITIES.PERFMON | CAPABILITIES.NET_ADMIN;

interface Case {
  readonly name: string;
  readonly item: string;
  readonly files?: Files;
  readonly links?: Readonly<Record<string, string>>;
  readonly rest?: Partial<Machine>;
  readonly found: RegExp;
  readonly remedy?: RegExp;
}

function findingsOf(
  t: TestContext,
  { files, links, rest }: Omit<Case, 'name' | 'item' | 'found'>,
): Finding[] {
  const root = temporaryFolder((remove) => t.after(remove));
  const machine = fakeMachine(root, files, links, rest);
  const receiver = {
    type: 'ebpf',
    name: 'ebpf',
    targets: [{ by: 'executable', executable: 'envoy' }],
  } as const;
  const sizes = {
    maxConnections: 64,
    ringBufferBytes: 65_536,
    maxHeadBytes: 8192,
    turns: 'auto' as const,
    queryStrings: false,
    headerDiff: false,
    hostEvents: true,
    idleTimeoutMs: 1,
    phaseFloorNs: 0,
    unsampled: 'drop' as const,
  };
  const trial = () => ({ acceptHook: true, freezeHooks: true, turns: undefined, needs: [KEPT] });
  return [...examine(machine, trial, [{ ...receiver, ...sizes }])];
}

function find(findings: readonly Finding[], item: string): Finding {
  const [finding, ...more] = findings.filter((each) => each.item === item);
  assert.ok(finding && more.length === 0, `one line for ${item}`);
  return finding;
}

test('a good machine has no failure and no warning', (t) => {
  const findings = findingsOf(t, {});
  assert.deepEqual(
    findings.filter(({ status: each }) => each !== 'ok'),
    [],
  );
  assert.equal(findings.length, 19);
  assert.match(
    find(findings, 'rights').found,
    /^root, with CAP_BPF, CAP_PERFMON: raw tracepoints are allowed$/,
  );
  assert.match(find(findings, 'target').found, /^envoy: none yet$/);
});

const FAILURES: readonly (Case & { readonly code: string })[] = [
  {
    name: 'an old kernel',
    code: 'KERNEL_TOO_OLD',
    item: 'kernel',
    files: { '/proc/sys/kernel/osrelease': '6.1.0-37-amd64\n', [BTF]: fakeBtf(['inet_sock_set_state']) },
    found: /^Linux 6\.1\.0-37-amd64 is too old$/,
    remedy: /6\.3 or later/,
  },
  {
    name: 'a kernel of the major version before',
    code: 'KERNEL_TOO_OLD',
    item: 'kernel',
    files: { '/proc/sys/kernel/osrelease': '5.15.0\n', [BTF]: undefined },
    found: /^Linux 5\.15\.0 is too old$/,
  },
  {
    name: 'a new kernel without one of the tracepoints',
    code: 'KERNEL_TOO_OLD',
    item: 'BTF',
    files: { [BTF]: fakeBtf(TRACEPOINTS.filter((name) => name !== 'sock_recv_length')) },
    found: /does not have the tracepoint sock_recv_length$/,
  },
  {
    name: 'no BTF',
    code: 'BTF_MISSING',
    item: 'BTF',
    files: { [BTF]: undefined },
    found: /^\/sys\/kernel\/btf\/vmlinux does not exist$/,
    remedy: /CONFIG_DEBUG_INFO_BTF=y/,
  },
  {
    name: 'foreign bytes as BTF',
    code: 'BTF_MISSING',
    item: 'BTF',
    files: { [BTF]: 'x'.repeat(100) },
    found: /is no BTF/,
  },
  {
    name: 'BTF that was cut off',
    code: 'BTF_MISSING',
    item: 'BTF',
    files: { [BTF]: fakeBtf().subarray(0, 60) },
    found: /is no BTF/,
  },
  {
    name: 'lockdown for confidentiality',
    code: 'KERNEL_LOCKDOWN',
    item: 'lockdown',
    files: { '/sys/kernel/security/lockdown': 'none integrity [confidentiality]\n' },
    found: /is at "confidentiality"$/,
    remedy: /lockdown=integrity/,
  },
  {
    name: 'no libbpf',
    code: 'LIBBPF_MISSING',
    item: 'libbpf',
    rest: { libbpfVersion: () => undefined },
    found: /^libbpf\.so\.1 .* cannot be loaded$/,
    remedy: /apt-get install libbpf1.*dnf install libbpf.*apk add libbpf/,
  },
  {
    name: 'probes that were not built',
    code: 'BPF_LOAD_FAILED',
    item: 'BPF object',
    rest: { objectPath: '/nowhere/hopspan.bpf.o' },
    found: /^\/nowhere\/hopspan\.bpf\.o does not exist$/,
    remedy: /make build/,
  },
  {
    name: 'probes in a place that is no folder',
    code: 'BPF_LOAD_FAILED',
    item: 'BPF object',
    rest: { objectPath: '/dev/null/hopspan.bpf.o' },
    found: /^\/dev\/null\/hopspan\.bpf\.o cannot be read \(ENOTDIR\)$/,
  },
  {
    name: 'a user without rights',
    code: 'NOT_PRIVILEGED',
    item: 'rights',
    files: { '/proc/self/status': status(1000, 0n) },
    found: /^user 1000 lacks CAP_BPF and CAP_PERFMON$/,
    remedy: /sudo/,
  },
  {
    name: 'a container with one right too few',
    code: 'NOT_PRIVILEGED',
    item: 'rights',
    files: { '/proc/self/status': status(0, CAPABILITIES.BPF | CAPABILITIES.NET_ADMIN) },
    found: /^root lacks CAP_PERFMON$/,
    remedy: /--cap-add PERFMON$/,
  },
  {
    name: 'the root of a user namespace',
    code: 'NOT_PRIVILEGED',
    item: 'rights',
    links: { '/proc/self/ns/user': 'user:[4026532999]' },
    found: /user namespace/,
  },
];

describe('failures', () => {
  for (const each of FAILURES) {
    test(each.name, (t) => {
      const findings = findingsOf(t, each);
      const finding = find(findings, each.item);
      assert.ok(finding.status === 'fail');
      assert.equal(finding.code, each.code);
      assert.match(finding.found, each.found);
      assert.match(finding.remedy, each.remedy ?? /\S/);
      const probes = find(findings, 'probes');
      assert.equal(probes.status, 'fail');
      assert.match(probes.found, /not tried/);
    });

    test(`${each.name}: the preflight says it in one sentence and exits with 3`, (t) => {
      const root = temporaryFolder((remove) => t.after(remove));
      const machine = fakeMachine(root, each.files, each.links, each.rest);
      assert.throws(
        () => preflight(machine),
        (error) => {
          assert.ok(error instanceof HopspanError);
          assert.equal(error.code, each.code);
          assert.equal(error.exitCode, 3);
          assert.doesNotMatch(error.message, /\n/);
          return true;
        },
      );
    });
  }
});

const WARNINGS: readonly Case[] = [
  {
    name: 'an older kernel to which the distribution brought the tracepoints',
    item: 'kernel',
    files: { '/proc/sys/kernel/osrelease': '5.14.0-570.el9\n' },
    found: /older than 6\.3, but has the tracepoints/,
  },
  { name: 'aarch64', item: 'architecture', rest: { arch: 'arm64' }, found: /^aarch64$/ },
  { name: 'another architecture', item: 'architecture', rest: { arch: 's390x' }, found: /^s390x$/ },
  {
    name: 'rights, but not that to hook accepts',
    item: 'accept hook',
    files: { '/proc/self/status': status(999, CAPABILITIES.BPF | CAPABILITIES.PERFMON) },
    found: /^without CAP_NET_ADMIN .* accept waits count as read waits$/,
    remedy: /add CAP_NET_ADMIN/,
  },
  {
    name: 'rights, but not those that an older kernel asks for uprobes',
    item: 'turns',
    files: {
      '/proc/self/status': status(999, WATCHING),
      '/proc/sys/kernel/osrelease': '6.8.0-60-generic\n',
    },
    found: /^without CAP_SYS_ADMIN .*: what ends TLS stays unpaired$/,
    remedy: /add CAP_SYS_ADMIN/,
  },
  {
    name: 'rights, but not that to look at others',
    item: 'other users',
    files: { '/proc/self/status': status(999, WATCHING) },
    found: /without CAP_SYS_PTRACE/,
  },
  {
    name: "process ids that are not the host's",
    item: 'pid namespace',
    links: { '/proc/self/ns/pid': 'pid:[4026532001]' },
    found: /not the host's/,
    remedy: /pid: host/,
  },
  {
    name: 'no cgroup v2',
    item: 'cgroup v2',
    files: {
      '/proc/self/mounts': 'cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ntracefs /t tracefs rw 0 0\n',
    },
    found: /^not mounted: .* accept waits count as read waits$/,
    remedy: /mount -t cgroup2/,
  },
  {
    name: 'a part of the hierarchy, as a container has it',
    item: 'cgroup v2',
    files: { '/sys/fs/cgroup/cgroup.type': 'domain\n' },
    found: /container's part/,
    remedy: /--cgroupns=host/,
  },
  {
    name: 'no tracefs',
    item: 'tracefs',
    files: { '/proc/self/mounts': 'cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n' },
    found: /not mounted/,
    remedy: /mount -t tracefs/,
  },
  {
    name: 'interpreted BPF',
    item: 'BPF JIT',
    files: { '/proc/sys/net/core/bpf_jit_enable': '0\n' },
    found: /^off/,
    remedy: /sysctl/,
  },
];

describe('warnings do not stand in the way', () => {
  for (const each of WARNINGS) {
    test(each.name, (t) => {
      const findings = findingsOf(t, each);
      const finding = find(findings, each.item);
      assert.ok(finding.status === 'warn');
      assert.match(finding.found, each.found);
      assert.match(finding.remedy, each.remedy ?? /\S/);
      assert.deepEqual(
        findings.filter(({ status: other }) => other === 'fail'),
        [],
      );
    });
  }
});

test('CAP_SYS_ADMIN stands for the other rights, which a service may have without being root', (t) => {
  const admin = findingsOf(t, { files: { '/proc/self/status': status(1000, CAPABILITIES.SYS_ADMIN) } });
  assert.equal(find(admin, 'rights').status, 'ok');
  const service = findingsOf(t, { files: { '/proc/self/status': status(1000, WATCHING) } });
  assert.equal(find(service, 'rights').status, 'ok');
});

test('what is given up after attaching, and what stays, and why', (t) => {
  const root = find(findingsOf(t, {}), 'after attaching');
  assert.equal(
    root.found,
    "kept: CAP_SYS_PTRACE (they are looked at); all 40 others are given up; root's own files stay open to it: better a user of its own",
  );
  const service = findingsOf(t, { files: { '/proc/self/status': status(999, WATCHING) } });
  assert.equal(
    find(service, 'after attaching').found,
    'kept: CAP_SYS_PTRACE (they are looked at); CAP_NET_ADMIN, CAP_PERFMON and CAP_BPF given up',
  );
  const denied = findingsOf(t, { files: { '/proc/self/status': status(1000, 0n) } });
  assert.equal(denied.filter(({ item }) => item === 'after attaching').length, 0);
});

test('lockdown for integrity, or none in the kernel, is well', (t) => {
  const path = '/sys/kernel/security/lockdown';
  const integrity = findingsOf(t, { files: { [path]: 'none [integrity] confidentiality\n' } });
  assert.equal(find(integrity, 'lockdown').status, 'ok');
  assert.equal(find(findingsOf(t, { files: { [path]: undefined } }), 'lockdown').status, 'ok');
});

test('the tracepoints looked for are those that the probes hang on, but for those of host events', () => {
  const optional = ['cgroup_notify_frozen', 'signal_deliver', 'signal_generate'];
  const source = readFileSync(new URL('../../../bpf/hopspan.bpf.c', import.meta.url), 'utf8');
  const names = [...source.matchAll(/SEC\("tp_btf\/(\w+)"\)/g)].map(([, name]) => name);
  assert.deepEqual(names.toSorted(), [...TRACEPOINTS, ...optional].toSorted());
});
