/** What the `file` exporter can be told. */
export interface FileOptions {
  /** Appended to; created if missing, its folder is not. */
  readonly path: string;
}
