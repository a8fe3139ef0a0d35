import { clock, fullTime, t } from "../core/i18n";
import { Icon } from "../kit/Icon";
import { MediaView } from "../kit/MediaView";
import { RichText } from "../kit/RichText";
import { Ticks } from "../kit/Ticks";
import type { Item } from "./transcript";

interface Props {
  item: Item;
  quoted: Item | undefined;
  onButton: (button: Item["buttons"][number]) => void;
  onList: () => void;
}

/** One message on a phone of a provider's stand-in. */
export function SandboxItem({ item, quoted, onButton, onList }: Props) {
  const own = item.direction === "in";
  return (
    <article class={own ? "bubble own" : "bubble"} data-id={item.external_id}>
      {own && <span class="unseen">{t("phone.you")}: </span>}
      {quoted && (
        <blockquote>
          <span class="unseen">{t("phone.answered")}: </span>
          {quoted.text.slice(0, 90)}
        </blockquote>
      )}
      {item.media.map((media, index) => (
        <MediaView key={media.url ?? index} media={media} />
      ))}
      {item.kind === "location" && (
        <p class="media-note">
          <Icon name="mapPin" />
          {t("media.location")}
        </p>
      )}
      {item.text && <RichText text={item.text} />}
      <footer>
        <time dateTime={item.at} title={fullTime(item.at)}>
          {clock(item.at)}
        </time>
        {own && <Ticks state={item.status} quiet />}
      </footer>
      {(item.buttons.length > 0 || item.list) && (
        <div class="taps">
          {item.buttons.map((button) => (
            <button key={button.id} type="button" dir="auto" onClick={() => onButton(button)}>
              {button.title}
            </button>
          ))}
          {item.list && (
            <button type="button" dir="auto" aria-haspopup="dialog" onClick={onList}>
              <Icon name="list" />
              {item.list.button}
            </button>
          )}
        </div>
      )}
    </article>
  );
}
