import { expect, it } from "vitest";
import { Outbox } from "../src/core/outbox";
import { memoryStorage } from "../src/core/storage";

it("sends in order, and settles once however often it is told", () => {
  const outbox = new Outbox<string>(memoryStorage(), "t");
  const [a, b] = [outbox.add("a"), outbox.add("b")];
  expect(outbox.next()).toBe(a);
  outbox.settle(a.client_id);
  outbox.settle(a.client_id);
  outbox.settle(null);
  expect(outbox.next()).toBe(b);
  expect(a.client_id).not.toBe(b.client_id);
});

it("keeps what was not confirmed over a reload, under the same client id", () => {
  const storage = memoryStorage();
  const { client_id } = new Outbox<string>(storage, "t").add("a");
  const reloaded = new Outbox<string>(storage, "t");
  expect(reloaded.next()).toMatchObject({ client_id, body: "a", state: "waiting" });
  reloaded.settle(client_id);
  expect(new Outbox<string>(storage, "t").entries.value).toEqual([]);
});

it("steps over what was refused until it is tried again, and forgets what is discarded", () => {
  const outbox = new Outbox<string>(memoryStorage(), "t");
  const [a, b] = [outbox.add("a"), outbox.add("b")];
  outbox.refuse(a.client_id, "window closed");
  expect(outbox.next()?.client_id).toBe(b.client_id);
  expect(outbox.entries.value[0]).toMatchObject({ state: "failed", reason: "window closed" });
  outbox.retry(a.client_id);
  expect(outbox.next()).toMatchObject({ client_id: a.client_id, reason: "" });
  outbox.discard(a.client_id);
  expect(outbox.has(a.client_id)).toBe(false);
});
