import { A, T, a, d } from "./vendor.js";
import { chooseLang, chooseTheme, lang, number, scriptOf, t, tKnown, theme } from "./core.js";
// src/kit/icons.ts
var strokes = {
	send: "M14.536 21.686a.5.5 0 0 0 .937-.024l6.5-19a.496.496 0 0 0-.635-.635l-19 6.5a.5.5 0 0 0-.024.937l7.93 3.18a2 2 0 0 1 1.112 1.11zM0 0m21.854 2.147-10.94 10.939",
	image: "M5 3h14a2 2 0 0 1 2 2v14a2 2 0 0 1 -2 2h-14a2 2 0 0 1 -2 -2v-14a2 2 0 0 1 2 -2zM7 9a2 2 0 1 0 4 0a2 2 0 1 0 -4 0M0 0m21 15-3.086-3.086a2 2 0 0 0-2.828 0L6 21",
	mapPin: "M20 10c0 4.993-5.539 10.193-7.399 11.799a1 1 0 0 1-1.202 0C9.539 20.193 4 14.993 4 10a8 8 0 0 1 16 0M9 10a3 3 0 1 0 6 0a3 3 0 1 0 -6 0",
	messageSquare: "M22 17a2 2 0 0 1-2 2H6.828a2 2 0 0 0-1.414.586l-2.202 2.202A.71.71 0 0 1 2 21.286V5a2 2 0 0 1 2-2h16a2 2 0 0 1 2 2z",
	globe: "M2 12a10 10 0 1 0 20 0a10 10 0 1 0 -20 0M12 2a14.5 14.5 0 0 0 0 20 14.5 14.5 0 0 0 0-20M2 12h20",
	bot: "M12 8V4H8M6 8h12a2 2 0 0 1 2 2v8a2 2 0 0 1 -2 2h-12a2 2 0 0 1 -2 -2v-8a2 2 0 0 1 2 -2zM2 14h2M20 14h2M15 13v2M9 13v2",
	user: "M19 21v-2a4 4 0 0 0-4-4H9a4 4 0 0 0-4 4v2M8 7a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
	inbox: "M22 12 16 12 14 15 10 15 8 12 2 12M5.45 5.11 2 12v6a2 2 0 0 0 2 2h16a2 2 0 0 0 2-2v-6l-3.45-6.89A2 2 0 0 0 16.76 4H7.24a2 2 0 0 0-1.79 1.11z",
	sun: "M8 12a4 4 0 1 0 8 0a4 4 0 1 0 -8 0M12 2v2M12 20v2M0 0m4.93 4.93 1.41 1.41M0 0m17.66 17.66 1.41 1.41M2 12h2M20 12h2M0 0m6.34 17.66-1.41 1.41M0 0m19.07 4.93-1.41 1.41",
	moon: "M20.985 12.486a9 9 0 1 1-9.473-9.472c.405-.022.617.46.402.803a6 6 0 0 0 8.268 8.268c.344-.215.825-.004.803.401",
	monitor: "M4 3h16a2 2 0 0 1 2 2v10a2 2 0 0 1 -2 2h-16a2 2 0 0 1 -2 -2v-10a2 2 0 0 1 2 -2zM8 21L16 21M12 17L12 21",
	check: "M20 6 9 17l-5-5",
	checkCheck: "M18 6 7 17l-5-5M0 0m22 10-7.5 7.5L13 16",
	clock: "M2 12a10 10 0 1 0 20 0a10 10 0 1 0 -20 0M12 6v6l4 2",
	triangleAlert: "M0 0m21.73 18-8-14a2 2 0 0 0-3.48 0l-8 14A2 2 0 0 0 4 21h16a2 2 0 0 0 1.73-3M12 9v4M12 17h.01",
	stickyNote: "M21 9a2.4 2.4 0 0 0-.706-1.706l-3.588-3.588A2.4 2.4 0 0 0 15 3H5a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h14a2 2 0 0 0 2-2zM15 3v5a1 1 0 0 0 1 1h5",
	undo2: "M9 14 4 9l5-5M4 9h10.5a5.5 5.5 0 0 1 5.5 5.5a5.5 5.5 0 0 1-5.5 5.5H11",
	list: "M3 5h.01M3 12h.01M3 19h.01M8 5h13M8 12h13M8 19h13",
	x: "M18 6 6 18M0 0m6 6 12 12",
	lightbulb: "M15 14c.2-1 .7-1.7 1.5-2.5 1-.9 1.5-2.2 1.5-3.5A6 6 0 0 0 6 8c0 1 .2 2.2 1.5 3.5.7.7 1.3 1.5 1.5 2.5M9 18h6M10 22h4",
	wifiOff: "M12 20h.01M8.5 16.429a5 5 0 0 1 7 0M5 12.859a10 10 0 0 1 5.17-2.69M19 12.859a10 10 0 0 0-2.007-1.523M2 8.82a15 15 0 0 1 4.177-2.643M22 8.82a15 15 0 0 0-11.288-3.764M0 0m2 2 20 20",
	arrowDown: "M12 5v14M0 0m19 12-7 7-7-7",
	rotateCw: "M21 12a9 9 0 1 1-9-9c2.52 0 4.93 1 6.74 2.74L21 8M21 3v5h-5",
	file: "M6 22a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2h8a2.4 2.4 0 0 1 1.704.706l3.588 3.588A2.4 2.4 0 0 1 20 8v12a2 2 0 0 1-2 2zM14 2v5a1 1 0 0 0 1 1h5",
	smartphone: "M7 2h10a2 2 0 0 1 2 2v16a2 2 0 0 1 -2 2h-10a2 2 0 0 1 -2 -2v-16a2 2 0 0 1 2 -2zM12 18h.01"
};
var marks = {
	whatsapp: "M17.472 14.382c-.297-.149-1.758-.867-2.03-.967-.273-.099-.471-.148-.67.15-.197.297-.767.966-.94 1.164-.173.199-.347.223-.644.075-.297-.15-1.255-.463-2.39-1.475-.883-.788-1.48-1.761-1.653-2.059-.173-.297-.018-.458.13-.606.134-.133.298-.347.446-.52.149-.174.198-.298.298-.497.099-.198.05-.371-.025-.52-.075-.149-.669-1.612-.916-2.207-.242-.579-.487-.5-.669-.51-.173-.008-.371-.01-.57-.01-.198 0-.52.074-.792.372-.272.297-1.04 1.016-1.04 2.479 0 1.462 1.065 2.875 1.213 3.074.149.198 2.096 3.2 5.077 4.487.709.306 1.262.489 1.694.625.712.227 1.36.195 1.871.118.571-.085 1.758-.719 2.006-1.413.248-.694.248-1.289.173-1.413-.074-.124-.272-.198-.57-.347m-5.421 7.403h-.004a9.87 9.87 0 01-5.031-1.378l-.361-.214-3.741.982.998-3.648-.235-.374a9.86 9.86 0 01-1.51-5.26c.001-5.45 4.436-9.884 9.888-9.884 2.64 0 5.122 1.03 6.988 2.898a9.825 9.825 0 012.893 6.994c-.003 5.45-4.437 9.884-9.885 9.884m8.413-18.297A11.815 11.815 0 0012.05 0C5.495 0 .16 5.335.157 11.892c0 2.096.547 4.142 1.588 5.945L.057 24l6.305-1.654a11.882 11.882 0 005.683 1.448h.005c6.554 0 11.89-5.335 11.893-11.893a11.821 11.821 0 00-3.48-8.413Z",
	telegram: "M11.944 0A12 12 0 0 0 0 12a12 12 0 0 0 12 12 12 12 0 0 0 12-12A12 12 0 0 0 12 0a12 12 0 0 0-.056 0zm4.962 7.224c.1-.002.321.023.465.14a.506.506 0 0 1 .171.325c.016.093.036.306.02.472-.18 1.898-.962 6.502-1.36 8.627-.168.9-.499 1.201-.82 1.23-.696.065-1.225-.46-1.9-.902-1.056-.693-1.653-1.124-2.678-1.8-1.185-.78-.417-1.21.258-1.91.177-.184 3.247-2.977 3.307-3.23.007-.032.014-.15-.056-.212s-.174-.041-.249-.024c-.106.024-1.793 1.14-5.061 3.345-.48.33-.913.49-1.302.48-.428-.008-1.252-.241-1.865-.44-.752-.245-1.349-.374-1.297-.789.027-.216.325-.437.893-.663 3.498-1.524 5.83-2.529 6.998-3.014 3.332-1.386 4.025-1.627 4.476-1.635z",
	messenger: "M12 0C5.24 0 0 4.952 0 11.64c0 3.499 1.434 6.521 3.769 8.61a.96.96 0 0 1 .323.683l.065 2.135a.96.96 0 0 0 1.347.85l2.381-1.053a.96.96 0 0 1 .641-.046A13 13 0 0 0 12 23.28c6.76 0 12-4.952 12-11.64S18.76 0 12 0m6.806 7.44c.522-.03.971.567.63 1.094l-4.178 6.457a.707.707 0 0 1-.977.208l-3.87-2.504a.44.44 0 0 0-.49.007l-4.363 3.01c-.637.438-1.415-.317-.995-.966l4.179-6.457a.706.706 0 0 1 .977-.21l3.87 2.505c.15.097.344.094.491-.007l4.362-3.008a.7.7 0 0 1 .364-.13",
	instagram: "M7.0301.084c-1.2768.0602-2.1487.264-2.911.5634-.7888.3075-1.4575.72-2.1228 1.3877-.6652.6677-1.075 1.3368-1.3802 2.127-.2954.7638-.4956 1.6365-.552 2.914-.0564 1.2775-.0689 1.6882-.0626 4.947.0062 3.2586.0206 3.6671.0825 4.9473.061 1.2765.264 2.1482.5635 2.9107.308.7889.72 1.4573 1.388 2.1228.6679.6655 1.3365 1.0743 2.1285 1.38.7632.295 1.6361.4961 2.9134.552 1.2773.056 1.6884.069 4.9462.0627 3.2578-.0062 3.668-.0207 4.9478-.0814 1.28-.0607 2.147-.2652 2.9098-.5633.7889-.3086 1.4578-.72 2.1228-1.3881.665-.6682 1.0745-1.3378 1.3795-2.1284.2957-.7632.4966-1.636.552-2.9124.056-1.2809.0692-1.6898.063-4.948-.0063-3.2583-.021-3.6668-.0817-4.9465-.0607-1.2797-.264-2.1487-.5633-2.9117-.3084-.7889-.72-1.4568-1.3876-2.1228C21.2982 1.33 20.628.9208 19.8378.6165 19.074.321 18.2017.1197 16.9244.0645 15.6471.0093 15.236-.005 11.977.0014 8.718.0076 8.31.0215 7.0301.0839m.1402 21.6932c-1.17-.0509-1.8053-.2453-2.2287-.408-.5606-.216-.96-.4771-1.3819-.895-.422-.4178-.6811-.8186-.9-1.378-.1644-.4234-.3624-1.058-.4171-2.228-.0595-1.2645-.072-1.6442-.079-4.848-.007-3.2037.0053-3.583.0607-4.848.05-1.169.2456-1.805.408-2.2282.216-.5613.4762-.96.895-1.3816.4188-.4217.8184-.6814 1.3783-.9003.423-.1651 1.0575-.3614 2.227-.4171 1.2655-.06 1.6447-.072 4.848-.079 3.2033-.007 3.5835.005 4.8495.0608 1.169.0508 1.8053.2445 2.228.408.5608.216.96.4754 1.3816.895.4217.4194.6816.8176.9005 1.3787.1653.4217.3617 1.056.4169 2.2263.0602 1.2655.0739 1.645.0796 4.848.0058 3.203-.0055 3.5834-.061 4.848-.051 1.17-.245 1.8055-.408 2.2294-.216.5604-.4763.96-.8954 1.3814-.419.4215-.8181.6811-1.3783.9-.4224.1649-1.0577.3617-2.2262.4174-1.2656.0595-1.6448.072-4.8493.079-3.2045.007-3.5825-.006-4.848-.0608M16.953 5.5864A1.44 1.44 0 1 0 18.39 4.144a1.44 1.44 0 0 0-1.437 1.4424M5.8385 12.012c.0067 3.4032 2.7706 6.1557 6.173 6.1493 3.4026-.0065 6.157-2.7701 6.1506-6.1733-.0065-3.4032-2.771-6.1565-6.174-6.1498-3.403.0067-6.156 2.771-6.1496 6.1738M8 12.0077a4 4 0 1 1 4.008 3.9921A3.9996 3.9996 0 0 1 8 12.0077"
};
// src/kit/Icon.tsx
/** Decoration only: the words beside it, or its button's label, carry the meaning. */
function Icon({ name, class: className = "" }) {
	const filled = name in marks;
	return /* @__PURE__ */ a("svg", {
		class: `icon ${className}`,
		viewBox: "0 0 24 24",
		"aria-hidden": "true",
		focusable: "false",
		children: filled ? /* @__PURE__ */ a("path", {
			d: marks[name],
			fill: "currentColor"
		}) : /* @__PURE__ */ a("path", {
			d: strokes[name],
			class: "stroke"
		})
	});
}
// src/kit/Badge.tsx
var glyphs$1 = {
	whatsapp: "whatsapp",
	twilio: "smartphone",
	webchat: "globe",
	telegram: "telegram",
	messenger: "messenger",
	instagram: "instagram"
};
function channelName(kind) {
	return (kind && tKnown(`channel.${kind}`)) ?? kind ?? t("channel.none");
}
function glyphOf(kind) {
	return glyphs$1[kind ?? ""] ?? "messageSquare";
}
/** Which channel something came by: glyph and name, never colour alone. */
function Badge({ kind }) {
	return /* @__PURE__ */ a("span", {
		class: "badge",
		"data-kind": kind ?? "none",
		children: [/* @__PURE__ */ a(Icon, { name: glyphOf(kind) }), channelName(kind)]
	});
}
// src/kit/Switches.tsx
var languages = [[
	"en",
	"English",
	"En"
], [
	"bn",
	"বাংলা",
	"বাং"
]];
var themes = [
	["system", "monitor"],
	["light", "sun"],
	["dark", "moon"]
];
function LangSwitch() {
	return /* @__PURE__ */ a("fieldset", {
		class: "switch",
		children: [/* @__PURE__ */ a("legend", {
			class: "unseen",
			children: t("switch.lang")
		}), languages.map(([code, name, short]) => /* @__PURE__ */ a("button", {
			type: "button",
			lang: code,
			"aria-pressed": lang.value === code,
			onClick: () => chooseLang(code),
			children: [/* @__PURE__ */ a("span", {
				class: "roomy",
				children: name
			}), /* @__PURE__ */ a("span", {
				class: "tight",
				children: short
			})]
		}, code))]
	});
}
function ThemeSwitch() {
	return /* @__PURE__ */ a("fieldset", {
		class: "switch",
		children: [/* @__PURE__ */ a("legend", {
			class: "unseen",
			children: t("switch.theme")
		}), themes.map(([name, icon]) => /* @__PURE__ */ a("button", {
			type: "button",
			"aria-pressed": theme.value === name,
			"aria-label": t(`theme.${name}`),
			title: t(`theme.${name}`),
			onClick: () => chooseTheme(name),
			children: /* @__PURE__ */ a(Icon, { name: icon })
		}, name))]
	});
}
// src/kit/Tabs.tsx
/** One tab stop; arrow keys, Home and End choose. Panels are `panel-{id}`. */
function Tabs({ label, tabs, chosen, onChoose }) {
	const onKeyDown = (event) => {
		const at = tabs.findIndex((tab) => tab.id === chosen);
		const target = {
			ArrowRight: at + 1,
			ArrowLeft: at - 1,
			Home: 0,
			End: -1
		}[event.key];
		if (target === void 0) return;
		event.preventDefault();
		const next = tabs.at(target % tabs.length);
		if (!next) return;
		onChoose(next.id);
		document.getElementById(`tab-${next.id}`)?.focus();
	};
	return /* @__PURE__ */ a("div", {
		class: "tabs",
		role: "tablist",
		"aria-label": label,
		onKeyDown,
		children: tabs.map((tab) => /* @__PURE__ */ a("button", {
			type: "button",
			role: "tab",
			id: `tab-${tab.id}`,
			"aria-selected": tab.id === chosen,
			"aria-controls": `panel-${tab.id}`,
			tabIndex: tab.id === chosen ? 0 : -1,
			onClick: () => onChoose(tab.id),
			children: [
				/* @__PURE__ */ a(Icon, { name: tab.icon }),
				/* @__PURE__ */ a("span", { children: tab.title }),
				tab.fresh > 0 && /* @__PURE__ */ a("span", {
					class: "fresh",
					children: [/* @__PURE__ */ a("span", {
						"aria-hidden": "true",
						children: number(tab.fresh)
					}), /* @__PURE__ */ a("span", {
						class: "unseen",
						children: t("log.new", { count: tab.fresh })
					})]
				})
			]
		}, tab.id))
	});
}
// src/kit/MessageBox.tsx
var touch = () => matchMedia("(pointer: coarse)").matches;
/** Text and its send button. Enter sends, Shift+Enter breaks the line; on touch screens
* Enter breaks the line; Enter that ends an input method's composition does neither. */
function MessageBox(props) {
	const field = T(null);
	const empty = props.value.trim() === "";
	const send = () => {
		if (empty || props.disabled) return;
		props.onSend();
		field.current?.focus();
	};
	const onKeyDown = (event) => {
		props.onKeyDown?.(event);
		if (event.key !== "Enter" || event.isComposing || event.shiftKey) return;
		if (touch() && !event.ctrlKey && !event.metaKey) return;
		event.preventDefault();
		send();
	};
	return /* @__PURE__ */ a("form", {
		class: "box",
		onSubmit: (event) => {
			event.preventDefault();
			send();
		},
		children: [
			props.children,
			/* @__PURE__ */ a("label", {
				class: "unseen",
				for: props.id,
				children: props.label
			}),
			/* @__PURE__ */ a("textarea", {
				ref: field,
				id: props.id,
				rows: 1,
				dir: "auto",
				placeholder: props.placeholder,
				value: props.value,
				"aria-describedby": props.describedBy,
				onInput: (event) => props.onValue(event.currentTarget.value),
				onKeyDown
			}),
			/* @__PURE__ */ a("button", {
				type: "submit",
				class: props.wordy ? "send wordy" : "send",
				"aria-label": props.wordy ? void 0 : props.sendLabel,
				"aria-disabled": empty || props.disabled,
				children: [/* @__PURE__ */ a(Icon, { name: "send" }), props.wordy && props.sendLabel]
			})
		]
	});
}
// src/kit/Log.tsx
/** A conversation's scroller. Reversed flex keeps it at the newest line without script, and
* reading above is never moved by what arrives. */
function Log({ label, count, spoken, children }) {
	const scroller = T(null);
	const [away, setAway] = d(false);
	const [seen, setSeen] = d(count);
	A(() => {
		if (!away) setSeen(count);
	}, [away, count]);
	const fresh = away ? Math.max(0, count - seen) : 0;
	const toEnd = () => {
		scroller.current?.scrollTo({ top: 0 });
		scroller.current?.focus();
	};
	return /* @__PURE__ */ a("div", {
		class: "log-frame",
		children: [/* @__PURE__ */ a("div", {
			ref: scroller,
			class: "log",
			role: "log",
			"aria-label": label,
			"aria-live": spoken ? "polite" : "off",
			tabIndex: 0,
			onScroll: (event) => setAway(event.currentTarget.scrollTop < -60),
			children: /* @__PURE__ */ a("div", {
				class: "log-lines",
				children
			})
		}), fresh > 0 && /* @__PURE__ */ a("button", {
			type: "button",
			class: "pill",
			onClick: toEnd,
			children: [/* @__PURE__ */ a(Icon, { name: "arrowDown" }), t("log.new", { count: fresh })]
		})]
	});
}
// src/kit/MediaView.tsx
/** An address on this origin, or none: the page's policy loads nothing from elsewhere. */
function localUrl(url) {
	if (!url) return void 0;
	const full = new URL(url, location.href);
	return full.origin === location.origin ? full.pathname + full.search : void 0;
}
function MediaView({ media }) {
	const url = localUrl(media.url);
	const name = media.name || (tKnown(`media.${media.kind}`) ?? t("media.file"));
	if (media.state === "failed" || media.state === "refused") return /* @__PURE__ */ a("p", {
		class: "media-note",
		children: [/* @__PURE__ */ a(Icon, { name: "triangleAlert" }), t("media.gone", { name })]
	});
	if (url && media.kind === "image") return /* @__PURE__ */ a("img", {
		class: "media",
		src: url,
		alt: name,
		loading: "lazy"
	});
	return /* @__PURE__ */ a("p", {
		class: "media-note",
		children: [/* @__PURE__ */ a(Icon, { name: media.kind === "image" ? "image" : "file" }), url ? /* @__PURE__ */ a("a", {
			href: url,
			target: "_blank",
			rel: "noopener noreferrer",
			children: name
		}) : /* @__PURE__ */ a("span", { children: media.state === "pending" ? t("media.pending", { name }) : name })]
	});
}
// src/kit/RichText.tsx
var LINK = /(https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]।])/g;
/** Text as typed, its web addresses as links. Never HTML: every piece is a text node. */
function RichText({ text }) {
	return /* @__PURE__ */ a("p", {
		class: "text",
		dir: "auto",
		lang: scriptOf(text),
		children: text.split(LINK).map((piece, index) => index % 2 === 1 ? /* @__PURE__ */ a("a", {
			href: piece,
			target: "_blank",
			rel: "noopener noreferrer nofollow",
			children: piece
		}, piece) : piece)
	});
}
// src/kit/Ticks.tsx
var glyphs = {
	received: "checkCheck",
	queued: "clock",
	held: "clock",
	sending: "clock",
	waiting: "clock",
	unknown: "clock",
	sent: "check",
	delivered: "checkCheck",
	read: "checkCheck",
	failed: "triangleAlert",
	cancelled: "x"
};
/** How far a message got, as ticks and in words; `quiet` keeps the words for screen
* readers only. */
function Ticks({ state, quiet = false }) {
	const glyph = glyphs[state];
	return /* @__PURE__ */ a("span", {
		class: "ticks",
		"data-state": state,
		children: [glyph && /* @__PURE__ */ a(Icon, { name: glyph }), /* @__PURE__ */ a("span", {
			class: quiet ? "unseen" : "",
			children: tKnown(`state.${state}`) ?? state
		})]
	});
}
export { Badge, Icon, LangSwitch, Log, MediaView, MessageBox, RichText, Tabs, ThemeSwitch, Ticks, channelName, glyphOf, touch };
