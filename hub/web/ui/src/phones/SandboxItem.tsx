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
  onList: () => void;
}

/** One message on a phone of a provider's stand-in. */
export function SandboxItem({ kind, item, quoted, onButton, onList }: Props) {
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
          media={{ kind: media.kind, mime: media.mime, url: fileUrl(kind, media.url) }}
        />
      ))}
      {item.place && (
        <p class="media-note">
          <Icon name="mapPin" />
          <span dir="auto">{item.place.name ?? item.place.address ?? t("media.location")}</span>
        </p>
      )}
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
              <button key={button.id} type="button" dir="auto" onClick={() => onButton(button)}>
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
    </article>
  );
}
