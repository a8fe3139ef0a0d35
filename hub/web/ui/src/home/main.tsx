import { render } from "preact";
import { readBoot } from "../core/boot";
import { t } from "../core/i18n";
import { dressDocument } from "../core/theme";
import { Icon } from "../kit/Icon";
import { LangSwitch, ThemeSwitch } from "../kit/Switches";
import "../styles/app.css";

interface Boot {
  /** Whether this process plays the demo. */
  demo: boolean;
}

function Home({ demo }: { demo: boolean }) {
  return (
    <main class="whole">
      <header class="top">
        <h1>{t("app.name")}</h1>
        <LangSwitch />
        <ThemeSwitch />
      </header>
      <p>{t("home.lead")}</p>
      <ul class="doors">
        {demo && (
          <li>
            <a href="/demo">
              <Icon name="smartphone" />
              {t("home.demo")}
            </a>
            <p>{t("home.demoWhy")}</p>
          </li>
        )}
        <li>
          <a href="/api/docs">
            <Icon name="file" />
            {t("home.docs")}
          </a>
          <p>{t("home.docsWhy")}</p>
        </li>
        <li>
          <a href="/readyz">
            <Icon name="check" />
            {t("home.ready")}
          </a>
          <p>{t("home.readyWhy")}</p>
        </li>
      </ul>
    </main>
  );
}

dressDocument();
const root = document.getElementById("app");
if (root) render(<Home demo={readBoot<Boot>().demo ?? false} />, root);
