import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../core/i18n";
import { Icon } from "./Icon";

interface Props {
  label: string;
  /** How many lines there are; a higher number while reading above shows the pill. */
  count: number;
  /** False where another log on the page already speaks the same words. */
  spoken: boolean;
  children: ComponentChildren;
}

/** A conversation's scroller. Reversed flex keeps it at the newest line without script, and
 * reading above is never moved by what arrives. */
export function Log({ label, count, spoken, children }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const [away, setAway] = useState(false);
  const [seen, setSeen] = useState(count);
  useEffect(() => {
    if (!away) setSeen(count);
  }, [away, count]);
  const fresh = away ? Math.max(0, count - seen) : 0;
  const toEnd = () => {
    scroller.current?.scrollTo({ top: 0 });
    scroller.current?.focus();
  };
  return (
    <div class="log-frame">
      <div
        ref={scroller}
        class="log"
        role="log"
        aria-label={label}
        aria-live={spoken ? "polite" : "off"}
        // A scroller must be reachable by keyboard to be read by it.
        tabIndex={0} // oxlint-disable-line jsx-a11y/no-noninteractive-tabindex
        onScroll={(event) => setAway(event.currentTarget.scrollTop < -60)}
      >
        <div class="log-lines">{children}</div>
      </div>
      {fresh > 0 && (
        <button type="button" class="pill" onClick={toEnd}>
          <Icon name="arrowDown" />
          {t("log.new", { count: fresh })}
        </button>
      )}
    </div>
  );
}
