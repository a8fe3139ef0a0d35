import { number, t } from "../core/i18n";
import { Icon } from "./Icon";
import type { IconName } from "./icons";

export interface Tab {
  id: string;
  title: string;
  icon: IconName;
  fresh: number;
}

interface Props {
  label: string;
  tabs: Tab[];
  chosen: string;
  onChoose: (id: string) => void;
}

/** One tab stop; arrow keys, Home and End choose. Panels are `panel-{id}`. */
export function Tabs({ label, tabs, chosen, onChoose }: Props) {
  const onKeyDown = (event: KeyboardEvent) => {
    const at = tabs.findIndex((tab) => tab.id === chosen);
    const target = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    const next = tabs.at(target % tabs.length);
    if (!next) return;
    onChoose(next.id);
    document.getElementById(`tab-${next.id}`)?.focus();
  };
  return (
    // oxlint-disable-next-line jsx-a11y/interactive-supports-focus -- its tabs hold the focus
    <div class="tabs" role="tablist" aria-label={label} onKeyDown={onKeyDown}>
      {tabs.map((tab) => (
        <button
          key={tab.id}
          type="button"
          role="tab"
          id={`tab-${tab.id}`}
          aria-selected={tab.id === chosen}
          aria-controls={`panel-${tab.id}`}
          tabIndex={tab.id === chosen ? 0 : -1}
          onClick={() => onChoose(tab.id)}
        >
          <Icon name={tab.icon} />
          <span>{tab.title}</span>
          {tab.fresh > 0 && (
            <span class="fresh">
              <span aria-hidden="true">{number(tab.fresh)}</span>
              <span class="unseen">{t("log.new", { count: tab.fresh })}</span>
            </span>
          )}
        </button>
      ))}
    </div>
  );
}
