import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { t } from "../core/i18n";
import { browserStorage } from "../core/storage";
import { channelName } from "../kit/Badge";
import { Icon } from "../kit/Icon";
import { MessageBox, touch } from "../kit/MessageBox";
import type { PhoneConfig } from "./config";
import { SmsCount } from "./SandboxPhoneView";
import type { Thread } from "./thread";

type Mode = "reply" | "note";
interface Drafts {
  reply: string;
  note: string;
}

// A reply and a note are two drafts, and each conversation has its own pair: neither ever
// turns into the other, nor follows the agent elsewhere.
const none: Drafts = { reply: "", note: "" };
const drafts = signal<Record<string, Drafts>>(browserStorage.read("drafts", {}));
const mode = signal<Mode>("reply");

function keepDraft(conversation: string, text: string): void {
  const pair = { ...none, ...drafts.value[conversation], [mode.value]: text };
  drafts.value = { ...drafts.value, [conversation]: pair };
  browserStorage.write("drafts", drafts.value);
}

/** Where an agent answers: reply or note, and by which channel. */
export function Composer({ thread, phones }: { thread: Thread; phones: PhoneConfig[] }) {
  const [chosen, setChosen] = useState("");
  const conversation = thread.conversation.value;
  const last = thread.lastChannel.value;
  const reached = phones.filter((phone) =>
    conversation
      ? conversation.channels.includes(phone.channel)
      : phone.person === thread.person.value,
  );
  const picked = reached.some((phone) => phone.channel === chosen) ? chosen : "";
  const channel = picked || last || reached[0]?.channel || null;
  const kindOf = (name: string | null) =>
    phones.find((phone) => phone.channel === name)?.kind ?? name;
  const note = mode.value === "note";
  const id = conversation?.id ?? "";
  const text = (drafts.value[id] ?? none)[mode.value];
  const name = conversation?.customer.name || thread.customerName;
  const onKeyDown = (event: KeyboardEvent) => {
    if (!event.altKey || event.ctrlKey || event.metaKey) return;
    const next = ({ KeyP: "note", KeyL: "reply" } as Record<string, Mode>)[event.code];
    if (!next) return;
    event.preventDefault();
    mode.value = next;
  };
  const send = () => {
    thread.send({ text, channel: note ? null : channel, note });
    keepDraft(id, "");
  };
  return (
    <section class={note ? "composer noting" : "composer"}>
      <div class="composer-top">
        <fieldset class="switch">
          <legend class="unseen">{t("composer.mode")}</legend>
          {(["reply", "note"] as const).map((one) => (
            <button
              key={one}
              type="button"
              aria-pressed={mode.value === one}
              onClick={() => {
                mode.value = one;
              }}
            >
              {one === "note" && <Icon name="stickyNote" />}
              {t(`composer.${one}`)}
            </button>
          ))}
        </fieldset>
        {!note && (
          <label class="picker">
            <span>{t("composer.by")}</span>
            <select value={picked} onChange={(event) => setChosen(event.currentTarget.value)}>
              <option value="">
                {last
                  ? t("composer.auto", { channel: channelName(kindOf(last)) })
                  : channelName(kindOf(channel))}
              </option>
              {reached.map((phone) => (
                <option key={phone.channel} value={phone.channel}>
                  {channelName(phone.kind)}
                </option>
              ))}
            </select>
          </label>
        )}
      </div>
      <MessageBox
        id="answer"
        label={note ? t("composer.writeNote") : t("composer.write", { name })}
        placeholder={note ? t("composer.writeNote") : t("composer.write", { name })}
        value={text}
        onValue={(value) => keepDraft(id, value)}
        onSend={send}
        sendLabel={
          note
            ? t("composer.addNote")
            : t("composer.send", { channel: channelName(kindOf(channel)) })
        }
        wordy
        disabled={!conversation}
        describedBy="answer-hint"
        onKeyDown={onKeyDown}
      />
      <p class="hint" id="answer-hint">
        {hintOf(thread, note)}
      </p>
      {!note && kindOf(channel) === "twilio" && text && <SmsCount id="answer-count" text={text} />}
    </section>
  );
}

function hintOf(thread: Thread, note: boolean): string {
  const conversation = thread.conversation.value;
  if (!conversation) return t("composer.waitsForHer", { name: thread.customerName });
  if (!note && conversation.owner.kind !== "agent") return t("composer.takesOver");
  return touch() ? "" : t("composer.keys");
}
