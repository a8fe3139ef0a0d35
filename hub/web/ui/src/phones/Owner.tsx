import { useState } from "preact/hooks";
import { t } from "../core/i18n";
import type { Conversation } from "../core/protocol";
import { Icon } from "../kit/Icon";
import type { IconName } from "../kit/icons";
import type { Thread } from "./thread";

const glyphs: Record<string, IconName> = { bot: "bot", queue: "inbox", agent: "user" };

export function ownerWords({ owner }: Conversation): string {
  if (owner.kind === "agent") return t("owner.agent", { name: owner.name || t("author.agent") });
  return owner.kind === "bot" ? t("owner.bot") : t("owner.queue");
}

/** Who answers the customer now, and the way back to the bot. */
export function Owner({ thread }: { thread: Thread }) {
  const [resume, setResume] = useState(false);
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState(false);
  const conversation = thread.conversation.value;
  if (!conversation) return null;
  const { kind } = conversation.owner;
  const giveBack = async () => {
    if (busy) return;
    setBusy(true);
    setFailed(false);
    try {
      await thread.release(resume);
    } catch {
      setFailed(true);
    }
    setBusy(false);
  };
  return (
    <>
      <p class="owner" role="status" aria-label={t("owner.label")} data-owner={kind}>
        <Icon name={glyphs[kind] ?? "user"} />
        {ownerWords(conversation)}
      </p>
      {kind !== "bot" && (
        <div class="back">
          <button type="button" aria-disabled={busy} onClick={() => void giveBack()}>
            <Icon name="undo2" />
            {t("owner.giveBack")}
          </button>
          <label>
            <input
              type="checkbox"
              checked={resume}
              onChange={(event) => setResume(event.currentTarget.checked)}
            />
            {t("owner.resume")}
          </label>
        </div>
      )}
      {failed && (
        <p class="error" role="alert">
          {t("owner.failed")}
        </p>
      )}
    </>
  );
}
