/** Where exporters say what a person running hopspan should know: one sentence each. */
export interface ExporterLog {
  info(message: string): void;
  warn(message: string): void;
}
