import { t, tKnown } from "../core/i18n";
import { Icon } from "./Icon";

interface Shown {
  kind: string;
  mime?: string | null;
  name?: string | null;
  url?: string | null;
  state?: string;
}

/** An address on this origin, or none: the page's policy loads nothing from elsewhere. */
export function localUrl(url: string | null | undefined): string | undefined {
  if (!url) return undefined;
  const full = new URL(url, location.href);
  return full.origin === location.origin ? full.pathname + full.search : undefined;
}

export function MediaView({ media }: { media: Shown }) {
  const url = localUrl(media.url);
  const name = media.name || (tKnown(`media.${media.kind}`) ?? t("media.file"));
  if (media.state === "failed" || media.state === "refused") {
    return (
      <p class="media-note">
        <Icon name="triangleAlert" />
        {t("media.gone", { name })}
      </p>
    );
  }
  if (url && media.kind === "image") {
    return <img class="media" src={url} alt={name} loading="lazy" />;
  }
  return (
    <p class="media-note">
      <Icon name={media.kind === "image" ? "image" : "file"} />
      {url ? (
        <a href={url} target="_blank" rel="noopener noreferrer">
          {name}
        </a>
      ) : (
        <span>{media.state === "pending" ? t("media.pending", { name }) : name}</span>
      )}
    </p>
  );
}
