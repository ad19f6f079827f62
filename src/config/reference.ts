import { z } from 'zod';
import { FIELD_INFO } from './fields.ts';
import { EXPORTERS, EXTENSIONS, PIPELINE, PROCESSORS, RECEIVERS, SERVICE, TELEMETRY } from './schema.ts';

export interface ReferenceRow {
  readonly key: string;
  readonly accepts: string;
  readonly default: string;
  readonly meaning: string;
}

export interface ReferenceSection {
  readonly title: string;
  readonly rows: readonly ReferenceRow[];
}

/** Every key that a configuration file can hold, as the schema has it; docs/configuration.md is made from this. */
export function configReference(): ReferenceSection[] {
  const components = (section: string, schemas: Readonly<Record<string, z.ZodType>>) =>
    Object.entries(schemas).map(([type, schema]) => ({
      title: `${section}.${type}`,
      rows: rowsOf(schema, ''),
    }));
  return [
    ...components('receivers', RECEIVERS),
    ...components('processors', PROCESSORS),
    ...components('exporters', EXPORTERS),
    ...components('extensions', EXTENSIONS),
    { title: 'service.pipelines.traces', rows: rowsOf(PIPELINE, '') },
    { title: 'service.telemetry', rows: rowsOf(TELEMETRY, '') },
    { title: 'service', rows: rowsOf(SERVICE, '').filter(({ key }) => !key.includes('.')) },
  ];
}

/** Between these lines docs/configuration.md holds `referenceMarkdown()`. */
export const REFERENCE_BEGIN = '<!-- reference: made by scripts/config-reference.ts -->';
export const REFERENCE_END = '<!-- end of reference -->';

/** The reference as Markdown tables, a heading each. */
export function referenceMarkdown(): string {
  const sections = configReference().map(({ title, rows }) => {
    const lines = rows.map(
      (row) => `| \`${row.key}\` | ${row.accepts} | ${row.default || '–'} | ${row.meaning} |`,
    );
    return [
      `### \`${title}\``,
      '',
      '| key | takes | default | meaning |',
      '|---|---|---|---|',
      ...lines,
    ].join('\n');
  });
  return sections.join('\n\n');
}

function rowsOf(schema: unknown, prefix: string): ReferenceRow[] {
  const object = unwrap(schema);
  if (!(object instanceof z.ZodObject)) return [];
  return Object.entries(object.shape).flatMap(([name, field]) => {
    const key = `${prefix}${name}`;
    const info = field instanceof z.ZodType ? FIELD_INFO.get(field) : undefined;
    const inner = unwrap(field);
    const nested =
      inner instanceof z.ZodArray ? rowsOf(inner.element, `${key}[].`) : rowsOf(field, `${key}.`);
    return info ? [{ key, ...info }, ...nested] : nested;
  });
}

/** The object or list behind `preprocess`, `nullish` and the like. */
function unwrap(schema: unknown): unknown {
  if (schema instanceof z.ZodPipe) return unwrap(schema.def.out);
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return unwrap(schema.def.innerType);
  return schema;
}
