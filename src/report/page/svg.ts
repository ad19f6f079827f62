import type { plot } from '@observablehq/plot';
import { type Html, html, markup } from './html.ts';

type Svg = ReturnType<typeof plot>;
type SvgChild = Svg['childNodes'][number];

const TEXT_NODE = 3;
const ELEMENT_NODE = 1;

/** A picture with a text of its own. What is within has none, and no style that the policy would have to allow. */
export function asImage(svg: Svg, label: string): Html {
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', label);
  return serialized(svg, true);
}

/** By our own templates, so that there is one place where text is escaped. */
function serialized(element: Svg, isRoot = false): Html {
  const attributes = [...element.attributes].flatMap(({ name, value }) => {
    if (name === 'style' || (name.startsWith('aria-') && !isRoot)) return [];
    return html` ${markup(name)}="${name === 'aria-label' ? value : rounded(value)}"`;
  });
  const mark = isRoot ? '' : (element.getAttribute('aria-label') ?? '');
  const children = [...element.childNodes].map((child: SvgChild) => {
    if (child.nodeType === TEXT_NODE) return html`${child.textContent ?? ''}`;
    return child.nodeType === ELEMENT_NODE && child.localName !== 'style' ? serialized(child) : html``;
  });
  const name = element.localName;
  if (!/^[a-z]+$/i.test(name)) throw new Error(`a chart has an element ${name}`);
  return html`<${markup(name)}${attributes}${mark !== '' && html` data-mark="${mark}"`}>${children}</${markup(name)}>`;
}

/** A tenth of a pixel is enough. */
const rounded = (value: string): string =>
  value.replace(/-?\d+\.\d{2,}/g, (number) => String(Math.round(Number(number) * 10) / 10));
