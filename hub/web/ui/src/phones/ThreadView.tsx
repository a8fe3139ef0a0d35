import { useEffect, useState } from "preact/hooks";
import { dayOf, t } from "../core/i18n";
import { Icon } from "../kit/Icon";
import { Log } from "../kit/Log";
import { Bubble, ChannelDivider, Waiting } from "./Bubble";
import { Composer } from "./Composer";
import { channelName } from "../kit/Badge";
import type { PhoneConfig } from "./config";
import { Ideas, type Say } from "./Ideas";
import type { Row } from "./merge";
import { Owner } from "./Owner";
import type { Thread } from "./thread";

interface Props {
  thread: Thread;
  phones: PhoneConfig[];
  say: Say;
  shown: boolean;
}

/** The hub's side: the one thread of the customer, all channels merged. */
export function ThreadView({ thread, phones, say, shown }: Props) {
  const [ideas, setIdeas] = useState(false);
  const rows = thread.rows.value;
  const name = thread.conversation.value?.customer.name || thread.customerName;
  const unread = thread.conversation.value?.unread ?? 0;
  useEffect(() => {
    if (!shown || unread === 0) return undefined;
    const timer = setTimeout(() => void thread.markRead(), 800);
    return () => clearTimeout(timer);
  }, [shown, unread, thread]);
  const empty = thread.loaded.value && rows.length === 0;
  const trouble = thread.trouble.value;
  return (
    <div class="thread">
      <header class="thread-bar">
        <h2>{t("thread.title")}</h2>
        {!empty && (
          <button
            type="button"
            class="plain"
            aria-label={t("idea.title")}
            title={t("idea.title")}
            aria-expanded={ideas}
            aria-controls="ideas"
            onClick={() => setIdeas(!ideas)}
          >
            <Icon name="lightbulb" />
          </button>
        )}
        <Owner thread={thread} />
      </header>
      <Whose thread={thread} phones={phones} />
      {ideas && !empty && (
        <div id="ideas">
          <Ideas say={say} />
        </div>
      )}
      {trouble && (
        <p class="error" role="alert">
          {trouble === "login" ? t("error.login") : t(`trouble.${trouble}`)}
        </p>
      )}
      <Log label={t("thread.log", { name })} count={rows.length} spoken>
        {!thread.loaded.value && !trouble && <p class="hint">{t("app.loading")}</p>}
        {empty && <Ideas say={say} />}
        {thread.earlier.value && (
          <button type="button" class="earlier" onClick={() => void thread.loadEarlier()}>
            {t("thread.earlier")}
          </button>
        )}
        {rows.map((row) => (
          <RowView key={row.key} row={row} thread={thread} phones={phones} name={name} />
        ))}
      </Log>
      <Composer thread={thread} phones={phones} />
    </div>
  );
}

/** Whose thread is shown: the customer's, or that of a phone the hub cannot know to be hers. */
function Whose({ thread, phones }: { thread: Thread; phones: PhoneConfig[] }) {
  const joined = thread.joined.value;
  const person = thread.person.value;
  const others = phones.filter((phone) => !joined.has(phone.person));
  const known = phones.filter((phone) => joined.has(phone.person));
  if (others.length === 0) return null;
  const names = known.map(({ kind }) => channelName(kind)).join(", ");
  return (
    <div class="whose">
      <label>
        <span class="unseen">{t("person.whose")}</span>
        <select value={person} onChange={(event) => thread.watch(event.currentTarget.value)}>
          <option value="">{t("person.known", { name: thread.customerName, channels: names })}</option>
          {others.map(({ kind, person: id }) => (
            <option key={id} value={id}>
              {t("person.other", { channel: channelName(kind) })}
            </option>
          ))}
        </select>
      </label>
      {person !== "" && (
        <p class="hint" role="note">
          {person === "telegram"
            ? t("person.whyTelegram")
            : t("person.why", { channel: channelName(person) })}
        </p>
      )}
    </div>
  );
}

interface RowProps {
  row: Row;
  thread: Thread;
  phones: PhoneConfig[];
  name: string;
}

function RowView({ row, thread, phones, name }: RowProps) {
  const kindOf = (channel: string | null) =>
    phones.find((phone) => phone.channel === channel)?.kind ?? channel;
  switch (row.kind) {
    case "day":
      return <p class="day">{dayOf(row.at)}</p>;
    case "channel":
      return <ChannelDivider kind={kindOf(row.channel)} />;
    case "message":
      return <Bubble message={row.message} customer={name} kindOf={kindOf} />;
    case "entry":
      return (
        <Waiting
          entry={row.entry}
          kindOf={kindOf}
          onRetry={() => thread.retry(row.entry.client_id)}
          onDiscard={() => thread.outbox.discard(row.entry.client_id)}
        />
      );
  }
}
