// What a stand-in of a provider shows on the customer's phone.

export interface Item {
  n: number;
  /** "in" is written by the customer. */
  direction: "in" | "out";
  external_id: string;
  kind: string;
  text: string;
  buttons: { id: string; title: string }[];
  list: {
    button: string;
    rows: { id: string; title: string; description?: string | null }[];
  } | null;
  media: { kind: string; mime: string | null; url: string | null }[];
  reply_to: string | null;
  status: string;
  at: string;
}

export interface Reading {
  items: Item[];
  next: number;
}

export type Written =
  | { text: string }
  | { button: { id: string; title: string; reply_to: string } }
  | {
      list_row: { id: string; title: string; description?: string | null; reply_to: string };
    }
  | { image: { mime: string; caption: string } }
  | { location: { latitude: number; longitude: number; name: string } };

/** `items` with `incoming` taken in: an item that comes again (its status moved) keeps its
 * place, a new one goes to the end. The same array when nothing came. */
export function mergeItems(items: readonly Item[], incoming: readonly Item[]): readonly Item[] {
  if (incoming.length === 0) return items;
  const merged = [...items];
  const places = new Map(merged.map((item, place) => [item.external_id, place]));
  for (const item of incoming) {
    const place = places.get(item.external_id);
    if (place === undefined) {
      places.set(item.external_id, merged.length);
      merged.push(item);
    } else {
      merged[place] = item;
    }
  }
  return merged;
}
