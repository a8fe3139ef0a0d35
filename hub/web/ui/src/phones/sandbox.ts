import { signal } from "@preact/signals";
import { call } from "../core/api";
import { backoff, pause } from "../core/backoff";
import type { Line } from "../core/live";
import type { SandboxPhoneConfig } from "./config";
import { mergeItems, type Item, type Reading, type Written } from "./transcript";

const WAIT_S = 20;

/** One phone of a provider's stand-in: what is on its screen, and what its owner writes. */
export class SandboxPhone {
  readonly items = signal<readonly Item[]>([]);
  readonly line = signal<Line>("connecting");
  readonly kind: SandboxPhoneConfig["kind"];
  next = 0;
  #path: string;
  #account: string;
  #name: string;

  constructor(config: SandboxPhoneConfig, name: string) {
    this.kind = config.kind;
    this.#path = `/demo/sandbox/${config.kind}/phones/${encodeURIComponent(config.number)}`;
    this.#account = config.account;
    // Platforms tell the business the name of a profile; a text message tells a number only.
    this.#name = config.kind === "twilio" ? "" : name;
  }

  write(written: Written): Promise<{ external_id: string }> {
    const who = this.#name ? { name: this.#name } : {};
    return call(`${this.#path}/messages`, { body: { account: this.#account, ...who, ...written } });
  }

  take({ items, next }: Reading): void {
    const known = this.next === 0 ? [] : this.items.value;
    this.next = next;
    this.line.value = "live";
    this.items.value = mergeItems(known, items);
  }

  /** It may come back with another memory: its whole screen is read anew then. */
  lose(): void {
    this.line.value = "offline";
    this.next = 0;
  }
}

/** Follows all phones by one call at a time: a browser opens six connections to a host. */
export async function followPhones(phones: SandboxPhone[], stopped: AbortSignal): Promise<void> {
  const wait = backoff();
  while (!stopped.aborted) {
    try {
      // Hidden pages hold no connection.
      if (document.visibilityState === "hidden") await pause(60_000, stopped);
      else if (await readPhones(phones, stopped)) wait.reset();
      else await pause(wait.next(), stopped);
    } catch {
      if (stopped.aborted) return;
      for (const phone of phones) phone.lose();
      await pause(wait.next(), stopped);
    }
  }
}

/** Whether every stand-in answered. */
async function readPhones(phones: SandboxPhone[], stopped: AbortSignal): Promise<boolean> {
  const seconds = phones.every((phone) => phone.line.value === "live") ? WAIT_S : 0;
  const query = new URLSearchParams({ wait: String(seconds) });
  for (const { kind, next } of phones) query.set(kind, String(next));
  const patience = (seconds + 15) * 1000;
  const found = await call<Partial<Record<string, Reading | null>>>(`/demo/follow?${query}`, {
    signal: stopped,
    patience,
  });
  for (const phone of phones) {
    const reading = found[phone.kind];
    if (reading) phone.take(reading);
    else if (reading === null) phone.lose();
  }
  return !Object.values(found).includes(null);
}
