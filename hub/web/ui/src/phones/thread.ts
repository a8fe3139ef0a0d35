import { batch, computed, effect, signal } from "@preact/signals";
import { call, CallFailed, type Trouble } from "../core/api";
import { backoff, pause } from "../core/backoff";
import { tKnown } from "../core/i18n";
import { LiveSocket } from "../core/live";
import { Outbox } from "../core/outbox";
import type { Change, Conversation, Message, Page } from "../core/protocol";
import { browserStorage } from "../core/storage";
import type { DemoConfig, Person } from "./config";
import { fetchConversation, findConversation, isHers, numbersOf } from "./find";
import { lastChannel, mergeMessages, rowsOf, type Draft } from "./merge";

const PAGE = 50;

/** A word that the page knows a sentence for, else the hub's own sentence. */
function reasonOf({ trouble, code, detail }: CallFailed): string {
  if (trouble === "login") return "login";
  return tKnown(`error.${code}`) ? code : detail;
}

/** The customer's one thread in the hub, followed live, and what an agent does in it. */
export class Thread {
  readonly conversation = signal<Conversation | null>(null);
  readonly messages = signal<readonly Message[]>([]);
  readonly earlier = signal<string | null>(null);
  readonly loaded = signal(false);
  readonly trouble = signal<Trouble | null>(null);
  readonly outbox = new Outbox<Draft>(browserStorage, "demo");
  readonly rows = computed(() => {
    const id = this.conversation.value?.id;
    const own = this.outbox.entries.value.filter((entry) => entry.body.conversation === id);
    return rowsOf(this.messages.value, own);
  });
  /** Whose thread is shown. */
  readonly person = signal<Person>("");
  /** Those whose phone is in her own thread, by what the hub has proof of. */
  readonly joined = signal<ReadonlySet<Person>>(new Set([""]));
  readonly lastChannel = computed(() => lastChannel(this.messages.value));
  readonly live: LiveSocket;
  #config: DemoConfig;
  #numbers: ReadonlySet<string>;
  /** Her conversation, as soon as a message of hers has named it. */
  #known: string | null = null;
  #loading = false;
  #again = false;
  #held: Change[] = [];
  #flushing = false;

  constructor(config: DemoConfig) {
    this.#config = config;
    this.#numbers = numbersOf(config);
    this.live = new LiveSocket("/api/v1/live", {
      resync: () => void this.load(),
      changes: (items) => this.#take(items),
      lost: () => void this.#ask(),
    });
  }

  /** What to call her until the hub says. */
  get customerName(): string {
    return this.#config.customer.name;
  }

  /** Show this person's thread: her own, or that of somebody not known to be her. */
  watch(person: Person): void {
    const next = this.joined.value.has(person) ? "" : person;
    if (next === this.person.value) return;
    this.#numbers = numbersOf(this.#config, next);
    this.#known = null;
    batch(() => {
      this.person.value = next;
      this.conversation.value = null;
      this.messages.value = [];
      this.earlier.value = null;
      this.loaded.value = false;
    });
    void this.load();
  }

  /** Whoever is reached in the thread of the customer is the customer. */
  #join({ channels }: Conversation): void {
    const found = this.#config.phones.filter((phone) => channels.includes(phone.channel));
    if (!found.some((phone) => phone.person === "")) return;
    const people = new Set([...this.joined.value, ...found.map((phone) => phone.person)]);
    if (people.size === this.joined.value.size) return;
    this.joined.value = people;
    this.watch(this.person.value);
  }

  start(): void {
    this.live.start();
    effect(() => {
      if (this.live.line.value === "live") void this.#flush();
    });
  }

  /** Why there is no line: a call says what a socket does not. */
  async #ask(): Promise<void> {
    try {
      await call("/api/v1/conversations?limit=1");
      this.trouble.value = null;
    } catch (error) {
      if (error instanceof CallFailed && error.trouble === "login") this.trouble.value = "login";
    }
  }

  /** Read the thread anew. Changes that come meanwhile wait, and are laid on top. */
  async load(): Promise<void> {
    this.#again = true;
    if (this.#loading) return;
    this.#loading = true;
    const wait = backoff();
    while (this.#again) {
      this.#again = false;
      try {
        await this.#read();
        this.trouble.value = null;
      } catch (error) {
        const failed = error instanceof CallFailed ? error : null;
        this.trouble.value = failed?.trouble ?? "busy";
        // Joined to another customer's thread: look where she is now.
        if (failed?.status === 404) this.#known = null;
        this.#again = true;
        await pause(wait.next());
      }
    }
    this.#loading = false;
    const held = this.#held;
    this.#held = [];
    this.#take(held);
    void this.#flush();
  }

  async #read(): Promise<void> {
    const person = this.person.value;
    const id = this.#known ?? (await findConversation(this.#config, person));
    if (person !== this.person.value) return;
    if (id === null) {
      this.loaded.value = true;
      return;
    }
    this.#known = id;
    const [conversation, page] = await Promise.all([
      fetchConversation(id),
      call<Page<Message>>(`/api/v1/conversations/${id}/messages?limit=${PAGE}`),
    ]);
    if (person !== this.person.value) return;
    this.#join(conversation);
    batch(() => {
      this.conversation.value = conversation;
      this.messages.value = mergeMessages([], page.items);
      this.earlier.value = page.next;
      this.loaded.value = true;
    });
    this.#settle(page.items);
  }

  async loadEarlier(): Promise<void> {
    const id = this.conversation.value?.id;
    const cursor = this.earlier.value;
    if (!id || !cursor) return;
    const query = new URLSearchParams({ limit: String(PAGE), cursor });
    const page = await call<Page<Message>>(`/api/v1/conversations/${id}/messages?${query}`);
    batch(() => {
      this.messages.value = mergeMessages(this.messages.value, page.items);
      this.earlier.value = page.next;
    });
  }

  #take(items: Change[]): void {
    if (this.#loading) {
      this.#held.push(...items);
      return;
    }
    const id = this.conversation.value?.id;
    // Her newest message says which thread is hers now: her first, or one she was joined to.
    const home = items.findLast((item) => isHers(item.message, this.#numbers))?.conversation_id;
    if (home) this.#known = home;
    const moved = home !== undefined && home !== id;
    if (moved || items.some((item) => item.kind === "customer")) void this.load();
    const hers = items.filter((item) => item.conversation_id === id);
    const messages = hers.flatMap((item) => (item.message ? [item.message] : []));
    const conversation = hers.findLast((item) => item.conversation)?.conversation;
    batch(() => {
      if (conversation) {
        this.conversation.value = conversation;
        this.#join(conversation);
      }
      this.messages.value = mergeMessages(this.messages.value, messages);
    });
    this.#settle(messages);
  }

  #settle(messages: readonly Message[]): void {
    for (const message of messages) this.outbox.settle(message.client_id);
  }

  send(draft: Omit<Draft, "conversation">): void {
    const conversation = this.conversation.value?.id;
    if (!conversation) return;
    this.outbox.add({ ...draft, conversation });
    void this.#flush();
  }

  retry(client_id: string): void {
    this.outbox.retry(client_id);
    void this.#flush();
  }

  /** Send what waits, oldest first, each until the hub has it or refuses it. */
  async #flush(): Promise<void> {
    if (this.#flushing) return;
    this.#flushing = true;
    const wait = backoff();
    for (let entry = this.outbox.next(); entry; entry = this.outbox.next()) {
      const { client_id, body } = entry;
      const path = `/api/v1/conversations/${body.conversation}/messages`;
      try {
        const answer = await call<Page<Message>>(path, {
          body: {
            text: body.text,
            note: body.note,
            client_id,
            ...(body.channel && !body.note ? { channel: body.channel } : {}),
          },
          key: client_id,
        });
        batch(() => {
          if (body.conversation === this.conversation.value?.id) {
            this.messages.value = mergeMessages(this.messages.value, answer.items);
          }
          this.outbox.settle(client_id);
        });
        wait.reset();
      } catch (error) {
        if (error instanceof CallFailed && !error.passing) {
          this.outbox.refuse(client_id, reasonOf(error));
        } else {
          await pause(wait.next());
        }
      }
    }
    this.#flushing = false;
  }

  /** Give the conversation back to the bot; `resume` makes it ask its last question again. */
  async release(resume: boolean): Promise<void> {
    const id = this.conversation.value?.id;
    if (!id) return;
    const key = crypto.randomUUID();
    await call(`/api/v1/conversations/${id}/release`, { body: { resume }, key });
    this.conversation.value = await fetchConversation(id);
  }

  async markRead(): Promise<void> {
    const conversation = this.conversation.peek();
    if (!conversation?.unread) return;
    this.conversation.value = { ...conversation, unread: 0 };
    try {
      await call(`/api/v1/conversations/${conversation.id}/read`, { method: "POST" });
    } catch {
      // The count stays on the hub; the next message tries again.
    }
  }
}
