import { tKnown } from "../core/i18n";
import type { State } from "../core/protocol";
import { Icon } from "./Icon";
import type { IconName } from "./icons";

const glyphs: Record<string, IconName> = {
  received: "checkCheck",
  queued: "clock",
  held: "clock",
  sending: "clock",
  waiting: "clock",
  unknown: "clock",
  sent: "check",
  delivered: "checkCheck",
  read: "checkCheck",
  failed: "triangleAlert",
  cancelled: "x",
};

/** How far a message got, as ticks and in words; `quiet` keeps the words for screen
 * readers only. */
export function Ticks({ state, quiet = false }: { state: State | "waiting"; quiet?: boolean }) {
  const glyph = glyphs[state];
  return (
    <span class="ticks" data-state={state}>
      {glyph && <Icon name={glyph} />}
      <span class={quiet ? "unseen" : ""}>{tKnown(`state.${state}`) ?? state}</span>
    </span>
  );
}
