// What a provider's stand-in shows on the customer's phone, as its control calls say it
// (connectors/sandbox/transcript.py).

export interface Item {
  /** Orders the items of a phone. */
  n: number;
  /** "in" is written by the customer. */
  direction: "in" | "out";
  external_id: string;
  kind: string;
  /** Seconds, UTC. */
  at: number;
  status: string;
  header: string;
  text: string;
  footer: string;
  buttons: { id: string; title: string; url?: string }[];
  /** Chips that vanish with the next message. */
  quick_replies: { id: string; title: string }[];
  /** On a message of the business: the button of it that was tapped. */
  choice: { id?: string; title?: string; answered?: boolean } | null;
  list_button: string | null;
  rows: { id: string; title: string; description: string; section?: string }[];
  media: { kind: string; mime: string | null; url: string | null; id: string | null }[];
  place: { name?: string; address?: string } | null;
  contacts: unknown[];
  reaction: { emoji: string } | null;
  reply_to: string | null;
}

export interface Reading {
  items: Item[];
  next: number;
}

interface Tap {
  id: string;
  title: string;
  reply_to: string;
}

export type Written =
  | { text: string }
  | { button: Tap }
  | { quick_reply: Tap }
  | { own_contact: { name: string; phones: string[] } }
  | { list_row: Tap & { description?: string } }
  | { image: { mime: string; caption?: string } }
  | { location: { latitude: number; longitude: number; name: string } };

const NEVER_ARRIVED = new Set(["accepted", "failed", "undelivered"]);

/** Whether the phone has it: what was sent to it and failed on the way never got there, and
 * what was deleted is gone. Telegram tells of no delivery: what it accepts is there. */
export function isShown({ direction, status }: Item, kind = ""): boolean {
  if (status === "deleted") return false;
  if (kind === "telegram" && status === "accepted") return true;
  return direction === "in" || !NEVER_ARRIVED.has(status);
}

/** `items` with `incoming` taken in, in the order of the phone: an item that comes again (its
 * status moved) keeps its place. The same array when nothing came. */
export function mergeItems(items: readonly Item[], incoming: readonly Item[]): readonly Item[] {
  if (incoming.length === 0) return items;
  const byId = new Map(items.map((item) => [item.external_id, item]));
  for (const item of incoming) byId.set(item.external_id, item);
  return [...byId.values()].toSorted((a, b) => a.n - b.n);
}

/** Where this page may load a stand-in's file: its own address is another origin. */
export function fileUrl(kind: string, url: string | null): string | null {
  const id = url?.match(/\/_sandbox\/media\/([^/?#]+)$/)?.[1];
  return id ? `/demo/sandbox/${kind}/media/${id}` : url;
}
