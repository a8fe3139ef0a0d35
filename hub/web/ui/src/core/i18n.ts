import { computed, signal } from "@preact/signals";
import bn from "../../../../i18n/ui.bn.json";
import en from "../../../../i18n/ui.en.json";
import { browserStorage } from "./storage";

export type Lang = "en" | "bn";
type Plural<K> = K extends `${infer Stem}_${"one" | "other"}` ? Stem : K;
/** Every word of the page; plurals by their stem (i18next v4: stem_one, stem_other). */
export type Key = Plural<keyof typeof en>;
export type Catalogue = Record<string, string>;
export type Args = Record<string, string | number>;

const catalogues: Record<Lang, Catalogue> = { en, bn };
const locales: Record<Lang, string> = { en: "en-GB", bn: "bn-BD" };

function preferred(): Lang {
  const kept = browserStorage.read<string>("lang", "");
  if (kept === "en" || kept === "bn") return kept;
  return typeof navigator !== "undefined" && navigator.language.startsWith("bn") ? "bn" : "en";
}

export const lang = signal<Lang>(preferred());
const formats = computed(() => formatsOf(lang.value));

export function chooseLang(next: Lang): void {
  browserStorage.write("lang", next);
  lang.value = next;
}

export function formatsOf(language: Lang) {
  const locale = locales[language];
  return {
    number: new Intl.NumberFormat(locale),
    plural: new Intl.PluralRules(locale),
    time: new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
    day: new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" }),
    full: new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "medium", hourCycle: "h23" }),
  };
}

/** The word for `key` in `catalogue`; `{{name}}` takes `args.name`, numbers in the
 * language's own digits; `args.count` picks the plural. */
export function render(
  catalogue: Catalogue,
  { number: digits, plural }: Pick<ReturnType<typeof formatsOf>, "number" | "plural">,
  key: string,
  args: Args = {},
): string {
  let words = catalogue[key];
  if (words === undefined && typeof args["count"] === "number") {
    words = catalogue[`${key}_${plural.select(args["count"])}`] ?? catalogue[`${key}_other`];
  }
  return (words ?? key).replace(/\{\{(\w+)\}\}/g, (whole, name: string) => {
    const value = args[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? digits.format(value) : value;
  });
}

export function t(key: Key, args?: Args): string {
  return render(catalogues[lang.value], formats.value, key, args);
}

/** The word for a key made at run time from a closed list of the hub's (states, error
 * classes); `undefined` for a value this page does not know yet. */
export function tKnown(key: string): string | undefined {
  return catalogues[lang.value][key];
}

export const number = (value: number): string => formats.value.number.format(value);
export const clock = (iso: string): string => formats.value.time.format(new Date(iso));
export const dayOf = (iso: string): string => formats.value.day.format(new Date(iso));
export const fullTime = (iso: string): string => formats.value.full.format(new Date(iso));

/** The language a text is written in, for its `lang` attribute; the page's own when it
 * holds no letter of either script. */
export function scriptOf(text: string): Lang | undefined {
  if (/\p{Script=Bengali}/u.test(text)) return "bn";
  return /\p{Script=Latin}/u.test(text) ? "en" : undefined;
}
