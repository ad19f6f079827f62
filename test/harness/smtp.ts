/** A dialogue in the manner of SMTP (RFC 5321): the server speaks first and, after QUIT, closes first. */
export const SMTP_GREETING = '220 mail.test ESMTP ready\r\n';

/** Exchanges of one dialogue: EHLO, MAIL, RCPT, DATA, the mail itself, QUIT. */
export const SMTP_EXCHANGES = 6;
const DATA = 3;

/** What the client says in each exchange; the connection's number is in EHLO. */
export function smtpRequest(connId: number, exchange: number, bodyBytes: number): string {
  const lines = [
    `EHLO c${connId}.test\r\n`,
    `MAIL FROM:<c${connId}@client.test>\r\n`,
    'RCPT TO:<somebody@mail.test>\r\n',
    'DATA\r\n',
    `Subject: ${connId}\r\n\r\n${'x'.repeat(bodyBytes)}\r\n.\r\n`,
    'QUIT\r\n',
  ];
  return lines[exchange] ?? '';
}

/** Every request is a line, but the mail ends in a line with a dot. */
export function smtpRequestEnd(exchange: number): string {
  return exchange === DATA + 1 ? '\r\n.\r\n' : '\r\n';
}

export function smtpAnswer(exchange: number): string {
  const answers = [
    '250 mail.test',
    '250 sender ok',
    '250 recipient ok',
    '354 go ahead',
    '250 queued',
    '221 bye',
  ];
  return `${answers[exchange] ?? '500 what'}\r\n`;
}

/** The connection's number out of the EHLO line. */
export function smtpConnection(line: string): number {
  return Number(/^EHLO c(\d+)/.exec(line)?.[1] ?? -1);
}
