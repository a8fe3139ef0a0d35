import { clock, fullTime, t } from "../core/i18n";
import { Icon } from "../kit/Icon";
import { MediaView } from "../kit/MediaView";
import { RichText } from "../kit/RichText";
import { Ticks } from "../kit/Ticks";
import { fileUrl, type Item } from "./transcript";

interface Props {
  kind: string;
  item: Item;
  quoted: Item | undefined;
  onButton: (button: Item["buttons"][number]) => void;
  onQuickReply: (reply: Item["quick_replies"][number]) => void;
  onList: () => void;
}

/** One message on a phone of a provider's stand-in. */
export function SandboxItem({ kind, item, quoted, onButton, onQuickReply, onList }: Props) {
  const own = item.direction === "in";
  const at = new Date(item.at * 1000).toISOString();
  return (
    <article class={own ? "bubble own" : "bubble"} data-id={item.external_id}>
      {own && <span class="unseen">{t("phone.you")}: </span>}
      {quoted && (
        <blockquote dir="auto">
          <span class="unseen">{t("phone.answered")}: </span>
          {[...quoted.text].slice(0, 90).join("")}
        </blockquote>
      )}
      {item.header && (
        <p class="text" dir="auto">
          <strong>{item.header}</strong>
        </p>
      )}
      {item.media.map((media, index) => (
        <MediaView
          key={media.id ?? index}
          media={{ kind: media.kind === "photo" ? "image" : media.kind, mime: media.mime, url: fileUrl(kind, media.url) }}
        />
      ))}
      {item.place && (
        <p class="media-note">
          <Icon name="mapPin" />
          <span dir="auto">{item.place.name ?? item.place.address ?? t("media.location")}</span>
        </p>
      )}
      {item.kind === "own_contact" && <p class="text">{t("phone.numberShared")}</p>}
      {item.kind === "unsupported" && <p class="text gone">{t("thread.unsupported")}</p>}
      {item.text && <RichText text={item.text} />}
      {item.reaction && <RichText text={item.reaction.emoji} />}
      {item.footer && (
        <p class="hint" dir="auto">
          {item.footer}
        </p>
      )}
      <footer>
        <time dateTime={at} title={fullTime(at)}>
          {clock(at)}
        </time>
        {own && <Ticks state={item.status} quiet />}
      </footer>
      {(item.buttons.length > 0 || item.list_button !== null) && (
        <div class="taps">
          {item.buttons.map((button) =>
            button.url ? (
              <a key={button.url} href={button.url} target="_blank" rel="noopener noreferrer">
                {button.title}
              </a>
            ) : (
              <button
                key={button.id}
                type="button"
                dir="auto"
                class={isTapped(item, button) ? "tapped" : undefined}
                onClick={() => onButton(button)}
              >
                {isTapped(item, button) && (
                  <Icon name={item.choice?.answered === false ? "clock" : "check"} />
                )}
                {button.title}
              </button>
            ),
          )}
          {item.list_button !== null && (
            <button type="button" dir="auto" aria-haspopup="dialog" onClick={onList}>
              <Icon name="list" />
              {item.list_button}
            </button>
          )}
        </div>
      )}
      {item.quick_replies.length > 0 && (
        <div class="chips">
          {item.quick_replies.map((reply) => (
            <button key={reply.id} type="button" dir="auto" onClick={() => onQuickReply(reply)}>
              {reply.title}
            </button>
          ))}
        </div>
      )}
    </article>
  );
}

/** Telegram shows a tap on the button itself, as waiting until the bot has answered it. */
function isTapped({ direction, choice }: Item, { id }: Item["buttons"][number]): boolean {
  return direction === "out" && choice?.id === id;
}
