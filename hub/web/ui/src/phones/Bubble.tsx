import { clock, fullTime, t, tKnown } from "../core/i18n";
import type { Entry } from "../core/outbox";
import type { Message } from "../core/protocol";
import { Badge, channelName } from "../kit/Badge";
import { Icon } from "../kit/Icon";
import { MediaView } from "../kit/MediaView";
import { RichText } from "../kit/RichText";
import { Ticks } from "../kit/Ticks";
import { placeOf, type Draft } from "./merge";

export type KindOf = (channel: string | null) => string | null;

export function authorName({ author }: Message, customer: string): string {
  if (author.kind === "customer") return author.name || customer;
  if (author.kind === "agent") return author.name || t("author.agent");
  return author.name || (tKnown(`author.${author.kind}`) ?? author.kind);
}

/** Why it failed, as a sentence that says what to do; the provider's own words otherwise. */
function reasonOf(error: NonNullable<Message["error"]>): string {
  return tKnown(`error.${error.class}`) ?? (error.reason || error.code || t("error.unsaid"));
}

interface Props {
  message: Message;
  customer: string;
  kindOf: KindOf;
}

/** One message of the thread: who, by which channel, what, when and how far it got. */
export function Bubble({ message, customer, kindOf }: Props) {
  const { direction, author, state, error, part } = message;
  const name = authorName(message, customer);
  const own = direction !== "in";
  const at = placeOf(message);
  const lost = state === "failed" || state === "cancelled";
  return (
    <article
      class={own ? "bubble own" : "bubble"}
      data-author={author.kind}
      data-direction={direction}
      data-state={state}
      data-id={message.id}
    >
      <header>
        {author.kind === "bot" && <Icon name="bot" />}
        {direction === "note" && <Icon name="stickyNote" />}
        <strong dir="auto">
          {direction === "note" ? t("author.note", { name }) : name}
        </strong>
        {message.channel && direction !== "note" && <Badge kind={kindOf(message.channel)} />}
      </header>
      {message.deleted_at ? <p class="text gone">{t("thread.deleted")}</p> : <Body {...message} />}
      <footer>
        <time dateTime={at} title={fullTime(at)}>
          {clock(at)}
        </time>
        {message.edited_at && <span>{t("thread.edited")}</span>}
        {part && part.count > 1 && (
          <span>{t("thread.part", { index: part.index + 1, count: part.count })}</span>
        )}
        {direction === "out" && state && <Ticks state={state} />}
      </footer>
      {lost && error && <p class="error">{reasonOf(error)}</p>}
    </article>
  );
}

function Body({ kind, text, choice, media, place, contacts, buttons, reply_to }: Message) {
  const shown = choice && !text ? choice.title : text;
  return (
    <>
      {reply_to?.quote && <blockquote dir="auto">{reply_to.quote}</blockquote>}
      {media.map((one, index) => (
        <MediaView key={one.url ?? index} media={one} />
      ))}
      {place && (
        <p class="media-note">
          <Icon name="mapPin" />
          {place.name || place.address || `${place.latitude}, ${place.longitude}`}
        </p>
      )}
      {contacts.map((contact) => (
        <p key={contact.name} class="media-note">
          <Icon name="user" />
          {contact.name} {contact.phones.join(", ")}
        </p>
      ))}
      {choice && <p class="chose">{t("thread.chose")}</p>}
      {shown && <RichText text={shown} />}
      {kind === "unsupported" && !shown && <p class="text gone">{t("thread.unsupported")}</p>}
      {buttons.length > 0 && (
        <ul class="offered">
          {buttons.map((button) => (
            <li key={button.id} dir="auto">
              {button.title}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

interface WaitingProps {
  entry: Entry<Draft>;
  kindOf: KindOf;
  onRetry: () => void;
  onDiscard: () => void;
}

/** What the agent sent and the hub has not confirmed yet. */
export function Waiting({ entry, kindOf, onRetry, onDiscard }: WaitingProps) {
  const { text, channel, note } = entry.body;
  const failed = entry.state === "failed";
  return (
    <article
      class="bubble own waiting"
      data-author="agent"
      data-direction={note ? "note" : "out"}
      data-state={entry.state}
    >
      <header>
        {note && <Icon name="stickyNote" />}
        <strong>{note ? t("author.note", { name: t("author.you") }) : t("author.you")}</strong>
        {channel && !note && <Badge kind={kindOf(channel)} />}
      </header>
      <RichText text={text} />
      <footer>
        <time dateTime={entry.at}>{clock(entry.at)}</time>
        <Ticks state={entry.state} />
      </footer>
      {failed && (
        <>
          <p class="error" role="alert">
            {tKnown(`error.${entry.reason}`) ?? (entry.reason || t("error.unsaid"))}
          </p>
          <div class="again">
            <button type="button" onClick={onRetry}>
              <Icon name="rotateCw" />
              {t("composer.retry")}
            </button>
            <button type="button" onClick={onDiscard}>
              {t("composer.discard")}
            </button>
          </div>
        </>
      )}
    </article>
  );
}

/** "now on SMS": where the customer and the answers moved to another channel. */
export function ChannelDivider({ kind }: { kind: string | null }) {
  return (
    <p class="divider" data-kind={kind ?? "none"}>
      <span>{t("thread.nowOn", { channel: channelName(kind) })}</span>
    </p>
  );
}
