import { effect, signal } from "@preact/signals";
import { browserStorage } from "./storage";
import { lang } from "./i18n";

export type Theme = "system" | "light" | "dark";

const kept = browserStorage.read<string>("theme", "system");
export const theme = signal<Theme>(kept === "light" || kept === "dark" ? kept : "system");

export function chooseTheme(next: Theme): void {
  browserStorage.write("theme", next);
  theme.value = next;
}

/** Keep the document's language and colours in step with the person's choices. */
export function dressDocument(): void {
  effect(() => {
    document.documentElement.lang = lang.value;
    document.documentElement.dataset["theme"] = theme.value;
  });
}
