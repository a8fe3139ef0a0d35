import { useState } from "preact/hooks";
import { CallFailed } from "../core/api";
import { t } from "../core/i18n";
import { segmentsOf } from "../core/segments";
import { channelName } from "../kit/Badge";
import { Icon } from "../kit/Icon";
import { MessageBox } from "../kit/MessageBox";
import type { SandboxPhoneConfig } from "./config";
import { ListSheet } from "./ListSheet";
import { PhoneFrame } from "./PhoneFrame";
import type { SandboxPhone } from "./sandbox";
import { SandboxItem } from "./SandboxItem";
import { isShown, type Item, type Written } from "./transcript";

const PLACE = { latitude: 23.7461, longitude: 90.3742 };

interface Props {
  config: SandboxPhoneConfig;
  phone: SandboxPhone;
  customer: { name: string; number: string };
  spoken: boolean;
  /** Something was written on this phone. */
  onWritten: () => void;
}

// What a person can send there. Messenger and Instagram carry no words with a picture, and
// Instagram no place.
const PHOTOS = new Set(["whatsapp", "telegram", "messenger", "instagram"]);
const PLACES = new Set(["whatsapp", "telegram", "messenger"]);
const CAPTIONS = new Set(["whatsapp", "telegram"]);

/** Parts and what is left of the last, as a phone's own SMS app counts. */
export function SmsCount({ id, text }: { id: string; text: string }) {
  const { encoding, parts, left, per } = segmentsOf(text);
  return (
    <p class="count" id={id}>
      {t("sms.left", { left, per })} · {t("sms.parts", { count: Math.max(parts, 1) })}
      {encoding === "UCS-2" && <> · {t("sms.unicode", { per })}</>}
    </p>
  );
}

export function SandboxPhoneView({ config, phone, customer, spoken, onWritten }: Props) {
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [open, setOpen] = useState<Item | null>(null);
  const { kind, number } = config;
  const items = phone.items.value.filter((item) => isShown(item, kind));
  const channel = channelName(kind);

  const write = async (written: Written): Promise<boolean> => {
    if (busy) return false;
    setBusy(true);
    setRefusal(null);
    try {
      await phone.write(written);
      onWritten();
      return true;
    } catch (error) {
      setRefusal(error instanceof CallFailed && !error.passing ? error.detail : "");
      return false;
    } finally {
      setBusy(false);
    }
  };
  const send = async () => {
    if (await write({ text })) setText("");
  };

  const box = `write-${kind}`;
  const footer = (
    <>
      {refusal !== null && (
        <p class="error" role="alert">
          {refusal ? t("phone.refused", { reason: refusal }) : t("phone.failed")}
        </p>
      )}
      {kind === "telegram" && items.length === 0 && (
        <button
          type="button"
          class="share"
          onClick={() =>
            void write({ own_contact: { name: customer.name, phones: [customer.number] } })
          }
        >
          <Icon name="smartphone" />
          {t("phone.shareNumber")}
        </button>
      )}
      <MessageBox
        id={box}
        label={t("phone.write", { name: customer.name, channel })}
        placeholder={t("phone.placeholder")}
        value={text}
        onValue={setText}
        onSend={() => void send()}
        sendLabel={t("phone.send", { channel })}
        disabled={busy}
        {...(kind === "twilio" ? { describedBy: `${box}-count` } : {})}
      >
        {PHOTOS.has(kind) && (
          <button
            type="button"
            class="plain"
            aria-label={t("phone.photo")}
            title={t("phone.photo")}
            onClick={() =>
              void write({
                image: {
                  mime: "image/jpeg",
                  ...(CAPTIONS.has(kind) ? { caption: t("phone.photoCaption") } : {}),
                },
              })
            }
          >
            <Icon name="image" />
          </button>
        )}
        {PLACES.has(kind) && (
          <button
            type="button"
            class="plain"
            aria-label={t("phone.place")}
            title={t("phone.place")}
            onClick={() => void write({ location: { ...PLACE, name: t("phone.placeName") } })}
          >
            <Icon name="mapPin" />
          </button>
        )}
      </MessageBox>
      {kind === "twilio" && <SmsCount id={`${box}-count`} text={text} />}
    </>
  );

  return (
    <PhoneFrame
      kind={kind}
      subtitle={kind === "whatsapp" || kind === "twilio" ? number : customer.name}
      line={phone.line.value}
      count={items.length}
      spoken={spoken}
      footer={footer}
    >
      {items.map((item) => (
        <SandboxItem
          key={item.external_id}
          kind={kind}
          item={item}
          quoted={
            item.reply_to ? items.find((one) => one.external_id === item.reply_to) : undefined
          }
          onButton={({ id, title }) =>
            void write({ button: { id, title, reply_to: item.external_id } })
          }
          onQuickReply={({ id, title }) =>
            void write({ quick_reply: { id, title, reply_to: item.external_id } })
          }
          onList={() => setOpen(item)}
        />
      ))}
      {open && (
        <ListSheet
          item={open}
          onClose={() => setOpen(null)}
          onChoose={({ id, title, description }) =>
            void write({
              list_row: {
                id,
                title,
                reply_to: open.external_id,
                ...(description ? { description } : {}),
              },
            })
          }
        />
      )}
    </PhoneFrame>
  );
}
