import { signal, type ReadonlySignal } from "@preact/signals";
import type { Storage } from "./storage";

/** What a person sent and the server has not yet confirmed. `client_id` makes sending it
 * again harmless, so an entry is repeated until it is confirmed or refused. */
export interface Entry<Body> {
  client_id: string;
  body: Body;
  at: string;
  state: "waiting" | "failed";
  reason: string;
}

export class Outbox<Body> {
  readonly entries: ReadonlySignal<readonly Entry<Body>[]>;
  #entries = signal<readonly Entry<Body>[]>([]);
  #storage: Storage;
  #key: string;

  constructor(storage: Storage, key: string) {
    this.#storage = storage;
    this.#key = `outbox.${key}`;
    this.#entries.value = storage.read<Entry<Body>[]>(this.#key, []);
    this.entries = this.#entries;
  }

  #keep(entries: readonly Entry<Body>[]): void {
    this.#entries.value = entries;
    if (entries.length === 0) this.#storage.drop(this.#key);
    else this.#storage.write(this.#key, entries);
  }

  #change(client_id: string, change: Partial<Entry<Body>>): void {
    this.#keep(
      this.#entries.value.map((entry) =>
        entry.client_id === client_id ? Object.assign({}, entry, change) : entry,
      ),
    );
  }

  add(body: Body): Entry<Body> {
    const entry: Entry<Body> = {
      client_id: crypto.randomUUID(),
      body,
      at: new Date().toISOString(),
      state: "waiting",
      reason: "",
    };
    this.#keep([...this.#entries.value, entry]);
    return entry;
  }

  has(client_id: string | null | undefined): boolean {
    return this.#entries.value.some((entry) => entry.client_id === client_id);
  }

  /** The oldest entry to be sent; those after it wait, so that order is kept. */
  next(): Entry<Body> | undefined {
    return this.#entries.value.find((entry) => entry.state === "waiting");
  }

  /** Confirmed by the server, by whichever way that became known first. */
  settle(client_id: string | null | undefined): void {
    if (client_id && this.has(client_id)) {
      this.#keep(this.#entries.value.filter((entry) => entry.client_id !== client_id));
    }
  }

  refuse(client_id: string, reason: string): void {
    this.#change(client_id, { state: "failed", reason });
  }

  /** Given up by its writer. */
  discard(client_id: string): void {
    this.settle(client_id);
  }

  retry(client_id: string): void {
    this.#change(client_id, { state: "waiting", reason: "" });
  }
}
