import { t, tKnown } from "../core/i18n";
import type { ChannelKind } from "../core/protocol";
import { Icon } from "./Icon";
import type { IconName } from "./icons";

const glyphs: Record<string, IconName> = {
  whatsapp: "whatsapp",
  twilio: "smartphone",
  webchat: "globe",
  telegram: "telegram",
  messenger: "messenger",
  instagram: "instagram",
};

export function channelName(kind: ChannelKind | null): string {
  return (kind && tKnown(`channel.${kind}`)) ?? kind ?? t("channel.none");
}

export function glyphOf(kind: ChannelKind | null): IconName {
  return glyphs[kind ?? ""] ?? "messageSquare";
}

/** Which channel something came by: glyph and name, never colour alone. */
export function Badge({ kind }: { kind: ChannelKind | null }) {
  return (
    <span class="badge" data-kind={kind ?? "none"}>
      <Icon name={glyphOf(kind)} />
      {channelName(kind)}
    </span>
  );
}
