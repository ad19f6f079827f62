import type { OtlpClient } from './client.ts';

/** One connection, or several, with the certificates that there were when it was made. */
export type Connection = Pick<OtlpClient, 'send' | 'close'>;

/**
 * A client whose connection `renew` replaces by what `connect` gives then.
 * @param connect may reject at its first call, which then is this function's error, and at no later one
 */
export async function createRenewable(connect: () => Promise<Connection>): Promise<OtlpClient> {
  let connection = await connect();
  let renewed: Promise<void> = Promise.resolve();
  return {
    async send(batch) {
      await renewed;
      return connection.send(batch);
    },
    renew() {
      connection.close();
      renewed = connect().then((next) => {
        connection = next;
      });
    },
    close: () => void renewed.then(() => connection.close()),
  };
}
