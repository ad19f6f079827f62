/**
 * Records real proxies into test/fixtures: NAME.hsrec is what `hopspan record` wrote, NAME.json what client,
 * backend and access logs saw of the same run. Needs root, the built probes (dist/bpf) and the proxies.
 * Usage: make-fixtures.ts [NAME...]; all of them where none is named.
 */
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { RECEIVER_KIND } from '../src/receiver/kernel-record.ts';
import { readRecording } from '../src/recording/read.ts';
import { createRecordingWriter } from '../src/recording/write.ts';
import { type FixtureTruth, fixturePaths } from '../test/harness/fixtures.ts';
import { freePort } from '../test/harness/ports.ts';
import { type Child, startChild, stopLeftovers } from '../test/harness/process.ts';
import { type RunningProxy, startEnvoy, startHaproxy, startNginxStream } from '../test/harness/proxies.ts';
import { temporaryFolder } from '../test/harness/temporary-folder.ts';
import { type BackendOptions, type ClientOptions, runClient, startBackend } from '../test/harness/traffic.ts';

const MAIN = new URL('../src/cli/main.ts', import.meta.url).pathname;
const MAX_BYTES = 100_000;

interface Scenario {
  readonly proxy?: typeof startEnvoy | typeof startNginxStream | typeof startHaproxy;
  readonly client: Omit<ClientOptions, 'port'>;
  readonly backend?: BackendOptions;
  /** Two proxies, one behind the other. */
  readonly chain?: true;
  /** Nobody listens where the proxy connects to. */
  readonly refused?: true;
}

const ECHO: ClientOptions & { port: 0 } = {
  port: 0,
  connections: 20,
  exchanges: 3,
  requestBytes: { min: 20, max: 2000 },
  answerBytes: { min: 12, max: 2000 },
};
const ONE_BYTE = { framing: 'fixed', requestBytes: 1, answerBytes: 1 } as const;

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'envoy-echo': { client: ECHO },
  'nginx-echo': { proxy: startNginxStream, client: ECHO },
  'haproxy-echo': { proxy: startHaproxy, client: ECHO },
  'envoy-server-first': {
    backend: { greetingBytes: 70 },
    client: { connections: 10, exchanges: 3, greetingBytes: 70 },
  },
  'envoy-refused': { refused: true, client: { connections: 5 } },
  'envoy-client-abort': {
    backend: { thinkMs: 300 },
    client: { connections: 5, abort: { exchange: 0, how: 'reset', when: 'sent', afterMs: 50 } },
  },
  'envoy-upstream-reset': {
    client: { connections: 5, requestBytes: 500, answerBytes: 5000, fault: 'reset-mid-answer' },
  },
  'envoy-chain': { chain: true, client: { connections: 10, exchanges: 3 } },
  'envoy-half-close': {
    backend: { answerAfterFin: true },
    client: { connections: 10, end: 'half-close', requestBytes: 500, answerBytes: 500 },
  },
  'envoy-one-byte': { backend: ONE_BYTE, client: { ...ONE_BYTE, connections: 20, exchanges: 4 } },
  'envoy-large': {
    client: { connections: 5, exchanges: 2, requestBytes: 300_000, answerBytes: 300_000 },
  },
};

const folder = temporaryFolder((remove) => process.once('exit', remove));

async function startRecorder(path: string, proxies: readonly RunningProxy[]): Promise<Child> {
  const config = join(folder, 'hopspan.yaml');
  const targets = proxies.map(({ port, name }) => `{ listen_port: ${port}, service_name: ${name} }`);
  writeFileSync(
    config,
    [
      `receivers: { ebpf: { targets: [${targets.join(', ')}] } }`,
      'exporters: { console: {} }',
      'service: { pipelines: { traces: { receivers: [ebpf], exporters: [console] } } }',
    ].join('\n'),
  );
  const child = await startChild(process.execPath, [MAIN, 'record', '--output', path, '--config', config]);
  await child.line(/ready/);
  return child;
}

/** A fixture names neither the machine that it was recorded on nor that machine's folders. */
async function copyWithoutMachine(from: string, to: string): Promise<void> {
  const writer = await createRecordingWriter(to);
  for await (const record of readRecording(from)) {
    switch (record.kind) {
      case RECEIVER_KIND.HOST:
        writer.write({ ...record, hostName: 'fixture', hostId: '0123456789abcdef0123456789abcdef' });
        break;
      case RECEIVER_KIND.PROXY:
        writer.write({ ...record, executablePath: `/usr/bin/${record.executableName}`, containerId: '' });
        break;
      default:
        writer.write(record);
    }
  }
  await writer.close();
}

async function record(name: string, scenario: Scenario): Promise<void> {
  const paths = fixturePaths(name);
  const backend = scenario.refused ? undefined : await startBackend(scenario.backend);
  const start = scenario.proxy ?? startEnvoy;
  const last = await start({
    name: scenario.chain ? 'inner' : 'edge',
    listeners: [{ upstreamPort: backend?.port ?? (await freePort()) }],
  });
  const first = scenario.chain
    ? await startEnvoy({ name: 'outer', listeners: [{ upstreamPort: last.port }] })
    : undefined;
  const proxies: RunningProxy[] = first ? [first, last] : [last];
  const recording = join(folder, 'recording');
  const recorder = await startRecorder(recording, proxies);
  const client = await runClient({ ...scenario.client, port: (first ?? last).port });
  const exchanges = (await backend?.log()) ?? [];
  for (const proxy of proxies) await proxy.accessLog(client.connections.length);
  for (const proxy of proxies) await proxy.stop();
  const connections = (await backend?.connections()) ?? [];
  const exit = await recorder.stop('SIGTERM', 20_000);
  await backend?.stop();
  if (exit.code !== 0 || /warning|error/.test(recorder.stderr())) {
    throw new Error(`${name}: the recorder said (exit code ${exit.code}):\n${recorder.stderr()}`);
  }
  await copyWithoutMachine(recording, paths.recording);
  const truth: FixtureTruth = {
    proxies: await Promise.all(
      proxies.map(async (proxy) => ({
        service: proxy.name,
        kind: proxy.kind,
        port: proxy.port,
        accessLog: await proxy.accessLog(),
      })),
    ),
    client,
    backend: { exchanges, connections },
  };
  writeFileSync(paths.truth, `${JSON.stringify(truth)}\n`);
  for (const path of Object.values(paths)) {
    const { size } = statSync(path);
    process.stdout.write(`${path} ${size}\n`);
    if (size > MAX_BYTES) throw new Error(`${path} is too large to be committed: ${size} bytes`);
  }
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(SCENARIOS);
mkdirSync(dirname(fixturePaths('any').truth), { recursive: true });
try {
  for (const name of names) {
    const scenario = SCENARIOS[name];
    if (!scenario) throw new Error(`no scenario ${name}; there are ${Object.keys(SCENARIOS).join(', ')}`);
    await record(name, scenario);
  }
} finally {
  await stopLeftovers();
}
