import { t, type Key } from "../core/i18n";
import { Badge } from "../kit/Badge";

export type Say = (kind: string, text: string) => void;

const ideas: { kind: string; words: Key }[] = [
  { kind: "twilio", words: "idea.order" },
  { kind: "whatsapp", words: "idea.hello" },
  { kind: "webchat", words: "idea.human" },
  { kind: "whatsapp", words: "idea.bangla" },
];

/** What a newcomer can do here, as words that are sent by pressing them. */
export function Ideas({ say }: { say: Say }) {
  return (
    <div class="ideas">
      <h3>{t("idea.lead")}</h3>
      <p>{t("idea.how")}</p>
      <ul>
        {ideas.map(({ kind, words }) => (
          <li key={words}>
            <button type="button" class="chip" onClick={() => say(kind, t(words))}>
              <Badge kind={kind} />
              <span dir="auto">{t(words)}</span>
            </button>
          </li>
        ))}
      </ul>
      <p class="hint">{t("idea.press")}</p>
    </div>
  );
}
