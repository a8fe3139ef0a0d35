import { describe, expect, it } from "vitest";
import { backoff } from "../src/core/backoff";
import { troubleOf } from "../src/core/api";
import type { Message } from "../src/core/protocol";
import { isHers, numbersOf } from "../src/phones/find";
import { mergeItems, type Item } from "../src/phones/transcript";
import { ownItem, takeItem, type ChatItem } from "../src/phones/visit";

const item = (n: number, external_id: string, status = "sent"): Item => ({
  n,
  direction: "out",
  external_id,
  kind: "text",
  text: external_id,
  buttons: [],
  list: null,
  media: [],
  reply_to: null,
  status,
  at: "2026-11-23T12:00:00.000Z",
});

const said = (seq: number, change: Partial<ChatItem> = {}): ChatItem => ({
  id: `m${seq}`,
  seq,
  dir: "in",
  kind: "text",
  text: `text ${seq}`,
  ts: "2026-11-23T12:00:00.000Z",
  ...change,
});

describe("a stand-in's transcript", () => {
  it("keeps the place of an item whose status moved", () => {
    const first = mergeItems([], [item(1, "a"), item(2, "b")]);
    const then = mergeItems(first, [item(3, "a", "read"), item(4, "c")]);
    expect(then.map(({ external_id, status }) => [external_id, status])).toEqual([
      ["a", "read"],
      ["b", "sent"],
      ["c", "sent"],
    ]);
    expect(mergeItems(then, [])).toBe(then);
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
  const numbers = numbersOf({
    customer: { name: "Ayesha", number: "+8801711000001" },
    phones: [
      { kind: "whatsapp", channel: "wa", account: "106", number: "8801711000001" },
      { kind: "webchat", channel: "site", site: "KEY" },
    ],
  });
  it("is hers with or without the plus", () => {
    expect(isHers(to("8801711000001"), numbers)).toBe(true);
    expect(isHers(to("+8801711000001"), numbers)).toBe(true);
  });

  it("is not hers otherwise", () => {
    expect(isHers(to("+8801711000002"), numbers)).toBe(false);
    expect(isHers(to("visitor"), numbers)).toBe(false);
    expect(isHers(null, numbers)).toBe(false);
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
