import type { HopSpan } from '../../spans/hop-span.ts';
import { elapsedNs } from '../../spans/hop-span.ts';

export interface TreeNode {
  readonly span: HopSpan;
  readonly children: TreeNode[];
}

function byStart(a: TreeNode, b: TreeNode): number {
  const [aS, aNs] = a.span.start;
  const [bS, bNs] = b.span.start;
  // Of two that start together the longer one holds the other.
  return aS - bS || aNs - bNs || elapsedNs(a.span.end, b.span.end);
}

/** Spans by trace, in order of first appearance. */
export function groupByTrace(spans: readonly HopSpan[]): HopSpan[][] {
  const traces = new Map<string, HopSpan[]>();
  for (const span of spans) {
    const trace = traces.get(span.traceId);
    if (trace === undefined) traces.set(span.traceId, [span]);
    else trace.push(span);
  }
  return [...traces.values()];
}

/**
 * The trees of one trace, sorted by start. A span whose parent is not among these spans is a root; so is one
 * of each circle of parents, which no tree would show otherwise.
 */
export function buildTrees(trace: readonly HopSpan[]): TreeNode[] {
  const nodes = new Map<string, TreeNode>();
  for (const span of trace) nodes.set(span.spanId, { span, children: [] });
  const roots: TreeNode[] = [];
  for (const node of nodes.values()) {
    const parent = nodes.get(node.span.parentSpanId ?? '');
    if (parent === undefined) roots.push(node);
    else parent.children.push(node);
  }
  const reached = new Set<TreeNode>();
  for (const root of roots) reach(root, reached);
  for (const node of nodes.values()) {
    if (reached.has(node)) continue;
    const siblings = nodes.get(node.span.parentSpanId ?? '')?.children ?? [];
    siblings.splice(siblings.indexOf(node), 1);
    roots.push(node);
    reach(node, reached);
  }
  for (const node of nodes.values()) node.children.sort(byStart);
  return roots.sort(byStart);
}

function reach(root: TreeNode, reached: Set<TreeNode>): void {
  const stack = [root];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    reached.add(node);
    for (const child of node.children) if (!reached.has(child)) stack.push(child);
  }
}

/** `service.name` of the span's resource, or nothing. */
export function serviceOf(span: HopSpan): string {
  return String(span.resource.attributes['service.name'] ?? '');
}
