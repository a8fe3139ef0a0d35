import { describe, expect, it } from "vitest";
import { backoff } from "../src/core/backoff";
import { troubleOf } from "../src/core/api";
import type { Message } from "../src/core/protocol";
import type { DemoConfig } from "../src/phones/config";
import { isHers, numbersOf } from "../src/phones/find";
import { fileUrl, isShown, mergeItems, type Item } from "../src/phones/transcript";
import { ownItem, takeItem, type ChatItem } from "../src/phones/visit";

const item = (n: number, external_id: string, status = "sent"): Item => ({
  n,
  direction: "out",
  external_id,
  kind: "text",
  at: 1795435200.5,
  status,
  header: "",
  text: external_id,
  footer: "",
  buttons: [],
  quick_replies: [],
  choice: null,
  list_button: null,
  rows: [],
  media: [],
  place: null,
  contacts: [],
  reaction: null,
  reply_to: null,
});

const said = (seq: number, change: Partial<ChatItem> = {}): ChatItem => ({
  id: `m${seq}`,
  seq,
  dir: "in",
  kind: "text",
  text: `text ${seq}`,
  author: { name: "", bot: true },
  ts: "2026-11-23T12:00:00.000Z",
  ...change,
});

const shown = (direction: "in" | "out") =>
  ["accepted", "sent", "failed", "undelivered", "delivered", "read"].filter((status) =>
    isShown({ ...item(1, "a", status), direction }),
  );

describe("a stand-in's transcript", () => {
  it("keeps the place of an item whose status moved", () => {
    const first = mergeItems([], [item(1, "a"), item(2, "b")]);
    const then = mergeItems(first, [item(3, "c"), item(1, "a", "read")]);
    expect(then.map(({ external_id, status }) => [external_id, status])).toEqual([
      ["a", "read"],
      ["b", "sent"],
      ["c", "sent"],
    ]);
    expect(mergeItems(then, [])).toBe(then);
  });

  it("does not show what never reached the phone, and all that was written on it", () => {
    expect(shown("out")).toEqual(["sent", "delivered", "read"]);
    expect(shown("in")).toHaveLength(6);
  });

  it("shows what Telegram took, which tells of no delivery, and not what was deleted", () => {
    expect(isShown(item(1, "a", "accepted"), "telegram")).toBe(true);
    expect(isShown(item(1, "a", "accepted"), "messenger")).toBe(false);
    expect(isShown(item(1, "a", "deleted"), "telegram")).toBe(false);
  });

  it("finds a stand-in's file on this page's own origin, and leaves other addresses", () => {
    const there = "http://127.0.0.1:4000/_sandbox/media/ME1";
    expect(fileUrl("twilio", there)).toBe("/demo/sandbox/twilio/media/ME1");
    expect(fileUrl("twilio", "https://shop.example/a.png")).toBe("https://shop.example/a.png");
    expect(fileUrl("twilio", null)).toBeNull();
  });
});

describe("a visitor's chat", () => {
  it("shows each message once and by seq, whatever the wire repeats or turns round", () => {
    const items = [2, 1, 3, 2].reduce<readonly ChatItem[]>((all, seq) => takeItem(all, said(seq)), []);
    expect(items.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });

  it("turns an ack into the visitor's own line, which a replay then leaves alone", () => {
    const waiting = { client_id: "c", body: { text: "Yes" }, at: "2026-11-23T12:00:00.000Z" };
    const own = ownItem(waiting, { id: "m2", seq: 2 });
    const items = takeItem(takeItem([said(1)], own), said(2, { dir: "out", text: "Yes" }));
    expect(items.map(({ id, dir, text }) => [id, dir, text])).toEqual([
      ["m1", "in", "text 1"],
      ["m2", "out", "Yes"],
    ]);
  });
});

const to = (external_id: string) => ({ address: { channel: "x", external_id } }) as Message;

describe("whose message it is", () => {
  const config: DemoConfig = {
    customer: { name: "Ayesha", number: "+8801711000001" },
    phones: [
      { kind: "whatsapp", channel: "wa", account: "106", number: "8801711000001", person: "" },
      { kind: "webchat", channel: "site", site: "KEY", person: "" },
      {
        kind: "messenger",
        channel: "page",
        account: "104",
        number: "7200000000000001",
        person: "messenger",
      },
    ],
  };
  const numbers = numbersOf(config);
  it("is hers with or without the plus", () => {
    expect(isHers(to("8801711000001"), numbers)).toBe(true);
    expect(isHers(to("+8801711000001"), numbers)).toBe(true);
  });

  it("is not hers otherwise", () => {
    expect(isHers(to("+8801711000002"), numbers)).toBe(false);
    expect(isHers(to("visitor"), numbers)).toBe(false);
    expect(isHers(null, numbers)).toBe(false);
  });

  it("is another's where the platform tells no number", () => {
    expect(isHers(to("7200000000000001"), numbers)).toBe(false);
    expect(isHers(to("7200000000000001"), numbersOf(config, "messenger"))).toBe(true);
    expect(isHers(to("8801711000001"), numbersOf(config, "messenger"))).toBe(false);
  });
});

it("backs off by doubling up to its most, and starts again after a success", () => {
  const wait = backoff(100, 800, () => 1);
  expect([1, 2, 3, 4, 5].map(() => wait.next())).toEqual([100, 200, 400, 800, 800]);
  wait.reset();
  expect(wait.next()).toBe(100);
  expect(backoff(100, 800, () => 0).next()).toBe(20);
});

it("tells what may pass from what will not", () => {
  expect([401, 403, 404, 422, 429, 500, 503].map(troubleOf)).toEqual([
    "login",
    "refused",
    "refused",
    "refused",
    "busy",
    "busy",
    "busy",
  ]);
});
