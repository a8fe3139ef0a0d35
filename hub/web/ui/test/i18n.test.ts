import { describe, expect, it } from "vitest";
import bn from "../../../i18n/ui.bn.json";
import en from "../../../i18n/ui.en.json";
import { formatsOf, render, scriptOf } from "../src/core/i18n";

describe("render", () => {
  it("picks the plural by the language's own rule", () => {
    const words = { n_one: "{{count}} thing", n_other: "{{count}} things" };
    const say = (count: number) => render(words, formatsOf("en"), "n", { count });
    expect([say(1), say(2), say(0)]).toEqual(["1 thing", "2 things", "0 things"]);
  });

  it("writes numbers in the language's digits and leaves typed text alone", () => {
    expect(render(bn, formatsOf("bn"), "sms.left", { left: 12, per: 70 })).toContain("১২");
    expect(render(en, formatsOf("en"), "sms.left", { left: 12, per: 70 })).toBe("12 of 70 left");
    expect(render(en, formatsOf("en"), "owner.agent", { name: "{{count}} 7" })).toBe(
      "{{count}} 7 answers",
    );
  });

  it("says the key itself when nothing is known", () => {
    expect(render({}, formatsOf("en"), "no.such", { count: 3 })).toBe("no.such");
  });
});

describe("formats", () => {
  it("shows times and days in Bangla", () => {
    const at = new Date("2026-11-23T14:05:00");
    expect(formatsOf("bn").time.format(at)).toBe("১৪:০৫");
    expect(formatsOf("bn").day.format(at)).toContain("নভেম্বর");
    expect(formatsOf("en").time.format(at)).toBe("14:05");
  });
});

it("knows the script of a text", () => {
  expect(scriptOf("আমার order কোথায়")).toBe("bn");
  expect(scriptOf("hello")).toBe("en");
  expect(scriptOf("123 👍")).toBeUndefined();
});
