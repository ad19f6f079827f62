// Writes the tables of docs/spans.md anew from the code: node scripts/spans-reference.ts
import { readFileSync, writeFileSync } from 'node:fs';
import { SPANS_BEGIN, SPANS_END, spansMarkdown } from '../src/spans/reference.ts';

const page = new URL('../docs/spans.md', import.meta.url);
const text = readFileSync(page, 'utf8');
const before = text.slice(0, text.indexOf(SPANS_BEGIN) + SPANS_BEGIN.length);
const after = text.slice(text.indexOf(SPANS_END));
writeFileSync(page, `${before}\n\n${spansMarkdown()}\n\n${after}`);
