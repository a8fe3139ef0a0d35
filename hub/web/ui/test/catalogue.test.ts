import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import bn from "../../../i18n/ui.bn.json";
import en from "../../../i18n/ui.en.json";

const both = { en: en as Record<string, string>, bn: bn as Record<string, string> };
const argsOf = (words: string) => [...words.matchAll(/\{\{(\w+)\}\}/g)].map((m) => m[1]).toSorted();
const sources = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((path) => /\.tsx?$/.test(path))
  .map((path) => readFileSync(`src/${path}`, "utf8"))
  .join("\n");

describe("the catalogue", () => {
  it("has every key in every language", () => {
    const keys = { en: Object.keys(both.en).toSorted(), bn: Object.keys(both.bn).toSorted() };
    expect(keys.bn).toEqual(keys.en);
  });

  it("takes the same arguments in every language", () => {
    for (const [key, words] of Object.entries(both.en)) {
      expect([key, ...argsOf(both.bn[key] ?? "")]).toEqual([key, ...argsOf(words)]);
    }
  });

  it("leaves no words empty, and none in Bangla without a Bangla letter but names", () => {
    const names = new Set(["WhatsApp", "SMS", "Messenger", "Instagram", "Telegram", "Onethread"]);
    for (const [key, words] of Object.entries(both.bn)) {
      expect(both.en[key]?.trim(), key).toBeTruthy();
      if (!names.has(words) && key !== "idea.bangla") {
        expect(words, key).toMatch(/\p{Script=Bengali}/u);
      }
    }
  });

  it("holds no word that no page asks for", () => {
    // Keys made at run time from the hub's closed lists.
    const made = /^(state|error|channel|media|author|theme|line|trouble|composer)\./;
    const unasked = Object.keys(both.en).filter((key) => {
      const stem = key.replace(/_(one|other)$/, "");
      return !made.test(key) && !sources.includes(`"${stem}"`);
    });
    expect(unasked).toEqual([]);
  });
});
