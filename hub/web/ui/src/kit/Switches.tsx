import { chooseLang, lang, t, type Lang } from "../core/i18n";
import { chooseTheme, theme, type Theme } from "../core/theme";
import { Icon } from "./Icon";
import type { IconName } from "./icons";

const languages: [code: Lang, name: string, short: string][] = [
  ["en", "English", "En"],
  ["bn", "বাংলা", "বাং"],
];
const themes: [Theme, IconName][] = [
  ["system", "monitor"],
  ["light", "sun"],
  ["dark", "moon"],
];

export function LangSwitch() {
  return (
    <fieldset class="switch">
      <legend class="unseen">{t("switch.lang")}</legend>
      {languages.map(([code, name, short]) => (
        <button
          key={code}
          type="button"
          lang={code}
          aria-pressed={lang.value === code}
          onClick={() => chooseLang(code)}
        >
          <span class="roomy">{name}</span>
          <span class="tight">{short}</span>
        </button>
      ))}
    </fieldset>
  );
}

export function ThemeSwitch() {
  return (
    <fieldset class="switch">
      <legend class="unseen">{t("switch.theme")}</legend>
      {themes.map(([name, icon]) => (
        <button
          key={name}
          type="button"
          aria-pressed={theme.value === name}
          aria-label={t(`theme.${name}`)}
          title={t(`theme.${name}`)}
          onClick={() => chooseTheme(name)}
        >
          <Icon name={icon} />
        </button>
      ))}
    </fieldset>
  );
}
