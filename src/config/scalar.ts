/**
 * A scalar that came out of the environment or from a flag. Its type is known only where it is used: "123" is
 * a service name to one key and a number to another (the Collector decides the same way).
 */
export interface TextScalar {
  readonly text: string;
  readonly typed: string | number | boolean | null;
}

const made = new WeakSet<object>();

/** Text with the value that YAML's core schema gives it when it stands unquoted (YAML 1.2.2, section 10.3.2). */
export function textScalar(text: string): TextScalar {
  const scalar: TextScalar = { text, typed: typedValue(text) };
  made.add(scalar);
  return scalar;
}

/** True for what `textScalar` made, and for nothing that a file can hold. */
export function isTextScalar(value: unknown): value is TextScalar {
  return typeof value === 'object' && value !== null && made.has(value);
}

function typedValue(text: string): string | number | boolean | null {
  if (/^(?:|~|null|Null|NULL)$/.test(text)) return null;
  if (/^(?:true|True|TRUE)$/.test(text)) return true;
  if (/^(?:false|False|FALSE)$/.test(text)) return false;
  if (/^(?:[-+]?\d+|0o[0-7]+|0x[\da-fA-F]+)$/.test(text)) return Number(text);
  if (/^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/.test(text)) return Number(text);
  return text;
}
