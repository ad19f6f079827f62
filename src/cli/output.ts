import type { ConsoleStream } from '../exporter/console/console-exporter.ts';

/** A stream whose reader may leave (`| head`), which is an end and no error. */
export interface Output extends ConsoleStream {
  /** Resolves when a write finds that the reader has left. */
  readonly closed: Promise<void>;
}

type Underlying = Pick<NodeJS.WriteStream, 'write' | 'on'> & { isTTY?: boolean; columns?: number };

/** Wraps a stream so that a broken pipe is told by `closed` and by nothing else. */
export function createOutput(stream: Underlying): Output {
  let tell = (): void => {};
  let isClosed = false;
  const closed = new Promise<void>((resolve) => {
    tell = () => {
      isClosed = true;
      resolve();
    };
  });
  const hasLeft = (error: NodeJS.ErrnoException | null | undefined): boolean => {
    if (error?.code === 'EPIPE') tell();
    return isClosed;
  };
  stream.on('error', hasLeft);
  return {
    closed,
    get isTTY() {
      return stream.isTTY === true;
    },
    get columns() {
      return stream.columns ?? 0;
    },
    on: (event, listener) =>
      stream.on(event, (error: NodeJS.ErrnoException) => {
        if (!hasLeft(error)) listener(error);
      }),
    write(text, done) {
      if (isClosed) {
        done();
        return true;
      }
      return stream.write(text, (error) => done(hasLeft(error) ? undefined : error));
    },
  };
}
