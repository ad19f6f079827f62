import {
  ATTRIBUTES,
  type AttributeMeaning,
  type AttributeSpan,
  EVENTS,
  type EventMeaning,
} from './attributes.ts';

export const SPANS_BEGIN = '<!-- from here on written by scripts/spans-reference.ts -->';
export const SPANS_END = '<!-- up to here written by scripts/spans-reference.ts -->';

const SECTIONS: readonly { title: string; on: AttributeSpan }[] = [
  { title: 'On the hop (SERVER)', on: 'hop' },
  { title: 'On the upstream span (CLIENT)', on: 'upstream' },
  { title: "On an application's span that `hop_parent` moved", on: 'application' },
  { title: 'On the resource', on: 'resource' },
  { title: 'On events', on: 'event' },
];

/** The tables of docs/spans.md. */
export function spansMarkdown(): string {
  const all: [string, AttributeMeaning][] = Object.entries(ATTRIBUTES);
  const sections = SECTIONS.map(({ title, on }) => {
    const rows = all
      .filter(([, attribute]) => attribute.on.includes(on))
      .map(([name, { type, meaning }]) => `| \`${name}\` | ${type} | ${meaning.replaceAll('|', '\\|')} |`);
    return [`### ${title}`, '', '| attribute | type | meaning |', '|---|---|---|', ...rows].join('\n');
  });
  return [...sections, eventsMarkdown()].join('\n\n');
}

function eventsMarkdown(): string {
  const all: [string, EventMeaning][] = Object.entries(EVENTS);
  const rows = all.map(
    ([name, { on, meaning }]) => `| \`${name}\` | ${on === 'hop' ? 'hop' : 'hop, upstream'} | ${meaning} |`,
  );
  return ['### Events', '', '| event | on | meaning |', '|---|---|---|', ...rows].join('\n');
}
