import { computed, signal, type ReadonlySignal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../core/i18n";
import { channelName, glyphOf } from "../kit/Badge";
import { Icon } from "../kit/Icon";
import { LangSwitch, ThemeSwitch } from "../kit/Switches";
import { Tabs, type Tab } from "../kit/Tabs";
import type { DemoConfig, PhoneConfig } from "./config";
import { followPhones, SandboxPhone } from "./sandbox";
import { SandboxPhoneView } from "./SandboxPhoneView";
import { Thread } from "./thread";
import { ThreadView } from "./ThreadView";
import { WebchatView } from "./WebchatView";
import { WebchatVisitor } from "./webchat";

const NARROW = matchMedia("(max-width: 1099px)");
const narrow = signal(NARROW.matches);
NARROW.addEventListener("change", () => {
  narrow.value = NARROW.matches;
});

interface Device {
  config: PhoneConfig;
  client: SandboxPhone | WebchatVisitor;
  /** What the business sent to it: a number on its tab while another is looked at. */
  heard: ReadonlySignal<number>;
}

function deviceOf(config: PhoneConfig, name: string): Device {
  if (config.kind === "webchat") {
    const client = new WebchatVisitor(config);
    const heard = computed(() => client.items.value.filter((item) => item.dir === "in").length);
    return { config, client, heard };
  }
  const client = new SandboxPhone(config, name);
  const heard = computed(() => client.items.value.filter((item) => item.direction === "out").length);
  return { config, client, heard };
}

/** The customer's phones beside the hub's thread; one at a time on small screens. */
export function Demo({ config }: { config: DemoConfig }) {
  const [{ devices, thread }] = useState(() => ({
    devices: config.phones.map((phone) => deviceOf(phone, config.customer.name)),
    thread: new Thread(config),
  }));
  const [chosen, setChosen] = useState("thread");
  useEffect(() => {
    const clients = devices.map((device) => device.client);
    for (const client of clients) if (client instanceof WebchatVisitor) client.start();
    const stopped = new AbortController();
    void followPhones(
      clients.filter((client) => client instanceof SandboxPhone),
      stopped.signal,
    );
    thread.start();
    return () => stopped.abort();
  }, [devices, thread]);

  const say = (kind: string, text: string) => {
    const device = devices.find((one) => one.config.kind === kind);
    if (!device) return;
    lookAt(kind);
    thread.watch(device.config.person);
    if (device.client instanceof WebchatVisitor) device.client.write({ text });
    else void device.client.write({ text }).catch(() => setChosen(kind));
  };
  const { name } = config.customer;
  const tabs: Tab[] = [
    ...devices.map(({ config: { kind } }) => ({
      id: kind,
      title: channelName(kind),
      icon: glyphOf(kind),
      fresh: 0,
    })),
    { id: "thread", title: t("thread.tab"), icon: "messageSquare", fresh: 0 },
  ];
  const heard = [...devices.map((device) => device.heard.value), thread.messages.value.length];
  const fresh = useFresh(heard, tabs.findIndex((tab) => tab.id === chosen));
  tabs.forEach((tab, index) => Object.assign(tab, { fresh: fresh[index] ?? 0 }));
  const shown = (id: string) => !narrow.value || chosen === id;
  const panel = (id: string, title: string) =>
    narrow.value
      ? { id: `panel-${id}`, role: "tabpanel" as const, "aria-labelledby": `tab-${id}`, hidden: !shown(id) }
      : { id: `panel-${id}`, "aria-label": title };

  return (
    <div class="demo">
      <a class="skip" href="#answer" onClick={() => setChosen("thread")}>
        {t("app.skip")}
      </a>
      <header class="top">
        <h1>
          {t("app.name")} <span class="roomy">{t("app.demoWord")}</span>
        </h1>
        <p class="who roomy">
          <Icon name="user" />
          <span dir="auto">{name}</span> <span class="number">{config.customer.number}</span>
        </p>
        <LangSwitch />
        <ThemeSwitch />
      </header>
      <OfflineBar thread={thread} />
      {narrow.value && (
        <nav>
          <Tabs label={t("app.views")} tabs={tabs} chosen={chosen} onChoose={setChosen} />
        </nav>
      )}
      <main class="stage">
        {!narrow.value && (
          <nav class="jumps" aria-label={t("app.phones")}>
            {devices.map(({ config: { kind } }) => (
              <button key={kind} type="button" data-kind={kind} onClick={() => lookAt(kind)}>
                <Icon name={glyphOf(kind)} />
                {channelName(kind)}
              </button>
            ))}
          </nav>
        )}
        <div class="strip">
          {devices.map(({ config: phone, client }) => (
            <section key={phone.kind} class="cell" {...panel(phone.kind, channelName(phone.kind))}>
              {client instanceof WebchatVisitor ? (
                <WebchatView
                  visitor={client}
                  customer={name}
                  spoken={narrow.value}
                  shown={shown("webchat")}
                  onWritten={() => thread.watch(phone.person)}
                />
              ) : phone.kind === "webchat" ? null : (
                <SandboxPhoneView
                  config={phone}
                  phone={client}
                  customer={config.customer}
                  spoken={narrow.value}
                  onWritten={() => thread.watch(phone.person)}
                />
              )}
            </section>
          ))}
        </div>
        <section class="cell wide" {...panel("thread", t("thread.title"))}>
          <ThreadView thread={thread} phones={config.phones} say={say} shown={shown("thread")} />
        </section>
      </main>
    </div>
  );
}

/** Bring a phone of the strip into view. */
function lookAt(kind: string): void {
  const phone = document.getElementById(`panel-${kind}`);
  phone?.parentElement?.scrollTo({ left: phone.offsetLeft });
}

/** How many of each came since its tab was last looked at. */
function useFresh(heard: number[], looked: number): number[] {
  const seen = useRef<number[] | null>(null);
  seen.current ??= heard.map(() => 0);
  if (looked >= 0) seen.current[looked] = heard[looked] ?? 0;
  return heard.map((count, index) => Math.max(0, count - (seen.current?.[index] ?? 0)));
}

function OfflineBar({ thread }: { thread: Thread }) {
  const line = thread.live.line.value;
  const waiting = thread.outbox.entries.value.filter((entry) => entry.state === "waiting").length;
  return (
    <div role="status" class="offline-slot">
      {line === "offline" && (
        <p class="offline">
          <Icon name="wifiOff" />
          <span>
            {t("offline.bar")} {waiting > 0 && t("offline.waiting", { count: waiting })}
          </span>
        </p>
      )}
    </div>
  );
}
