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
  #path: string;
  #account: string;
  #name: string;
  #next = 0;
  #stopped = new AbortController();

  constructor(config: SandboxPhoneConfig, name: string) {
    this.#path = `/demo/sandbox/${config.kind}/phones/${encodeURIComponent(config.number)}`;
    this.#account = config.account;
    // WhatsApp tells the business the name of a profile; a text message tells a number only.
    this.#name = config.kind === "whatsapp" ? name : "";
  }

  start(): void {
    void this.#follow();
  }

  stop(): void {
    this.#stopped.abort();
  }

  write(written: Written): Promise<{ external_id: string }> {
    const who = this.#name ? { name: this.#name } : {};
    return call(`${this.#path}/messages`, { body: { account: this.#account, ...who, ...written } });
  }

  async #follow(): Promise<void> {
    const wait = backoff();
    const { signal: stopped } = this.#stopped;
    while (!stopped.aborted) {
      try {
        // A browser opens six connections to a host: hidden pages must not hold them.
        if (document.visibilityState === "hidden") await pause(60_000, stopped);
        else this.#take(await this.#read(this.line.value === "live" ? WAIT_S : 0));
        wait.reset();
      } catch {
        if (stopped.aborted) return;
        this.line.value = "offline";
        // It may come back with another memory: read the whole screen anew.
        this.#next = 0;
        await pause(wait.next(), stopped);
      }
    }
  }

  #read(seconds: number): Promise<Reading> {
    const query = new URLSearchParams({
      account: this.#account,
      after: String(this.#next),
      wait: String(seconds),
    });
    const patience = (seconds + 15) * 1000;
    return call(`${this.#path}?${query}`, { signal: this.#stopped.signal, patience });
  }

  #take({ items, next }: Reading): void {
    const known = this.#next === 0 ? [] : this.items.value;
    this.#next = next;
    this.line.value = "live";
    this.items.value = mergeItems(known, items);
  }
}
