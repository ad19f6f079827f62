/**
 * JSON schemas of Kubernetes' objects for kubeconform, out of the API description in Kubernetes' own sources:
 * `node scripts/kubernetes-schemas.ts swagger.json FOLDER`. Writes FOLDER/KIND[-GROUP]-VERSION.json for each kind, which
 * refers to FOLDER/definitions.json. An unknown field is a mistake.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly required?: readonly string[];
  readonly 'x-kubernetes-group-version-kind'?: readonly {
    readonly group: string;
    readonly version: string;
    readonly kind: string;
  }[];
}

const QUANTITY = 'io.k8s.apimachinery.pkg.api.resource.Quantity';

/** A part of the description as strict JSON schema; formats are left out but the one that allows two types. */
function strict({ $ref, type, format, properties, items, additionalProperties, required }: Schema): object {
  if ($ref !== undefined) return { $ref: $ref.replace('#/', 'definitions.json#/') };
  if (format === 'int-or-string') return { type: ['integer', 'string'] };
  const own =
    properties && Object.entries(properties).map(([name, schema]) => [name, strict(schema)] as const);
  return {
    ...(type === undefined ? {} : { type }),
    ...(own ? { properties: Object.fromEntries(own), additionalProperties: false } : {}),
    ...(additionalProperties ? { additionalProperties: strict(additionalProperties) } : {}),
    ...(items ? { items: strict(items) } : {}),
    ...(required ? { required } : {}),
  };
}

const [swagger = '', folder = ''] = process.argv.slice(2);
const { definitions } = JSON.parse(readFileSync(swagger, 'utf8')) as { definitions: Record<string, Schema> };
mkdirSync(folder, { recursive: true });
const all = Object.entries(definitions).map(([name, schema]) => {
  return [name, name === QUANTITY ? { type: ['number', 'string'] } : strict(schema)] as const;
});
writeFileSync(join(folder, 'definitions.json'), JSON.stringify({ definitions: Object.fromEntries(all) }));
for (const [name, { 'x-kubernetes-group-version-kind': kinds = [] }] of Object.entries(definitions)) {
  const [only, ...more] = kinds;
  /* What belongs to every group, such as DeleteOptions, is no object that stands in a file. */
  if (!only || more.length > 0) continue;
  const parts = [only.kind, only.group.replace(/\..*/, ''), only.version].filter((part) => part !== '');
  const file = join(folder, `${parts.join('-').toLowerCase()}.json`);
  writeFileSync(file, JSON.stringify({ $ref: `definitions.json#/definitions/${name}` }));
}
