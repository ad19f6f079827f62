/** How one request ended. */
export type SendResult =
  | { readonly outcome: 'taken'; readonly rejected: number; readonly message: string }
  | {
      readonly outcome: 'retry';
      readonly reason: string;
      /** The server's own time; 0 where it gave none. */
      readonly afterMs: number;
      readonly connected: boolean;
    }
  | { readonly outcome: 'refused'; readonly reason: string };
