import { type ErrorCode, HopspanError } from '../errors.ts';
import { escapeControl } from '../telemetry/escape.ts';

/** What was found about one thing that watching needs; `found` and `remedy` read as one sentence. */
export type Finding =
  | { readonly status: 'ok'; readonly item: string; readonly found: string }
  | { readonly status: 'warn'; readonly item: string; readonly found: string; readonly remedy: string }
  | {
      readonly status: 'fail';
      readonly item: string;
      readonly found: string;
      readonly remedy: string;
      /** What `hopspan run` says when it meets this. */
      readonly code: ErrorCode;
    };

export function ok(item: string, found: string): Finding {
  return { status: 'ok', item, found };
}

export function warn(item: string, found: string, remedy: string): Finding {
  return { status: 'warn', item, found, remedy };
}

export function fail(code: ErrorCode, item: string, found: string, remedy: string): Finding {
  return { status: 'fail', code, item, found, remedy };
}

/** Throws the first failure as the error that it is. */
export function throwFailure(findings: Iterable<Finding>): void {
  for (const finding of findings) {
    if (finding.status === 'fail')
      throw new HopspanError(finding.code, `${finding.found}; ${finding.remedy}`);
  }
}

const ITEM_COLUMNS = 16;
const INDENT = ' '.repeat(6);

/** One line for the finding, further ones (indented) for a kernel's log and for the remedy. */
export function formatFinding(finding: Finding): string[] {
  const [first = '', ...rest] = finding.found.split('\n').map(escapeControl);
  const head = `${finding.status.padEnd(4)}  ${finding.item.padEnd(ITEM_COLUMNS)}  ${first}`;
  const lines = [head, ...rest.map((line) => `${INDENT}| ${line}`)];
  return finding.status === 'ok' ? lines : [...lines, `${INDENT}${escapeControl(finding.remedy)}`];
}
