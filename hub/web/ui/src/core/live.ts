import { signal, type ReadonlySignal } from "@preact/signals";
import { backoff, pause, type Backoff } from "./backoff";
import type { Change, LiveFrame } from "./protocol";

export type Line = "connecting" | "live" | "offline";

interface Handlers {
  /** The server cannot replay from our cursor: fetch anew. Also called on first contact. */
  resync: () => void;
  changes: (items: Change[]) => void;
  /** A try to connect ended; a refused socket does not say why. */
  lost: () => void;
}

/** No frame for this long means a dead line: the server pings more often than that. */
const SILENCE_MS = 75_000;
const HELLO_MS = 10_000;

/** The hub's live updates. Keeps the last cursor and says it on reconnecting, so that
 * nothing is missed while the line was away. */
export class LiveSocket {
  readonly line: ReadonlySignal<Line>;
  #line = signal<Line>("connecting");
  #cursor: string | null = null;
  #handlers: Handlers;
  #wait: Backoff = backoff();
  #stopped = new AbortController();
  #socket: WebSocket | null = null;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #path: string;

  constructor(path: string, handlers: Handlers) {
    this.#path = path;
    this.#handlers = handlers;
    this.line = this.#line;
  }

  start(): void {
    void this.#run();
    addEventListener("offline", this.#drop, { signal: this.#stopped.signal });
  }

  stop(): void {
    this.#stopped.abort();
    this.#socket?.close(1000);
  }

  #drop = (): void => this.#socket?.close();

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      await this.#connect();
      if (this.#stopped.signal.aborted) return;
      this.#line.value = "offline";
      this.#handlers.lost();
      await pause(this.#wait.next(), this.#stopped.signal);
    }
  }

  #connect(): Promise<void> {
    return new Promise((resolve) => {
      const socket = new WebSocket(this.#path);
      this.#socket = socket;
      this.#expect(HELLO_MS);
      socket.addEventListener("open", () => {
        socket.send(JSON.stringify({ type: "hello", cursor: this.#cursor }));
      });
      socket.addEventListener("message", (event) => {
        this.#expect(SILENCE_MS);
        this.#take(JSON.parse(event.data as string) as LiveFrame);
      });
      socket.addEventListener("close", () => {
        clearTimeout(this.#silence);
        resolve();
      });
    });
  }

  #expect(ms: number): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(this.#drop, ms);
  }

  #take(frame: LiveFrame): void {
    switch (frame.type) {
      case "welcome":
      case "resync": {
        const first = this.#cursor === null;
        this.#cursor = frame.cursor;
        this.#wait.reset();
        this.#line.value = "live";
        if (first || frame.type === "resync") this.#handlers.resync();
        return;
      }
      case "changes":
        this.#handlers.changes(frame.items);
        this.#cursor = frame.cursor;
        return;
      case "ping":
        this.#socket?.send('{"type":"pong"}');
        return;
      default:
    }
  }
}
