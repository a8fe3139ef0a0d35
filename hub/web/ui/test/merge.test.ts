import { describe, expect, it } from "vitest";
import type { Entry } from "../src/core/outbox";
import type { Message } from "../src/core/protocol";
import { lastChannel, mergeMessages, newer, rowsOf, type Draft } from "../src/phones/merge";

function message(seq: number, change: Partial<Message> = {}): Message {
  return {
    id: `m${seq}`,
    seq,
    conversation_id: "c",
    direction: "in",
    author: { kind: "customer", id: null, name: null },
    channel: "sms",
    address: { channel: "sms", external_id: "+8801711000001" },
    kind: "text",
    text: `text ${seq}`,
    media: [],
    buttons: [],
    choice: null,
    place: null,
    contacts: [],
    reply_to: null,
    edited_at: null,
    deleted_at: null,
    client_id: null,
    part: null,
    state: "received",
    error: null,
    sent_at: null,
    created_at: "2026-11-23T12:00:00.000Z",
    ...change,
  };
}

const entry = (client_id: string): Entry<Draft> => ({
  client_id,
  body: { conversation: "c", text: "hi", channel: "sms", note: false },
  at: "2026-11-23T12:00:00.000Z",
  state: "waiting",
  reason: "",
});

const at = (created_at: string, sent_at: string) => ({ created_at, sent_at });

describe("mergeMessages", () => {
  it("keeps the conversation's order and each message once, in any order of arrival", () => {
    const all = [3, 1, 2, 3, 1].reduce<readonly Message[]>(
      (known, seq) => mergeMessages(known, [message(seq)]),
      [],
    );
    expect(all.map((one) => one.seq)).toEqual([1, 2, 3]);
  });

  it("shows what came late at the time it was sent, and what came at once when it came", () => {
    const all = mergeMessages(
      [],
      [
        message(1, at("2026-11-23T12:00:00.900Z", "2026-11-23T12:00:00.000Z")),
        message(2, at("2026-11-23T12:00:01.100Z", "2026-11-23T12:00:00.000Z")),
        message(3, at("2026-11-23T12:00:02.000Z", "2026-11-23T11:30:00.000Z")),
        message(4, {
          direction: "out",
          ...at("2026-11-23T12:00:00.950Z", "2026-11-23T11:00:00.000Z"),
        }),
      ],
    );
    expect(all.map((one) => one.seq)).toEqual([3, 1, 4, 2]);
  });

  it("gives the same array back when nothing came", () => {
    const known = [message(1)];
    expect(mergeMessages(known, [])).toBe(known);
  });

  it("takes an edit's text", () => {
    const [only] = mergeMessages([message(1)], [message(1, { text: "mended" })]);
    expect(only?.text).toBe("mended");
  });
});

const state = (known: string, incoming: string) =>
  newer(message(1, { state: known }), message(1, { state: incoming })).state;

describe("newer", () => {
  it.each([
    ["delivered", "sent", "delivered"],
    ["read", "delivered", "read"],
    ["read", "failed", "read"],
    ["sent", "failed", "failed"],
    ["failed", "delivered", "delivered"],
    ["sent", "queued", "sent"],
    ["sending", "queued", "queued"],
    ["unknown", "sending", "sending"],
    ["read", "a word of a later hub", "read"],
  ])("%s, then %s, is %s", (known, incoming, result) => {
    expect(state(known, incoming)).toBe(result);
  });

  it("keeps the reason of a failure it keeps", () => {
    const error = { code: "1", class: "blocked", reason: "" };
    const kept = newer(message(1, { state: "failed", error }), message(1, { state: "queued" }));
    expect(kept.error).toEqual(error);
  });
});

describe("rowsOf", () => {
  it("divides where the channel changes, and not for a note between", () => {
    const rows = rowsOf(
      [
        message(1),
        message(2, { direction: "note", channel: null }),
        message(3, { direction: "out" }),
        message(4, { channel: "wa" }),
        message(5, { channel: "wa" }),
      ],
      [],
    );
    expect(rows.map((row) => row.kind)).toEqual([
      "day",
      "channel",
      "message",
      "message",
      "message",
      "channel",
      "message",
      "message",
    ]);
  });

  it("divides by day", () => {
    const rows = rowsOf([message(1), message(2, { created_at: "2026-11-25T12:00:00.000Z" })], []);
    expect(rows.filter((row) => row.kind === "day")).toHaveLength(2);
  });

  it("never shows what waits beside its confirmed self", () => {
    const rows = rowsOf([message(1, { client_id: "a" })], [entry("a"), entry("b")]);
    expect(rows.filter((row) => row.kind === "entry").map((row) => row.key)).toEqual(["b"]);
  });
});

it("answers where she wrote last, whatever was sent to her since", () => {
  const thread = [message(1), message(2, { channel: "wa" }), message(3, { direction: "out" })];
  expect(lastChannel(thread)).toBe("wa");
  expect(lastChannel([])).toBeNull();
});
