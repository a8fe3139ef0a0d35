import { Q, a } from "./vendor.js";
import { dressDocument, readBoot, t } from "./core.js";
import { Icon, LangSwitch, ThemeSwitch } from "./kit.js";
/* empty css    */
// src/home/main.tsx
function Home({ demo }) {
	return /* @__PURE__ */ a("main", {
		class: "whole",
		children: [
			/* @__PURE__ */ a("header", {
				class: "top",
				children: [
					/* @__PURE__ */ a("h1", { children: t("app.name") }),
					/* @__PURE__ */ a(LangSwitch, {}),
					/* @__PURE__ */ a(ThemeSwitch, {})
				]
			}),
			/* @__PURE__ */ a("p", { children: t("home.lead") }),
			/* @__PURE__ */ a("ul", {
				class: "doors",
				children: [
					demo && /* @__PURE__ */ a("li", { children: [/* @__PURE__ */ a("a", {
						href: "/demo",
						children: [/* @__PURE__ */ a(Icon, { name: "smartphone" }), t("home.demo")]
					}), /* @__PURE__ */ a("p", { children: t("home.demoWhy") })] }),
					/* @__PURE__ */ a("li", { children: [/* @__PURE__ */ a("a", {
						href: "/api/docs",
						children: [/* @__PURE__ */ a(Icon, { name: "file" }), t("home.docs")]
					}), /* @__PURE__ */ a("p", { children: t("home.docsWhy") })] }),
					/* @__PURE__ */ a("li", { children: [/* @__PURE__ */ a("a", {
						href: "/readyz",
						children: [/* @__PURE__ */ a(Icon, { name: "check" }), t("home.ready")]
					}), /* @__PURE__ */ a("p", { children: t("home.readyWhy") })] })
				]
			})
		]
	});
}
dressDocument();
var root = document.getElementById("app");
if (root) Q(/* @__PURE__ */ a(Home, { demo: readBoot().demo ?? false }), root);
