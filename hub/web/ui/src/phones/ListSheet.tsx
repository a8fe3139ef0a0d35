import { useEffect, useRef } from "preact/hooks";
import { t } from "../core/i18n";
import { Icon } from "../kit/Icon";
import type { Item } from "./transcript";

interface Props {
  item: Item;
  onChoose: (row: Item["rows"][number]) => void;
  onClose: () => void;
}

/** WhatsApp's list of choices, as the sheet that opens over the phone. */
export function ListSheet({ item, onChoose, onClose }: Props) {
  const sheet = useRef<HTMLDialogElement>(null);
  useEffect(() => sheet.current?.showModal(), []);
  return (
    <dialog ref={sheet} class="sheet" aria-label={item.list_button || t("phone.listTitle")} onClose={onClose}>
      <header>
        <h3 dir="auto">{item.list_button || t("phone.listTitle")}</h3>
        <button type="button" class="plain" onClick={() => sheet.current?.close()}>
          <Icon name="x" />
          <span class="unseen">{t("phone.close")}</span>
        </button>
      </header>
      <ul>
        {item.rows.map((row) => (
          <li key={row.id}>
            <button
              type="button"
              onClick={() => {
                sheet.current?.close();
                onChoose(row);
              }}
            >
              <strong dir="auto">{row.title}</strong>
              {row.description && <span dir="auto">{row.description}</span>}
            </button>
          </li>
        ))}
      </ul>
    </dialog>
  );
}
