/* struct btf_header, include/uapi/linux/btf.h */
const MAGIC = 0xeb9f;
const HEADER_LENGTH_AT = 4;
const STRINGS_AT = 16;
const STRINGS_LENGTH_AT = 20;
const HEADER_BYTES = 24;

/** The string section of a BTF file in this machine's byte order; undefined for anything else. */
function strings(btf: Buffer): Buffer | undefined {
  if (btf.length < HEADER_BYTES || btf.readUInt16LE(0) !== MAGIC) return undefined;
  const start = btf.readUInt32LE(HEADER_LENGTH_AT) + btf.readUInt32LE(STRINGS_AT);
  const end = start + btf.readUInt32LE(STRINGS_LENGTH_AT);
  return end <= btf.length ? btf.subarray(start, end) : undefined;
}

/**
 * Which of these tracepoints the kernel does not describe; undefined when the bytes are no BTF. A tracepoint
 * that BPF programs can hang on by its BTF has the type `btf_trace_NAME` (include/trace/bpf_probe.h).
 */
export function missingTracepoints(btf: Buffer, names: readonly string[]): string[] | undefined {
  const table = strings(btf);
  return table && names.filter((name) => !table.includes(`\0btf_trace_${name}\0`));
}
