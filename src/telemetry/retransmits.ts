import { hasEnded, type Side } from '../correlate/side.ts';

/** Connections that lost segments; above it those that did so first are forgotten, and may count twice. */
const MAX_CONNECTIONS = 4096;

/** Sides tell what their connection sent again since it was opened; this tells what is new with each. */
export function createRetransmits(): (side: Side) => number {
  const told = new Map<number, number>();
  return (side) => {
    const { connection, retransmits } = side;
    if (retransmits === 0) return 0;
    const before = told.get(connection) ?? 0;
    if (hasEnded(side)) told.delete(connection);
    else if (retransmits > before) {
      if (told.size >= MAX_CONNECTIONS) for (const oldest of told.keys()) if (told.delete(oldest)) break;
      told.set(connection, retransmits);
    }
    return Math.max(0, retransmits - before);
  };
}
