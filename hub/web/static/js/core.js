import { O, x, y } from "./vendor.js";
import { ui_bn_default, ui_en_default } from "./words.js";
// src/core/api.ts
/** A call that did not work. `trouble` says what a person can do about it; `detail` is the
* server's own sentence, when it gave one. */
var CallFailed = class extends Error {
	trouble;
	status;
	detail;
	code;
	constructor(trouble, status, detail, code = "") {
		super(detail || trouble);
		this.trouble = trouble;
		this.status = status;
		this.detail = detail;
		this.code = code;
	}
	/** The same call may work later, unchanged. */
	get passing() {
		return this.trouble === "offline" || this.trouble === "busy";
	}
};
function troubleOf(status) {
	if (status === 401) return "login";
	if (status === 408 || status === 425 || status === 429 || status >= 500) return "busy";
	return "refused";
}
/** What a problem document of the hub, or a stand-in's own answer, says. */
async function problemOf(answer) {
	try {
		const said = await answer.json();
		const words = said["detail"] ?? said["title"] ?? said["error"];
		return [typeof words === "string" ? words : "", String(said["code"] ?? "")];
	} catch {
		return ["", ""];
	}
}
/** One same-origin JSON call. Raises CallFailed; an aborted signal raises the browser's
* AbortError unchanged. */
async function call(path, options = {}) {
	const { method, body, key, signal, patience = 15e3 } = options;
	const verb = method ?? (body === void 0 ? "GET" : "POST");
	const headers = { Accept: "application/json" };
	if (verb !== "GET") headers["X-Onethread-CSRF"] = "1";
	if (body !== void 0) headers["Content-Type"] = "application/json";
	if (key !== void 0) headers["Idempotency-Key"] = key;
	let answer;
	try {
		answer = await fetch(path, {
			method: verb,
			headers,
			credentials: "same-origin",
			...body === void 0 ? {} : { body: JSON.stringify(body) },
			signal: AbortSignal.any([AbortSignal.timeout(patience), ...signal ? [signal] : []])
		});
	} catch (error) {
		if (signal?.aborted) throw error;
		throw new CallFailed("offline", 0, "");
	}
	if (!answer.ok) throw new CallFailed(troubleOf(answer.status), answer.status, ...await problemOf(answer));
	if (answer.status === 204) return void 0;
	return await answer.json();
}
// src/core/boot.ts
/** What the server wrote into the page; an empty object when it wrote nothing. */
function readBoot() {
	const text = document.getElementById("boot")?.textContent;
	return text ? JSON.parse(text) : {};
}
// src/core/storage.ts
var browserStorage = {
	read(key, fallback) {
		try {
			const text = localStorage.getItem(`onethread.${key}`);
			return text === null ? fallback : JSON.parse(text);
		} catch {
			return fallback;
		}
	},
	write(key, value) {
		try {
			localStorage.setItem(`onethread.${key}`, JSON.stringify(value));
		} catch {}
	},
	drop(key) {
		try {
			localStorage.removeItem(`onethread.${key}`);
		} catch {}
	}
};
// src/core/i18n.ts
var catalogues = {
	en: ui_en_default,
	bn: ui_bn_default
};
var locales = {
	en: "en-GB",
	bn: "bn-BD"
};
function preferred() {
	const kept = browserStorage.read("lang", "");
	if (kept === "en" || kept === "bn") return kept;
	return typeof navigator !== "undefined" && navigator.language.startsWith("bn") ? "bn" : "en";
}
var lang = y(preferred());
var formats = O(() => formatsOf(lang.value));
function chooseLang(next) {
	browserStorage.write("lang", next);
	lang.value = next;
}
function formatsOf(language) {
	const locale = locales[language];
	return {
		number: new Intl.NumberFormat(locale),
		plural: new Intl.PluralRules(locale),
		time: new Intl.DateTimeFormat(locale, {
			hour: "2-digit",
			minute: "2-digit",
			hourCycle: "h23"
		}),
		day: new Intl.DateTimeFormat(locale, {
			weekday: "long",
			day: "numeric",
			month: "long"
		}),
		full: new Intl.DateTimeFormat(locale, {
			dateStyle: "full",
			timeStyle: "medium",
			hourCycle: "h23"
		})
	};
}
/** The word for `key` in `catalogue`; `{{name}}` takes `args.name`, numbers in the
* language's own digits; `args.count` picks the plural. */
function render(catalogue, { number: digits, plural }, key, args = {}) {
	let words = catalogue[key];
	if (words === void 0 && typeof args["count"] === "number") words = catalogue[`${key}_${plural.select(args["count"])}`] ?? catalogue[`${key}_other`];
	return (words ?? key).replace(/\{\{(\w+)\}\}/g, (whole, name) => {
		const value = args[name];
		if (value === void 0) return whole;
		return typeof value === "number" ? digits.format(value) : value;
	});
}
function t(key, args) {
	return render(catalogues[lang.value], formats.value, key, args);
}
/** The word for a key made at run time from a closed list of the hub's (states, error
* classes); `undefined` for a value this page does not know yet. */
function tKnown(key) {
	return catalogues[lang.value][key];
}
var number = (value) => formats.value.number.format(value);
var clock = (iso) => formats.value.time.format(new Date(iso));
var dayOf = (iso) => formats.value.day.format(new Date(iso));
var fullTime = (iso) => formats.value.full.format(new Date(iso));
/** The language a text is written in, for its `lang` attribute; the page's own when it
* holds no letter of either script. */
function scriptOf(text) {
	if (/\p{Script=Bengali}/u.test(text)) return "bn";
	return /\p{Script=Latin}/u.test(text) ? "en" : void 0;
}
// src/core/theme.ts
var kept = browserStorage.read("theme", "system");
var theme = y(kept === "light" || kept === "dark" ? kept : "system");
function chooseTheme(next) {
	browserStorage.write("theme", next);
	theme.value = next;
}
/** Keep the document's language and colours in step with the person's choices. */
function dressDocument() {
	x(() => {
		document.documentElement.lang = lang.value;
		document.documentElement.dataset["theme"] = theme.value;
	});
}
// src/core/backoff.ts
/** Doubles from `first` to `most` ms with full jitter, so that a restarted hub is not
* met by every page in the same instant. Never less than a fifth of the step. */
function backoff(first = 500, most = 3e4, random = Math.random) {
	let step = first;
	return {
		next() {
			const wait = step * (.2 + .8 * random());
			step = Math.min(step * 2, most);
			return Math.round(wait);
		},
		reset() {
			step = first;
		}
	};
}
/** Resolves after `ms`, or at once when the browser says it is online again, the page is
* shown again, or `signal` aborts. */
function pause(ms, signal) {
	return new Promise((resolve) => {
		const shown = () => document.visibilityState === "visible" && done();
		const done = () => {
			clearTimeout(timer);
			removeEventListener("online", done);
			document.removeEventListener("visibilitychange", shown);
			signal?.removeEventListener("abort", done);
			resolve();
		};
		const timer = setTimeout(done, ms);
		addEventListener("online", done);
		document.addEventListener("visibilitychange", shown);
		signal?.addEventListener("abort", done);
		if (signal?.aborted) done();
	});
}
// src/core/segments.ts
var BASIC = /* @__PURE__ */ new Set("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà");
var EXTENDED = /* @__PURE__ */ new Set("^{}\\[]~|€\f");
/** How an SMS text is cut (3GPP TS 23.038): 160 septets, or 153 for each of several parts;
* 70 or 67 UTF-16 units once one character is outside GSM-7. An escape pair or a surrogate
* pair never straddles two parts. */
function segmentsOf(text) {
	const signs = [...text];
	const gsm = signs.every((sign) => BASIC.has(sign) || EXTENDED.has(sign));
	const sizes = signs.map((sign) => gsm ? EXTENDED.has(sign) ? 2 : 1 : sign.length);
	const units = sizes.reduce((sum, size) => sum + size, 0);
	const [single, joined] = gsm ? [160, 153] : [70, 67];
	const encoding = gsm ? "GSM-7" : "UCS-2";
	if (units <= single) return {
		encoding,
		units,
		parts: units === 0 ? 0 : 1,
		left: single - units,
		per: single
	};
	let parts = 1;
	let filled = 0;
	for (const size of sizes) {
		if (filled + size > joined) {
			parts += 1;
			filled = 0;
		}
		filled += size;
	}
	return {
		encoding,
		units,
		parts,
		left: joined - filled,
		per: joined
	};
}
// src/core/live.ts
/** No frame for this long means a dead line: the server pings more often than that. */
var SILENCE_MS = 75e3;
var HELLO_MS = 1e4;
/** The hub's live updates. Keeps the last cursor and says it on reconnecting, so that
* nothing is missed while the line was away. */
var LiveSocket = class {
	line;
	#line = y("connecting");
	#cursor = null;
	#handlers;
	#wait = backoff();
	#stopped = new AbortController();
	#socket = null;
	#silence;
	#path;
	constructor(path, handlers) {
		this.#path = path;
		this.#handlers = handlers;
		this.line = this.#line;
	}
	start() {
		this.#run();
		addEventListener("offline", this.#drop, { signal: this.#stopped.signal });
	}
	stop() {
		this.#stopped.abort();
		this.#socket?.close(1e3);
	}
	#drop = () => this.#socket?.close();
	async #run() {
		while (!this.#stopped.signal.aborted) {
			await this.#connect();
			if (this.#stopped.signal.aborted) return;
			this.#line.value = "offline";
			this.#handlers.lost();
			await pause(this.#wait.next(), this.#stopped.signal);
		}
	}
	#connect() {
		return new Promise((resolve) => {
			const socket = new WebSocket(this.#path);
			this.#socket = socket;
			this.#expect(HELLO_MS);
			socket.addEventListener("open", () => {
				socket.send(JSON.stringify({
					type: "hello",
					cursor: this.#cursor
				}));
			});
			socket.addEventListener("message", (event) => {
				this.#expect(SILENCE_MS);
				this.#take(JSON.parse(event.data));
			});
			socket.addEventListener("close", () => {
				clearTimeout(this.#silence);
				resolve();
			});
		});
	}
	#expect(ms) {
		clearTimeout(this.#silence);
		this.#silence = setTimeout(this.#drop, ms);
	}
	#take(frame) {
		switch (frame.type) {
			case "welcome":
			case "resync": {
				const first = this.#cursor === null;
				this.#cursor = frame.cursor;
				this.#wait.reset();
				this.#line.value = "live";
				if (first || frame.type === "resync") this.#handlers.resync();
				return;
			}
			case "changes":
				this.#handlers.changes(frame.items);
				this.#cursor = frame.cursor;
				return;
			case "ping":
				this.#socket?.send("{\"type\":\"pong\"}");
				return;
		}
	}
};
// src/core/outbox.ts
var Outbox = class {
	entries;
	#entries = y([]);
	#storage;
	#key;
	constructor(storage, key) {
		this.#storage = storage;
		this.#key = `outbox.${key}`;
		this.#entries.value = storage.read(this.#key, []);
		this.entries = this.#entries;
	}
	#keep(entries) {
		this.#entries.value = entries;
		if (entries.length === 0) this.#storage.drop(this.#key);
		else this.#storage.write(this.#key, entries);
	}
	#change(client_id, change) {
		this.#keep(this.#entries.value.map((entry) => entry.client_id === client_id ? Object.assign({}, entry, change) : entry));
	}
	add(body) {
		const entry = {
			client_id: crypto.randomUUID(),
			body,
			at: (/* @__PURE__ */ new Date()).toISOString(),
			state: "waiting",
			reason: ""
		};
		this.#keep([...this.#entries.value, entry]);
		return entry;
	}
	has(client_id) {
		return this.#entries.value.some((entry) => entry.client_id === client_id);
	}
	/** The oldest entry to be sent; those after it wait, so that order is kept. */
	next() {
		return this.#entries.value.find((entry) => entry.state === "waiting");
	}
	/** Confirmed by the server, by whichever way that became known first. */
	settle(client_id) {
		if (client_id && this.has(client_id)) this.#keep(this.#entries.value.filter((entry) => entry.client_id !== client_id));
	}
	refuse(client_id, reason) {
		this.#change(client_id, {
			state: "failed",
			reason
		});
	}
	/** Given up by its writer. */
	discard(client_id) {
		this.settle(client_id);
	}
	retry(client_id) {
		this.#change(client_id, {
			state: "waiting",
			reason: ""
		});
	}
};
export { CallFailed, LiveSocket, Outbox, backoff, browserStorage, call, chooseLang, chooseTheme, clock, dayOf, dressDocument, fullTime, lang, number, pause, readBoot, scriptOf, segmentsOf, t, tKnown, theme };
