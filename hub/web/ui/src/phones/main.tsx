import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { call, CallFailed } from "../core/api";
import { readBoot } from "../core/boot";
import { t } from "../core/i18n";
import { dressDocument } from "../core/theme";
import "../styles/app.css";
import type { Boot, DemoConfig } from "./config";
import { Demo } from "./Demo";

function Page() {
  const [config, setConfig] = useState<DemoConfig | null>(readBoot<Boot>().config ?? null);
  const [failed, setFailed] = useState<CallFailed | null>(null);
  const load = () => {
    setFailed(null);
    call<DemoConfig>("/demo/config").then(setConfig, setFailed);
  };
  useEffect(() => {
    if (!config) load();
  }, []);
  if (config) return <Demo config={config} />;
  return (
    <main class="whole" aria-busy={!failed}>
      <h1>{t("app.demo")}</h1>
      {failed ? (
        <div role="alert">
          <p>{t("app.failed")}</p>
          <p>{failed.trouble === "login" ? t("error.login") : t("trouble.offline")}</p>
          <button type="button" onClick={load}>
            {t("app.again")}
          </button>
        </div>
      ) : (
        <p class="late">{t("app.loading")}</p>
      )}
    </main>
  );
}

dressDocument();
const root = document.getElementById("app");
if (root) render(<Page />, root);
