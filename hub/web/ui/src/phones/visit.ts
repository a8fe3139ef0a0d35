// What a visitor's web chat knows of its conversation, and how frames change it.

export interface ChatItem {
  id: string;
  seq: number;
  client_id?: string | null;
  /** Seen from the visitor: "in" came from the business. */
  dir: "in" | "out";
  kind: string;
  text: string;
  buttons?: { id: string; title: string; kind?: string; url?: string | null }[];
  attachments?: { kind: string; mime: string | null; url: string | null; name?: string }[];
  author: { name: string; bot: boolean };
  ts: string;
  deleted?: boolean;
}

export interface Session {
  token: string;
  /** Opens the next session of the same visitor. */
  refresh: string;
}

export interface Said {
  text: string;
  action?: { id: string };
}

export type ChatFrame =
  | { type: "welcome"; seq: number; unread: number }
  /** The visitor was recognised: another session, whose thread follows from its start. */
  | ({ type: "session" } & Session)
  /** What is shown is out of date: the newest page follows. */
  | { type: "reset" }
  | ({ type: "message" | "update" } & ChatItem)
  | { type: "ack"; client_id: string; id: string; seq: number }
  | { type: "nack"; client_id: string; code: string; retryable?: boolean; retry_after?: number }
  | { type: "typing"; on: boolean }
  /** How far the visitor herself has read, here or in another tab. */
  | { type: "read"; up_to_seq: number }
  | { type: "bye"; code?: string; retry_after?: number }
  | { type: "pong" };

/** `items` by seq with `item` taken in, once, whatever is repeated on the wire. */
export function takeItem(items: readonly ChatItem[], item: ChatItem): readonly ChatItem[] {
  const place = items.findIndex((known) => known.id === item.id);
  if (place >= 0) return items.with(place, { ...items[place], ...item });
  const after = items.findLastIndex((known) => known.seq < item.seq);
  return items.toSpliced(after + 1, 0, item);
}

/** The visitor's own words as an item, once the server has given them a place. */
export function ownItem(
  entry: { client_id: string; body: Said; at: string },
  ack: { id: string; seq: number },
): ChatItem {
  return {
    id: ack.id,
    seq: ack.seq,
    client_id: entry.client_id,
    dir: "out",
    kind: "text",
    text: entry.body.text,
    author: { name: "", bot: false },
    ts: entry.at,
  };
}
