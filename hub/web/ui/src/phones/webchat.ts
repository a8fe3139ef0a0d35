import { signal } from "@preact/signals";
import { call, CallFailed } from "../core/api";
import { backoff, pause } from "../core/backoff";
import { lang } from "../core/i18n";
import type { Line } from "../core/live";
import { Outbox } from "../core/outbox";
import { browserStorage } from "../core/storage";
import type { WebchatPhoneConfig } from "./config";
import {
  ownItem,
  takeItem,
  type ChatFrame,
  type ChatItem,
  type Said,
  type Session,
} from "./visit";

const PING_MS = 25_000;
const CLOSED_TOKEN = 4001;
const CLOSED_FOR_GOOD = new Set([4003, 4004]);

/** A visitor of the web chat: the protocol of the widget, on this page. What she writes
 * waits in an outbox until the server has it. */
export class WebchatVisitor {
  readonly items = signal<readonly ChatItem[]>([]);
  readonly line = signal<Line>("connecting");
  readonly typing = signal(false);
  readonly outbox: Outbox<Said>;
  #config: WebchatPhoneConfig;
  #key: string;
  #session: Session | null = null;
  #socket: WebSocket | null = null;
  #recognised = false;
  #wait = backoff(1_000, 60_000);
  #pauseMs = 0;
  #told = 0;
  #typed = 0;

  constructor(config: WebchatPhoneConfig) {
    this.#config = config;
    this.#key = `webchat.${config.site}`;
    this.outbox = new Outbox(browserStorage, this.#key);
  }

  start(): void {
    void this.#run();
  }

  write(said: Said): void {
    this.#say(this.outbox.add(said).client_id);
    this.#typed = 0;
  }

  retry(client_id: string): void {
    this.outbox.retry(client_id);
    this.#say(client_id);
  }

  /** Tell the business she is writing; at most once in three seconds. */
  type(): void {
    if (Date.now() - this.#typed < 3_000) return;
    this.#typed = Date.now();
    this.#send({ type: "typing", on: true });
  }

  /** Her eyes are on the newest message. */
  see(): void {
    const last = this.items.value.findLast((item) => item.dir === "in")?.seq ?? 0;
    if (last <= this.#told || document.visibilityState !== "visible") return;
    if (this.#send({ type: "read", up_to_seq: last })) this.#told = last;
  }

  async #run(): Promise<void> {
    for (;;) {
      let closed = 0;
      try {
        this.#session ??= await this.#open();
        closed = await this.#connect(this.#session);
      } catch {
        // Away or refused: the phone says so, and the next try comes by itself.
      }
      this.line.value = "offline";
      this.typing.value = false;
      if (CLOSED_FOR_GOOD.has(closed)) return;
      if (closed === CLOSED_TOKEN) this.#session = null;
      await pause(Math.max(this.#wait.next(), this.#pauseMs));
      this.#pauseMs = 0;
    }
  }

  async #open(): Promise<Session> {
    const known = browserStorage.read<{ refresh?: string }>(this.#key, {});
    const body = {
      site: this.#config.site,
      page: location.origin + location.pathname,
      referrer: document.referrer,
      locale: lang.peek(),
      tz: Intl.DateTimeFormat().resolvedOptions().timeZone,
    };
    let session: Session;
    try {
      const proof = known.refresh ? { visitor_token: known.refresh } : {};
      session = await call<Session>("/chat/v1/session", { body: { ...body, ...proof } });
    } catch (error) {
      const stale = error instanceof CallFailed && !error.passing && known.refresh;
      if (!stale) throw error;
      session = await call<Session>("/chat/v1/session", { body });
    }
    this.#recognised = false;
    browserStorage.write(this.#key, { refresh: session.refresh });
    return session;
  }

  #enter({ token, refresh }: Session): void {
    this.#session = { token, refresh };
    this.#recognised = true;
    this.#told = 0;
    this.items.value = [];
    browserStorage.write(this.#key, { refresh });
  }

  /** Connected: say who she is, then what waited. */
  #greet(): void {
    this.line.value = "live";
    this.#wait.reset();
    const { identity } = this.#config;
    if (identity && !this.#recognised) this.#send({ type: "identify", ...identity });
    for (const entry of this.outbox.entries.value) {
      if (entry.state === "waiting") this.#say(entry.client_id);
    }
  }

  #connect(session: Session): Promise<number> {
    return new Promise((resolve) => {
      const socket = new WebSocket("/chat/v1/ws");
      this.#socket = socket;
      let heard = Date.now();
      const beat = setInterval(() => {
        if (Date.now() - heard > 2.5 * PING_MS) socket.close();
        else this.#send({ type: "ping" });
      }, PING_MS);
      socket.addEventListener("open", () => {
        const last_seq = this.items.value.at(-1)?.seq ?? 0;
        this.#send({ type: "hello", token: session.token, last_seq });
      });
      socket.addEventListener("message", (event) => {
        heard = Date.now();
        this.#take(JSON.parse(event.data as string) as ChatFrame);
      });
      socket.addEventListener("close", (event) => {
        clearInterval(beat);
        resolve(event.code);
      });
    });
  }

  #take(frame: ChatFrame): void {
    switch (frame.type) {
      case "welcome":
        this.#greet();
        return;
      case "session":
        this.#enter(frame);
        return;
      case "reset":
        this.items.value = [];
        return;
      case "message":
      case "update": {
        const { type, ...item } = frame;
        if (type === "message" && item.dir === "in") this.typing.value = false;
        this.outbox.settle(item.client_id);
        this.items.value = takeItem(this.items.value, item);
        return;
      }
      case "ack": {
        const entry = this.outbox.entries.value.find((one) => one.client_id === frame.client_id);
        if (entry) this.items.value = takeItem(this.items.value, ownItem(entry, frame));
        this.outbox.settle(frame.client_id);
        return;
      }
      case "nack":
        this.#refused(frame);
        return;
      case "typing":
        this.typing.value = frame.on;
        return;
      case "read":
        this.#told = Math.max(this.#told, frame.up_to_seq);
        return;
      case "bye":
        this.#pauseMs = (frame.retry_after ?? 0) * 1_000;
        return;
      default:
    }
  }

  #refused(frame: Extract<ChatFrame, { type: "nack" }>): void {
    if (!frame.retryable) {
      this.outbox.refuse(frame.client_id, frame.code);
      return;
    }
    const wait = (frame.retry_after ?? 2) * 1_000;
    setTimeout(() => this.outbox.has(frame.client_id) && this.#say(frame.client_id), wait);
  }

  #say(client_id: string): void {
    if (this.line.peek() !== "live") return;
    const entry = this.outbox.entries.value.find((one) => one.client_id === client_id);
    if (entry) this.#send({ type: "message", client_id, ...entry.body });
  }

  #send(frame: object): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }
}
