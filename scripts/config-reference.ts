// Writes the tables of docs/configuration.md anew from the schema: node scripts/config-reference.ts
import { readFileSync, writeFileSync } from 'node:fs';
import { REFERENCE_BEGIN, REFERENCE_END, referenceMarkdown } from '../src/config/reference.ts';

const page = new URL('../docs/configuration.md', import.meta.url);
const text = readFileSync(page, 'utf8');
const before = text.slice(0, text.indexOf(REFERENCE_BEGIN) + REFERENCE_BEGIN.length);
const after = text.slice(text.indexOf(REFERENCE_END));
writeFileSync(page, `${before}\n\n${referenceMarkdown()}\n\n${after}`);
