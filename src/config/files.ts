import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { parseEndpoint } from '../exporter/otlp/endpoint.ts';
import { executableOf, isHidden } from '../receiver/processes.ts';
import { pathName } from './check.ts';
import { found } from './mistakes.ts';
import type { Config, LoadedConfig, OtlpExporterConfig } from './types.ts';

type Line = LoadedConfig['line'];

/**
 * Looks at what a configuration names outside of itself, as far as that can be done without starting anything: files of
 * TLS, directories that are written to, processes.
 * @returns a line for each that is not as it must be; none where all is well.
 */
export function checkNamed(config: Config, line: Line): string[] {
  const lines: string[] = [];
  for (const exporter of config.exporters) {
    const path = ['exporters', exporter.name];
    if (exporter.type === 'otlp') lines.push(...checkTls(exporter, line), ...checkQueue(exporter, line));
    if (exporter.type === 'file') {
      const at = [...path, 'path'];
      const wrong = whyNoFile(exporter.path);
      if (wrong) lines.push(line(at, `found ${found(exporter.path)} for ${pathName(at)}, ${wrong}`));
    }
  }
  for (const { name, targets } of config.receivers) {
    for (const [index, target] of targets.entries()) {
      if (target.by !== 'pid' || executableOf(target.pid) || isHidden(target.pid)) continue;
      const at = ['receivers', name, 'targets', index, 'pid'];
      const text = `found ${target.pid} for ${pathName(at)}, where there is no such process, expected one that runs`;
      lines.push(line(at, text));
    }
  }
  return lines;
}

const TLS_FILES = [
  { key: 'ca_file', option: 'caFile', as: 'ca' },
  { key: 'cert_file', option: 'certFile', as: 'cert' },
  { key: 'key_file', option: 'keyFile', as: 'key' },
] as const;

function checkTls({ name, endpoint, protocol, tls }: OtlpExporterConfig, line: Line): string[] {
  const plain = protocol === 'grpc' ? parseEndpoint(endpoint, tls.insecure).plainText : tls.insecure;
  if (plain) return [];
  const lines: string[] = [];
  const context: { ca?: Buffer; cert?: Buffer; key?: Buffer } = {};
  for (const { key, option, as } of TLS_FILES) {
    const file = tls[option];
    if (file === undefined) continue;
    const at = ['exporters', name, 'tls', key];
    try {
      context[as] = readFileSync(file);
    } catch (error) {
      const text = `found ${found(file)} for ${pathName(at)}, ${reasonOf(error)}, expected a PEM file`;
      lines.push(line(at, text));
    }
  }
  if (lines.length > 0 || Object.keys(context).length === 0) return lines;
  try {
    createSecureContext(context);
  } catch (error) {
    const at = ['exporters', name, 'tls'];
    const names = TLS_FILES.map(({ option }) => tls[option]).filter((file) => file !== undefined);
    const reason = error instanceof Error ? error.message : String(error);
    const text = `found ${names.map(found).join(', ')} for ${pathName(at)}, of which TLS can make nothing (${reason}), expected PEM files that belong together`;
    lines.push(line(at, text));
  }
  return lines;
}

function checkQueue({ name, disk }: OtlpExporterConfig, line: Line): string[] {
  if (disk === undefined) return [];
  const at = ['exporters', name, 'sending_queue', 'directory'];
  const wrong = whyNoDirectory(disk.directory);
  return wrong ? [line(at, `found ${found(disk.directory)} for ${pathName(at)}, ${wrong}`)] : [];
}

/** Of a directory that is made where it is not there; undefined where it can be written to. */
function whyNoDirectory(path: string): string | undefined {
  let existing = resolve(path);
  while (statOf(existing) === undefined && dirname(existing) !== existing) existing = dirname(existing);
  const expected = 'expected a directory that can be written to';
  if (!statOf(existing)?.isDirectory()) return `where ${existing} is no directory, ${expected}`;
  return mayWrite(existing) ? undefined : `where ${existing} may not be written to, ${expected}`;
}

/** Undefined where the file can be appended to. */
function whyNoFile(path: string): string | undefined {
  const folder = dirname(resolve(path));
  const expected = 'expected a file that can be written to';
  const file = statOf(path);
  if (file?.isDirectory()) return `which is a directory, ${expected}`;
  if (!statOf(folder)?.isDirectory()) return `where ${folder} is no directory, ${expected}`;
  return mayWrite(file ? path : folder) ? undefined : `which may not be written to, ${expected}`;
}

function statOf(path: string) {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : error;
  return code === 'ENOENT' ? 'which does not exist' : `which cannot be read (${code})`;
}
