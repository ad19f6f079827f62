import type { PhaseName } from '../../spans/phases.ts';
import { type Html, html } from './html.ts';

/** How one kind of bar is filled: a colour, and lines or dots over it, so that neither alone has to be seen. */
interface Fill {
  readonly light: string;
  readonly dark: string;
  readonly texture: 'plain' | 'up' | 'down' | 'across' | 'dots' | 'cross';
}

/* Okabe and Ito's colours, which stay apart for people who do not see all colours. Waits for the proxy are warm, its own work is blue, the upstream green and purple, data grey. */
const FILLS: Readonly<Record<PhaseName | 'rest' | 'hop' | 'upstream' | 'application', Fill>> = {
  'accept wait': { light: '#d55e00', dark: '#e57225', texture: 'plain' },
  'read wait': { light: '#e69f00', dark: '#e69f00', texture: 'up' },
  forward: { light: '#0072b2', dark: '#3d9bd6', texture: 'plain' },
  'request transfer': { light: '#8a8a8a', dark: '#a5a5a5', texture: 'cross' },
  connect: { light: '#cc79a7', dark: '#d58fb5', texture: 'across' },
  'upstream wait': { light: '#009e73', dark: '#17b58a', texture: 'plain' },
  'answer read wait': { light: '#f0d000', dark: '#f0e442', texture: 'dots' },
  'answer forward': { light: '#56b4e9', dark: '#7cc7f0', texture: 'down' },
  'answer transfer': { light: '#b9b9b9', dark: '#7d7d7d', texture: 'across' },
  rest: { light: '#f4f4f4', dark: '#2b2f36', texture: 'plain' },
  hop: { light: '#3b4a5a', dark: '#aab6c4', texture: 'plain' },
  upstream: { light: '#7a8896', dark: '#76859a', texture: 'plain' },
  application: { light: '#6f4aa3', dark: '#b394e0', texture: 'plain' },
};

export type FillName = keyof typeof FILLS;

/** Results that are not ok, in the order of how many there are. */
const RESULT_FILLS: readonly Fill[] = [
  { light: '#c1272d', dark: '#ff6b6b', texture: 'plain' },
  { light: '#e69f00', dark: '#f0b429', texture: 'up' },
  { light: '#6f4aa3', dark: '#b394e0', texture: 'across' },
  { light: '#0072b2', dark: '#56b4e9', texture: 'dots' },
  { light: '#8a8a8a', dark: '#b5b5b5', texture: 'cross' },
];

const slug = (name: string): string => name.replaceAll(' ', '-');

export const fillOf = (name: FillName): string => `url(#fill-${slug(name)})`;
export const fillOfResult = (index: number): string => `url(#fill-result-${index % RESULT_FILLS.length})`;

const all: readonly (readonly [string, Fill])[] = [
  ...Object.entries(FILLS).map(([name, fill]) => [slug(name), fill] as const),
  ...RESULT_FILLS.map((fill, index) => [`result-${index}`, fill] as const),
];

/** Custom properties for the style sheet. */
export function colors(scheme: 'light' | 'dark'): string {
  return all.map(([name, fill]) => `--fill-${name}:${fill[scheme]};`).join('');
}

const TEXTURES: Readonly<Record<Fill['texture'], Html>> = {
  plain: html``,
  up: html`<path d="M-1,7 7,-1 M-1,1 1,-1 M5,7 7,5"/>`,
  down: html`<path d="M-1,-1 7,7 M5,-1 7,1 M-1,5 1,7"/>`,
  across: html`<path d="M3,0 3,6"/>`,
  dots: html`<path d="M1,2 3,2 M4,5 6,5"/>`,
  cross: html`<path d="M0,3 6,3 M3,0 3,6"/>`,
};

/** The patterns that all charts of the page refer to. */
export function patterns(): Html {
  return html`<svg class="defs" width="0" height="0" aria-hidden="true" focusable="false"><defs>${all.map(
    ([name, { texture }]) =>
      html`<pattern id="fill-${name}" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="var(--fill-${name})"/><g stroke="var(--texture)" stroke-width="1.3" fill="none">${TEXTURES[texture]}</g></pattern>`,
  )}</defs></svg>`;
}

/** A piece of a legend. */
export function swatch(fill: string): Html {
  return html`<svg class="swatch" width="14" height="14" aria-hidden="true" focusable="false"><rect x="0.5" y="0.5" width="13" height="13" rx="2" fill="${fill}" stroke="var(--edge)"/></svg>`;
}
