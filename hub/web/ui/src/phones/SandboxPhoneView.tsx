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
  customer: string;
  spoken: boolean;
}

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

export function SandboxPhoneView({ config, phone, customer, spoken }: Props) {
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [open, setOpen] = useState<Item | null>(null);
  const { kind, number } = config;
  const items = phone.items.value.filter(isShown);
  const channel = channelName(kind);

  const write = async (written: Written): Promise<boolean> => {
    if (busy) return false;
    setBusy(true);
    setRefusal(null);
    try {
      await phone.write(written);
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
      <MessageBox
        id={box}
        label={t("phone.write", { name: customer, channel })}
        placeholder={t("phone.placeholder")}
        value={text}
        onValue={setText}
        onSend={() => void send()}
        sendLabel={t("phone.send", { channel })}
        disabled={busy}
        {...(kind === "twilio" ? { describedBy: `${box}-count` } : {})}
      >
        {kind === "whatsapp" && (
          <>
            <button
              type="button"
              class="plain"
              aria-label={t("phone.photo")}
              title={t("phone.photo")}
              onClick={() =>
                void write({ image: { mime: "image/jpeg", caption: t("phone.photoCaption") } })
              }
            >
              <Icon name="image" />
            </button>
            <button
              type="button"
              class="plain"
              aria-label={t("phone.place")}
              title={t("phone.place")}
              onClick={() => void write({ location: { ...PLACE, name: t("phone.placeName") } })}
            >
              <Icon name="mapPin" />
            </button>
          </>
        )}
      </MessageBox>
      {kind === "twilio" && <SmsCount id={`${box}-count`} text={text} />}
    </>
  );

  return (
    <PhoneFrame
      kind={kind}
      subtitle={number}
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
