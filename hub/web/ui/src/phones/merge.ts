import type { Entry } from "../core/outbox";
import type { Message, State } from "../core/protocol";

// A send moves back and forth among the first of these while it is tried; past "sent" it
// only moves forward, and a failure never undoes a delivery.
const RANK: Record<string, number> = { sent: 2, failed: 3, cancelled: 3, delivered: 4, read: 5 };
const rank = (state: State | null): number => RANK[state ?? ""] ?? 1;

/** The newer reading of one message. A page of the thread and a live change may arrive in
 * either order, so the state never goes back. */
export function newer(known: Message, incoming: Message): Message {
  if (rank(incoming.state) >= rank(known.state)) return incoming;
  return { ...incoming, state: known.state, error: known.error };
}

/** `messages` in the order shown, each once, with `incoming` taken in. */
export function mergeMessages(
  messages: readonly Message[],
  incoming: readonly Message[],
): readonly Message[] {
  if (incoming.length === 0) return messages;
  const byId = new Map(messages.map((message) => [message.id, message]));
  for (const message of incoming) {
    const known = byId.get(message.id);
    byId.set(message.id, known ? newer(known, message) : message);
  }
  return [...byId.values()].toSorted(
    (a, b) => Date.parse(placeOf(a)) - Date.parse(placeOf(b)) || a.seq - b.seq,
  );
}

const LATE_MS = 30_000;

/** The time that gives a message its place: when the hub took it, but when it was sent for
 * one that came late. The hub pages by the same rule. */
export function placeOf({ direction, sent_at, created_at }: Message): string {
  const late = sent_at !== null && Date.parse(created_at) - Date.parse(sent_at) > LATE_MS;
  return direction === "in" && late ? sent_at : created_at;
}

export interface Draft {
  conversation: string;
  text: string;
  channel: string | null;
  note: boolean;
}

export type Row =
  | { kind: "day"; key: string; at: string }
  | { kind: "channel"; key: string; channel: string }
  | { kind: "message"; key: string; message: Message }
  | { kind: "entry"; key: string; entry: Entry<Draft> };

const localDay = (iso: string): string => new Date(iso).toDateString();

/** The thread as shown: a divider where the day or the channel changes, then what waits to
 * be sent. A message already confirmed is never shown a second time as waiting. */
export function rowsOf(
  messages: readonly Message[],
  entries: readonly Entry<Draft>[],
): readonly Row[] {
  const rows: Row[] = [];
  let day = "";
  let channel: string | null = null;
  for (const message of messages) {
    const at = placeOf(message);
    if (localDay(at) !== day) {
      day = localDay(at);
      rows.push({ kind: "day", key: `day-${message.id}`, at });
    }
    if (message.channel && message.direction !== "note") {
      if (message.channel !== channel) {
        rows.push({ kind: "channel", key: `on-${message.id}`, channel: message.channel });
      }
      channel = message.channel;
    }
    rows.push({ kind: "message", key: message.id, message });
  }
  const confirmed = new Set(messages.map((message) => message.client_id));
  for (const entry of entries) {
    if (!confirmed.has(entry.client_id)) rows.push({ kind: "entry", key: entry.client_id, entry });
  }
  return rows;
}

/** The channel the customer wrote on last; an answer goes there unless told otherwise. */
export function lastChannel(messages: readonly Message[]): string | null {
  return messages.findLast((message) => message.direction === "in" && message.channel)?.channel ?? null;
}
