import type { ComponentChildren } from "preact";
import { t } from "../core/i18n";
import type { Line } from "../core/live";
import { channelName, glyphOf } from "../kit/Badge";
import { Icon } from "../kit/Icon";
import { Log } from "../kit/Log";

interface Props {
  kind: string;
  subtitle: string;
  line: Line;
  typing?: string | undefined;
  count: number;
  spoken: boolean;
  children: ComponentChildren;
  footer: ComponentChildren;
}

/** A customer's device: its bar, its messages, its writing box. */
export function PhoneFrame(props: Props) {
  const { kind, subtitle, line, typing, count, spoken, children, footer } = props;
  const name = channelName(kind);
  return (
    <div class="phone" data-kind={kind}>
      <header class="phone-bar">
        <Icon name={glyphOf(kind)} />
        <div>
          <h2>{name}</h2>
          <p>{typing ?? subtitle}</p>
        </div>
        <span class="dot" data-line={line} title={t(`line.${line}`)}>
          <span class="unseen">{t(`line.${line}`)}</span>
        </span>
      </header>
      <Log label={t("phone.log", { channel: name })} count={count} spoken={spoken}>
        {count === 0 && <p class="hint">{t("phone.empty")}</p>}
        {children}
      </Log>
      <footer class="phone-foot">{footer}</footer>
    </div>
  );
}
