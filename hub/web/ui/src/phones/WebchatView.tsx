import { useEffect, useState } from "preact/hooks";
import { clock, fullTime, t } from "../core/i18n";
import type { Entry } from "../core/outbox";
import { channelName } from "../kit/Badge";
import { MediaView } from "../kit/MediaView";
import { MessageBox } from "../kit/MessageBox";
import { RichText } from "../kit/RichText";
import { Ticks } from "../kit/Ticks";
import { PhoneFrame } from "./PhoneFrame";
import type { ChatItem, Said } from "./visit";
import type { WebchatVisitor } from "./webchat";

interface Props {
  visitor: WebchatVisitor;
  customer: string;
  spoken: boolean;
  /** Whether the person can see this phone now: only then is what came marked as read. */
  shown: boolean;
  /** Something was written on this phone. */
  onWritten: () => void;
}

export function WebchatView({ visitor, customer, spoken, shown, onWritten }: Props) {
  const [text, setText] = useState("");
  const items = visitor.items.value;
  const entries = visitor.outbox.entries.value;
  const channel = channelName("webchat");
  useEffect(() => {
    if (shown) visitor.see();
  }, [shown, items, visitor]);
  const footer = (
    <MessageBox
      id="write-webchat"
      label={t("phone.write", { name: customer, channel })}
      placeholder={t("phone.placeholder")}
      value={text}
      onValue={(value) => {
        setText(value);
        visitor.type();
      }}
      onSend={() => {
        visitor.write({ text });
        onWritten();
        setText("");
      }}
      sendLabel={t("phone.send", { channel })}
    />
  );
  return (
    <PhoneFrame
      kind="webchat"
      subtitle={visitor.line.value === "live" ? t("phone.online") : t("phone.offline")}
      typing={visitor.typing.value ? t("phone.typing") : undefined}
      line={visitor.line.value}
      count={items.length + entries.length}
      spoken={spoken}
      footer={footer}
    >
      {items.map((item) => (
        <Line key={item.id} item={item} visitor={visitor} />
      ))}
      {entries.map((entry) => (
        <Waiting key={entry.client_id} entry={entry} visitor={visitor} />
      ))}
    </PhoneFrame>
  );
}

function Line({ item, visitor }: { item: ChatItem; visitor: WebchatVisitor }) {
  const own = item.dir === "out";
  const author = item.author.bot ? t("author.bot") : item.author.name || t("author.agent");
  const buttons = (item.buttons ?? []).filter((button) => button.kind !== "url");
  return (
    <article class={own ? "bubble own" : "bubble"} data-id={item.id}>
      <span class="unseen">{own ? t("phone.you") : author}: </span>
      {item.attachments?.map((media, index) => (
        <MediaView key={media.url ?? index} media={media} />
      ))}
      {item.deleted && <p class="text gone">{t("thread.deleted")}</p>}
      {item.text && <RichText text={item.text} />}
      <footer>
        {!own && <span dir="auto">{author}</span>}
        <time dateTime={item.ts} title={fullTime(item.ts)}>
          {clock(item.ts)}
        </time>
        {own && <Ticks state="sent" quiet />}
      </footer>
      {buttons.length > 0 && (
        <div class="taps">
          {buttons.map(({ id, title }) => (
            <button
              key={id}
              type="button"
              dir="auto"
              onClick={() => visitor.write({ text: title, action: { id } })}
            >
              {title}
            </button>
          ))}
        </div>
      )}
    </article>
  );
}

function Waiting({ entry, visitor }: { entry: Entry<Said>; visitor: WebchatVisitor }) {
  return (
    <article class="bubble own waiting">
      <RichText text={entry.body.text} />
      <footer>
        <time dateTime={entry.at}>{clock(entry.at)}</time>
        <Ticks state={entry.state} quiet={entry.state === "waiting"} />
      </footer>
      {entry.state === "failed" && (
        <div class="again">
          <button type="button" onClick={() => visitor.retry(entry.client_id)}>
            {t("composer.retry")}
          </button>
          <button
            type="button"
            onClick={() => visitor.outbox.discard(entry.client_id)}
          >
            {t("composer.discard")}
          </button>
        </div>
      )}
    </article>
  );
}
