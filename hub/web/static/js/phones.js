import { $, A, O, Q, T, a, d, r, x, y } from "./vendor.js";
import { CallFailed, LiveSocket, Outbox, backoff, browserStorage, call, clock, dayOf, dressDocument, fullTime, lang, pause, readBoot, segmentsOf, t, tKnown } from "./core.js";
import { Badge, Icon, LangSwitch, Log, MediaView, MessageBox, RichText, Tabs, ThemeSwitch, Ticks, channelName, glyphOf, touch } from "./kit.js";
// src/phones/transcript.ts
var NEVER_ARRIVED = /* @__PURE__ */ new Set([
	"accepted",
	"failed",
	"undelivered"
]);
/** Whether the phone has it: what was sent to it and failed on the way never got there, and
* what was deleted is gone. Telegram tells of no delivery: what it accepts is there. */
function isShown({ direction, status }, kind = "") {
	if (status === "deleted") return false;
	if (kind === "telegram" && status === "accepted") return true;
	return direction === "in" || !NEVER_ARRIVED.has(status);
}
/** `items` with `incoming` taken in, in the order of the phone: an item that comes again (its
* status moved) keeps its place. The same array when nothing came. */
function mergeItems(items, incoming) {
	if (incoming.length === 0) return items;
	const byId = new Map(items.map((item) => [item.external_id, item]));
	for (const item of incoming) byId.set(item.external_id, item);
	return [...byId.values()].toSorted((a, b) => a.n - b.n);
}
/** Where this page may load a stand-in's file: its own address is another origin. */
function fileUrl(kind, url) {
	const id = url?.match(/\/_sandbox\/media\/([^/?#]+)$/)?.[1];
	return id ? `/demo/sandbox/${kind}/media/${id}` : url;
}
// src/phones/sandbox.ts
var WAIT_S = 20;
/** One phone of a provider's stand-in: what is on its screen, and what its owner writes. */
var SandboxPhone = class {
	items = y([]);
	line = y("connecting");
	kind;
	next = 0;
	#path;
	#account;
	#name;
	constructor(config, name) {
		this.kind = config.kind;
		this.#path = `/demo/sandbox/${config.kind}/phones/${encodeURIComponent(config.number)}`;
		this.#account = config.account;
		this.#name = config.kind === "twilio" ? "" : name;
	}
	write(written) {
		const who = this.#name ? { name: this.#name } : {};
		return call(`${this.#path}/messages`, { body: {
			account: this.#account,
			...who,
			...written
		} });
	}
	take({ items, next }) {
		const known = this.next === 0 ? [] : this.items.value;
		this.next = next;
		this.line.value = "live";
		this.items.value = mergeItems(known, items);
	}
	/** It may come back with another memory: its whole screen is read anew then. */
	lose() {
		this.line.value = "offline";
		this.next = 0;
	}
};
/** Follows all phones by one call at a time: a browser opens six connections to a host. */
async function followPhones(phones, stopped) {
	const wait = backoff();
	while (!stopped.aborted) try {
		if (document.visibilityState === "hidden") await pause(6e4, stopped);
		else if (await readPhones(phones, stopped)) wait.reset();
		else await pause(wait.next(), stopped);
	} catch {
		if (stopped.aborted) return;
		for (const phone of phones) phone.lose();
		await pause(wait.next(), stopped);
	}
}
/** Whether every stand-in answered. */
async function readPhones(phones, stopped) {
	const seconds = phones.every((phone) => phone.line.value === "live") ? WAIT_S : 0;
	const query = new URLSearchParams({ wait: String(seconds) });
	for (const { kind, next } of phones) query.set(kind, String(next));
	const patience = (seconds + 15) * 1e3;
	const found = await call(`/demo/follow?${query}`, {
		signal: stopped,
		patience
	});
	for (const phone of phones) {
		const reading = found[phone.kind];
		if (reading) phone.take(reading);
		else if (reading === null) phone.lose();
	}
	return !Object.values(found).includes(null);
}
// src/phones/ListSheet.tsx
/** WhatsApp's list of choices, as the sheet that opens over the phone. */
function ListSheet({ item, onChoose, onClose }) {
	const sheet = T(null);
	A(() => sheet.current?.showModal(), []);
	return /* @__PURE__ */ a("dialog", {
		ref: sheet,
		class: "sheet",
		"aria-label": item.list_button || t("phone.listTitle"),
		onClose,
		children: [/* @__PURE__ */ a("header", { children: [/* @__PURE__ */ a("h3", {
			dir: "auto",
			children: item.list_button || t("phone.listTitle")
		}), /* @__PURE__ */ a("button", {
			type: "button",
			class: "plain",
			onClick: () => sheet.current?.close(),
			children: [/* @__PURE__ */ a(Icon, { name: "x" }), /* @__PURE__ */ a("span", {
				class: "unseen",
				children: t("phone.close")
			})]
		})] }), /* @__PURE__ */ a("ul", { children: item.rows.map((row) => /* @__PURE__ */ a("li", { children: /* @__PURE__ */ a("button", {
			type: "button",
			onClick: () => {
				sheet.current?.close();
				onChoose(row);
			},
			children: [/* @__PURE__ */ a("strong", {
				dir: "auto",
				children: row.title
			}), row.description && /* @__PURE__ */ a("span", {
				dir: "auto",
				children: row.description
			})]
		}) }, row.id)) })]
	});
}
// src/phones/PhoneFrame.tsx
/** A customer's device: its bar, its messages, its writing box. */
function PhoneFrame(props) {
	const { kind, subtitle, line, typing, count, spoken, children, footer } = props;
	const name = channelName(kind);
	return /* @__PURE__ */ a("div", {
		class: "phone",
		"data-kind": kind,
		children: [
			/* @__PURE__ */ a("header", {
				class: "phone-bar",
				children: [
					/* @__PURE__ */ a(Icon, { name: glyphOf(kind) }),
					/* @__PURE__ */ a("div", { children: [/* @__PURE__ */ a("h2", { children: name }), /* @__PURE__ */ a("p", { children: typing ?? subtitle })] }),
					/* @__PURE__ */ a("span", {
						class: "dot",
						"data-line": line,
						title: t(`line.${line}`),
						children: /* @__PURE__ */ a("span", {
							class: "unseen",
							children: t(`line.${line}`)
						})
					})
				]
			}),
			/* @__PURE__ */ a(Log, {
				label: t("phone.log", { channel: name }),
				count,
				spoken,
				children: [count === 0 && /* @__PURE__ */ a("p", {
					class: "hint",
					children: t("phone.empty")
				}), children]
			}),
			/* @__PURE__ */ a("footer", {
				class: "phone-foot",
				children: footer
			})
		]
	});
}
// src/phones/SandboxItem.tsx
/** One message on a phone of a provider's stand-in. */
function SandboxItem({ kind, item, quoted, onButton, onQuickReply, onList }) {
	const own = item.direction === "in";
	const at = (/* @__PURE__ */ new Date(item.at * 1e3)).toISOString();
	return /* @__PURE__ */ a("article", {
		class: own ? "bubble own" : "bubble",
		"data-id": item.external_id,
		children: [
			own && /* @__PURE__ */ a("span", {
				class: "unseen",
				children: [t("phone.you"), ": "]
			}),
			quoted && /* @__PURE__ */ a("blockquote", {
				dir: "auto",
				children: [/* @__PURE__ */ a("span", {
					class: "unseen",
					children: [t("phone.answered"), ": "]
				}), [...quoted.text].slice(0, 90).join("")]
			}),
			item.header && /* @__PURE__ */ a("p", {
				class: "text",
				dir: "auto",
				children: /* @__PURE__ */ a("strong", { children: item.header })
			}),
			item.media.map((media, index) => /* @__PURE__ */ a(MediaView, { media: {
				kind: media.kind === "photo" ? "image" : media.kind,
				mime: media.mime,
				url: fileUrl(kind, media.url)
			} }, media.id ?? index)),
			item.place && /* @__PURE__ */ a("p", {
				class: "media-note",
				children: [/* @__PURE__ */ a(Icon, { name: "mapPin" }), /* @__PURE__ */ a("span", {
					dir: "auto",
					children: item.place.name ?? item.place.address ?? t("media.location")
				})]
			}),
			item.kind === "own_contact" && /* @__PURE__ */ a("p", {
				class: "text",
				children: t("phone.numberShared")
			}),
			item.kind === "unsupported" && /* @__PURE__ */ a("p", {
				class: "text gone",
				children: t("thread.unsupported")
			}),
			item.text && /* @__PURE__ */ a(RichText, { text: item.text }),
			item.reaction && /* @__PURE__ */ a(RichText, { text: item.reaction.emoji }),
			item.footer && /* @__PURE__ */ a("p", {
				class: "hint",
				dir: "auto",
				children: item.footer
			}),
			/* @__PURE__ */ a("footer", { children: [/* @__PURE__ */ a("time", {
				dateTime: at,
				title: fullTime(at),
				children: clock(at)
			}), own && /* @__PURE__ */ a(Ticks, {
				state: item.status,
				quiet: true
			})] }),
			(item.buttons.length > 0 || item.list_button !== null) && /* @__PURE__ */ a("div", {
				class: "taps",
				children: [item.buttons.map((button) => button.url ? /* @__PURE__ */ a("a", {
					href: button.url,
					target: "_blank",
					rel: "noopener noreferrer",
					children: button.title
				}, button.url) : /* @__PURE__ */ a("button", {
					type: "button",
					dir: "auto",
					class: isTapped(item, button) ? "tapped" : void 0,
					onClick: () => onButton(button),
					children: [isTapped(item, button) && /* @__PURE__ */ a(Icon, { name: item.choice?.answered === false ? "clock" : "check" }), button.title]
				}, button.id)), item.list_button !== null && /* @__PURE__ */ a("button", {
					type: "button",
					dir: "auto",
					"aria-haspopup": "dialog",
					onClick: onList,
					children: [/* @__PURE__ */ a(Icon, { name: "list" }), item.list_button]
				})]
			}),
			item.quick_replies.length > 0 && /* @__PURE__ */ a("div", {
				class: "chips",
				children: item.quick_replies.map((reply) => /* @__PURE__ */ a("button", {
					type: "button",
					dir: "auto",
					onClick: () => onQuickReply(reply),
					children: reply.title
				}, reply.id))
			})
		]
	});
}
/** Telegram shows a tap on the button itself, as waiting until the bot has answered it. */
function isTapped({ direction, choice }, { id }) {
	return direction === "out" && choice?.id === id;
}
// src/phones/SandboxPhoneView.tsx
var PLACE = {
	latitude: 23.7461,
	longitude: 90.3742
};
var PHOTOS = /* @__PURE__ */ new Set([
	"whatsapp",
	"telegram",
	"messenger",
	"instagram"
]);
var PLACES = /* @__PURE__ */ new Set([
	"whatsapp",
	"telegram",
	"messenger"
]);
var CAPTIONS = /* @__PURE__ */ new Set(["whatsapp", "telegram"]);
/** Parts and what is left of the last, as a phone's own SMS app counts. */
function SmsCount({ id, text }) {
	const { encoding, parts, left, per } = segmentsOf(text);
	return /* @__PURE__ */ a("p", {
		class: "count",
		id,
		children: [
			t("sms.left", {
				left,
				per
			}),
			" · ",
			t("sms.parts", { count: Math.max(parts, 1) }),
			encoding === "UCS-2" && /* @__PURE__ */ a($, { children: [" · ", t("sms.unicode", { per })] })
		]
	});
}
function SandboxPhoneView({ config, phone, customer, spoken, onWritten }) {
	const [text, setText] = d("");
	const [busy, setBusy] = d(false);
	const [refusal, setRefusal] = d(null);
	const [open, setOpen] = d(null);
	const { kind, number } = config;
	const items = phone.items.value.filter((item) => isShown(item, kind));
	const channel = channelName(kind);
	const write = async (written) => {
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
	const footer = /* @__PURE__ */ a($, { children: [
		refusal !== null && /* @__PURE__ */ a("p", {
			class: "error",
			role: "alert",
			children: refusal ? t("phone.refused", { reason: refusal }) : t("phone.failed")
		}),
		kind === "telegram" && items.length === 0 && /* @__PURE__ */ a("button", {
			type: "button",
			class: "share",
			onClick: () => void write({ own_contact: {
				name: customer.name,
				phones: [customer.number]
			} }),
			children: [/* @__PURE__ */ a(Icon, { name: "smartphone" }), t("phone.shareNumber")]
		}),
		/* @__PURE__ */ a(MessageBox, {
			id: box,
			label: t("phone.write", {
				name: customer.name,
				channel
			}),
			placeholder: t("phone.placeholder"),
			value: text,
			onValue: setText,
			onSend: () => void send(),
			sendLabel: t("phone.send", { channel }),
			disabled: busy,
			...kind === "twilio" ? { describedBy: `${box}-count` } : {},
			children: [PHOTOS.has(kind) && /* @__PURE__ */ a("button", {
				type: "button",
				class: "plain",
				"aria-label": t("phone.photo"),
				title: t("phone.photo"),
				onClick: () => void write({ image: {
					mime: "image/jpeg",
					...CAPTIONS.has(kind) ? { caption: t("phone.photoCaption") } : {}
				} }),
				children: /* @__PURE__ */ a(Icon, { name: "image" })
			}), PLACES.has(kind) && /* @__PURE__ */ a("button", {
				type: "button",
				class: "plain",
				"aria-label": t("phone.place"),
				title: t("phone.place"),
				onClick: () => void write({ location: {
					...PLACE,
					name: t("phone.placeName")
				} }),
				children: /* @__PURE__ */ a(Icon, { name: "mapPin" })
			})]
		}),
		kind === "twilio" && /* @__PURE__ */ a(SmsCount, {
			id: `${box}-count`,
			text
		})
	] });
	return /* @__PURE__ */ a(PhoneFrame, {
		kind,
		subtitle: kind === "whatsapp" || kind === "twilio" ? number : customer.name,
		line: phone.line.value,
		count: items.length,
		spoken,
		footer,
		children: [items.map((item) => /* @__PURE__ */ a(SandboxItem, {
			kind,
			item,
			quoted: item.reply_to ? items.find((one) => one.external_id === item.reply_to) : void 0,
			onButton: ({ id, title }) => void write({ button: {
				id,
				title,
				reply_to: item.external_id
			} }),
			onQuickReply: ({ id, title }) => void write({ quick_reply: {
				id,
				title,
				reply_to: item.external_id
			} }),
			onList: () => setOpen(item)
		}, item.external_id)), open && /* @__PURE__ */ a(ListSheet, {
			item: open,
			onClose: () => setOpen(null),
			onChoose: ({ id, title, description }) => void write({ list_row: {
				id,
				title,
				reply_to: open.external_id,
				...description ? { description } : {}
			} })
		})]
	});
}
// src/phones/find.ts
var digits = (text) => text.replace(/\D/g, "");
/** The ids of a person's phones, as digits: a wa_id has no plus, an SMS sender has. */
function numbersOf(config, person = "") {
	const numbers = config.phones.flatMap((phone) => phone.person === person && "number" in phone ? [phone.number] : []);
	const own = person === "" ? [config.customer.number] : [];
	return new Set([...numbers, ...own].map(digits).filter(Boolean));
}
/** Whether `message` came from, or goes to, one of those numbers. */
function isHers(message, numbers) {
	return numbers.has(digits(message?.address?.external_id ?? ""));
}
/** The person's conversation's id, or null while that phone has never written. */
async function findConversation(config, person = "") {
	if (person === "" && config.customer.conversation_id) return config.customer.conversation_id;
	const numbers = numbersOf(config, person);
	for (const phone of config.phones) {
		const id = phone.person === person && "number" in phone ? await conversationAt(phone.number, numbers) : null;
		if (id) return id;
	}
	return null;
}
async function conversationAt(number, numbers) {
	const query = new URLSearchParams({ address: number });
	const { items } = await call(`/api/v1/customers?${query}`);
	return items.find((customer) => customer.addresses.some((address) => numbers.has(digits(address.external_id))))?.conversation_id ?? null;
}
function fetchConversation(id) {
	return call(`/api/v1/conversations/${id}`);
}
// src/phones/merge.ts
var RANK = {
	sent: 2,
	failed: 3,
	cancelled: 3,
	delivered: 4,
	read: 5
};
var rank = (state) => RANK[state ?? ""] ?? 1;
/** The newer reading of one message. A page of the thread and a live change may arrive in
* either order, so the state never goes back. */
function newer(known, incoming) {
	if (rank(incoming.state) >= rank(known.state)) return incoming;
	return {
		...incoming,
		state: known.state,
		error: known.error
	};
}
/** `messages` in the order shown, each once, with `incoming` taken in. */
function mergeMessages(messages, incoming) {
	if (incoming.length === 0) return messages;
	const byId = new Map(messages.map((message) => [message.id, message]));
	for (const message of incoming) {
		const known = byId.get(message.id);
		byId.set(message.id, known ? newer(known, message) : message);
	}
	return [...byId.values()].toSorted((a, b) => Date.parse(placeOf(a)) - Date.parse(placeOf(b)) || a.seq - b.seq);
}
var LATE_MS = 3e4;
/** The time that gives a message its place: when the hub took it, but when it was sent for
* one that came late. The hub pages by the same rule. */
function placeOf({ direction, sent_at, created_at }) {
	const late = sent_at !== null && Date.parse(created_at) - Date.parse(sent_at) > LATE_MS;
	return direction === "in" && late ? sent_at : created_at;
}
var localDay = (iso) => new Date(iso).toDateString();
/** The thread as shown: a divider where the day or the channel changes, then what waits to
* be sent. A message already confirmed is never shown a second time as waiting. */
function rowsOf(messages, entries) {
	const rows = [];
	let day = "";
	let channel = null;
	for (const message of messages) {
		const at = placeOf(message);
		if (localDay(at) !== day) {
			day = localDay(at);
			rows.push({
				kind: "day",
				key: `day-${message.id}`,
				at
			});
		}
		if (message.channel && message.direction !== "note") {
			if (message.channel !== channel) rows.push({
				kind: "channel",
				key: `on-${message.id}`,
				channel: message.channel
			});
			channel = message.channel;
		}
		rows.push({
			kind: "message",
			key: message.id,
			message
		});
	}
	const confirmed = new Set(messages.map((message) => message.client_id));
	for (const entry of entries) if (!confirmed.has(entry.client_id)) rows.push({
		kind: "entry",
		key: entry.client_id,
		entry
	});
	return rows;
}
/** The channel the customer wrote on last; an answer goes there unless told otherwise. */
function lastChannel(messages) {
	return messages.findLast((message) => message.direction === "in" && message.channel)?.channel ?? null;
}
// src/phones/thread.ts
var PAGE = 50;
/** A word that the page knows a sentence for, else the hub's own sentence. */
function reasonOf$1({ trouble, code, detail }) {
	if (trouble === "login") return "login";
	return tKnown(`error.${code}`) ? code : detail;
}
/** The customer's one thread in the hub, followed live, and what an agent does in it. */
var Thread = class {
	conversation = y(null);
	messages = y([]);
	earlier = y(null);
	loaded = y(false);
	trouble = y(null);
	outbox = new Outbox(browserStorage, "demo");
	rows = O(() => {
		const id = this.conversation.value?.id;
		const own = this.outbox.entries.value.filter((entry) => entry.body.conversation === id);
		return rowsOf(this.messages.value, own);
	});
	/** Whose thread is shown. */
	person = y("");
	/** Those whose phone is in her own thread, by what the hub has proof of. */
	joined = y(/* @__PURE__ */ new Set([""]));
	lastChannel = O(() => lastChannel(this.messages.value));
	live;
	#config;
	#numbers;
	/** Her conversation, as soon as a message of hers has named it. */
	#known = null;
	#loading = false;
	#again = false;
	#held = [];
	#flushing = false;
	constructor(config) {
		this.#config = config;
		this.#numbers = numbersOf(config);
		this.live = new LiveSocket("/api/v1/live", {
			resync: () => void this.load(),
			changes: (items) => this.#take(items),
			lost: () => void this.#ask()
		});
	}
	/** What to call her until the hub says. */
	get customerName() {
		return this.#config.customer.name;
	}
	/** Show this person's thread: her own, or that of somebody not known to be her. */
	watch(person) {
		const next = this.joined.value.has(person) ? "" : person;
		if (next === this.person.value) return;
		this.#numbers = numbersOf(this.#config, next);
		this.#known = null;
		r(() => {
			this.person.value = next;
			this.conversation.value = null;
			this.messages.value = [];
			this.earlier.value = null;
			this.loaded.value = false;
		});
		this.load();
	}
	/** Whoever is reached in the thread of the customer is the customer. */
	#join({ channels }) {
		const found = this.#config.phones.filter((phone) => channels.includes(phone.channel));
		if (!found.some((phone) => phone.person === "")) return;
		const people = /* @__PURE__ */ new Set([...this.joined.value, ...found.map((phone) => phone.person)]);
		if (people.size === this.joined.value.size) return;
		this.joined.value = people;
		this.watch(this.person.value);
	}
	start() {
		this.live.start();
		x(() => {
			if (this.live.line.value === "live") this.#flush();
		});
	}
	/** Why there is no line: a call says what a socket does not. */
	async #ask() {
		try {
			await call("/api/v1/conversations?limit=1");
			this.trouble.value = null;
		} catch (error) {
			if (error instanceof CallFailed && error.trouble === "login") this.trouble.value = "login";
		}
	}
	/** Read the thread anew. Changes that come meanwhile wait, and are laid on top. */
	async load() {
		this.#again = true;
		if (this.#loading) return;
		this.#loading = true;
		const wait = backoff();
		while (this.#again) {
			this.#again = false;
			try {
				await this.#read();
				this.trouble.value = null;
			} catch (error) {
				const failed = error instanceof CallFailed ? error : null;
				this.trouble.value = failed?.trouble ?? "busy";
				if (failed?.status === 404) this.#known = null;
				this.#again = true;
				await pause(wait.next());
			}
		}
		this.#loading = false;
		const held = this.#held;
		this.#held = [];
		this.#take(held);
		this.#flush();
	}
	async #read() {
		const person = this.person.value;
		const id = this.#known ?? await findConversation(this.#config, person);
		if (person !== this.person.value) return;
		if (id === null) {
			this.loaded.value = true;
			return;
		}
		this.#known = id;
		const [conversation, page] = await Promise.all([fetchConversation(id), call(`/api/v1/conversations/${id}/messages?limit=${PAGE}`)]);
		if (person !== this.person.value) return;
		this.#join(conversation);
		r(() => {
			this.conversation.value = conversation;
			this.messages.value = mergeMessages([], page.items);
			this.earlier.value = page.next;
			this.loaded.value = true;
		});
		this.#settle(page.items);
	}
	async loadEarlier() {
		const id = this.conversation.value?.id;
		const cursor = this.earlier.value;
		if (!id || !cursor) return;
		const query = new URLSearchParams({
			limit: String(PAGE),
			cursor
		});
		const page = await call(`/api/v1/conversations/${id}/messages?${query}`);
		r(() => {
			this.messages.value = mergeMessages(this.messages.value, page.items);
			this.earlier.value = page.next;
		});
	}
	#take(items) {
		if (this.#loading) {
			this.#held.push(...items);
			return;
		}
		const id = this.conversation.value?.id;
		const home = items.findLast((item) => isHers(item.message, this.#numbers))?.conversation_id;
		if (home) this.#known = home;
		if (home !== void 0 && home !== id || items.some((item) => item.kind === "customer")) this.load();
		const hers = items.filter((item) => item.conversation_id === id);
		const messages = hers.flatMap((item) => item.message ? [item.message] : []);
		const conversation = hers.findLast((item) => item.conversation)?.conversation;
		r(() => {
			if (conversation) {
				this.conversation.value = conversation;
				this.#join(conversation);
			}
			this.messages.value = mergeMessages(this.messages.value, messages);
		});
		this.#settle(messages);
	}
	#settle(messages) {
		for (const message of messages) this.outbox.settle(message.client_id);
	}
	send(draft) {
		const conversation = this.conversation.value?.id;
		if (!conversation) return;
		this.outbox.add({
			...draft,
			conversation
		});
		this.#flush();
	}
	retry(client_id) {
		this.outbox.retry(client_id);
		this.#flush();
	}
	/** Send what waits, oldest first, each until the hub has it or refuses it. */
	async #flush() {
		if (this.#flushing) return;
		this.#flushing = true;
		const wait = backoff();
		for (let entry = this.outbox.next(); entry; entry = this.outbox.next()) {
			const { client_id, body } = entry;
			const path = `/api/v1/conversations/${body.conversation}/messages`;
			try {
				const answer = await call(path, {
					body: {
						text: body.text,
						note: body.note,
						client_id,
						...body.channel && !body.note ? { channel: body.channel } : {}
					},
					key: client_id
				});
				r(() => {
					if (body.conversation === this.conversation.value?.id) this.messages.value = mergeMessages(this.messages.value, answer.items);
					this.outbox.settle(client_id);
				});
				wait.reset();
			} catch (error) {
				if (error instanceof CallFailed && !error.passing) this.outbox.refuse(client_id, reasonOf$1(error));
				else await pause(wait.next());
			}
		}
		this.#flushing = false;
	}
	/** Give the conversation back to the bot; `resume` makes it ask its last question again. */
	async release(resume) {
		const id = this.conversation.value?.id;
		if (!id) return;
		const key = crypto.randomUUID();
		await call(`/api/v1/conversations/${id}/release`, {
			body: { resume },
			key
		});
		this.conversation.value = await fetchConversation(id);
	}
	async markRead() {
		const conversation = this.conversation.peek();
		if (!conversation?.unread) return;
		this.conversation.value = {
			...conversation,
			unread: 0
		};
		try {
			await call(`/api/v1/conversations/${conversation.id}/read`, { method: "POST" });
		} catch {}
	}
};
// src/phones/Bubble.tsx
function authorName({ author }, customer) {
	if (author.kind === "customer") return author.name || customer;
	if (author.kind === "agent") return author.name || t("author.agent");
	return author.name || (tKnown(`author.${author.kind}`) ?? author.kind);
}
/** Why it failed, as a sentence that says what to do; the provider's own words otherwise. */
function reasonOf(error) {
	return tKnown(`error.${error.class}`) ?? (error.reason || error.code || t("error.unsaid"));
}
/** One message of the thread: who, by which channel, what, when and how far it got. */
function Bubble({ message, customer, kindOf }) {
	const { direction, author, state, error, part } = message;
	const name = authorName(message, customer);
	const own = direction !== "in";
	const at = placeOf(message);
	const lost = state === "failed" || state === "cancelled";
	return /* @__PURE__ */ a("article", {
		class: own ? "bubble own" : "bubble",
		"data-author": author.kind,
		"data-direction": direction,
		"data-state": state,
		"data-id": message.id,
		children: [
			/* @__PURE__ */ a("header", { children: [
				author.kind === "bot" && /* @__PURE__ */ a(Icon, { name: "bot" }),
				direction === "note" && /* @__PURE__ */ a(Icon, { name: "stickyNote" }),
				/* @__PURE__ */ a("strong", {
					dir: "auto",
					children: direction === "note" ? t("author.note", { name }) : name
				}),
				message.channel && direction !== "note" && /* @__PURE__ */ a(Badge, { kind: kindOf(message.channel) })
			] }),
			message.deleted_at ? /* @__PURE__ */ a("p", {
				class: "text gone",
				children: t("thread.deleted")
			}) : /* @__PURE__ */ a(Body, { ...message }),
			/* @__PURE__ */ a("footer", { children: [
				/* @__PURE__ */ a("time", {
					dateTime: at,
					title: fullTime(at),
					children: clock(at)
				}),
				message.edited_at && /* @__PURE__ */ a("span", { children: t("thread.edited") }),
				part && part.count > 1 && /* @__PURE__ */ a("span", { children: t("thread.part", {
					index: part.index + 1,
					count: part.count
				}) }),
				direction === "out" && state && /* @__PURE__ */ a(Ticks, { state })
			] }),
			lost && error && /* @__PURE__ */ a("p", {
				class: "error",
				children: reasonOf(error)
			})
		]
	});
}
function Body({ kind, text, choice, media, place, contacts, buttons, reply_to }) {
	const shown = choice && !text ? choice.title : text;
	return /* @__PURE__ */ a($, { children: [
		reply_to?.quote && /* @__PURE__ */ a("blockquote", {
			dir: "auto",
			children: reply_to.quote
		}),
		media.map((one, index) => /* @__PURE__ */ a(MediaView, { media: one }, one.url ?? index)),
		place && /* @__PURE__ */ a("p", {
			class: "media-note",
			children: [/* @__PURE__ */ a(Icon, { name: "mapPin" }), place.name || place.address || `${place.latitude}, ${place.longitude}`]
		}),
		contacts.map((contact) => /* @__PURE__ */ a("p", {
			class: "media-note",
			children: [
				/* @__PURE__ */ a(Icon, { name: "user" }),
				contact.name,
				" ",
				contact.phones.join(", ")
			]
		}, contact.name)),
		choice && /* @__PURE__ */ a("p", {
			class: "chose",
			children: t("thread.chose")
		}),
		shown && /* @__PURE__ */ a(RichText, { text: shown }),
		kind === "unsupported" && !shown && /* @__PURE__ */ a("p", {
			class: "text gone",
			children: t("thread.unsupported")
		}),
		buttons.length > 0 && /* @__PURE__ */ a("ul", {
			class: "offered",
			children: buttons.map((button) => /* @__PURE__ */ a("li", {
				dir: "auto",
				children: button.title
			}, button.id))
		})
	] });
}
/** What the agent sent and the hub has not confirmed yet. */
function Waiting$1({ entry, kindOf, onRetry, onDiscard }) {
	const { text, channel, note } = entry.body;
	const failed = entry.state === "failed";
	return /* @__PURE__ */ a("article", {
		class: "bubble own waiting",
		"data-author": "agent",
		"data-direction": note ? "note" : "out",
		"data-state": entry.state,
		children: [
			/* @__PURE__ */ a("header", { children: [
				note && /* @__PURE__ */ a(Icon, { name: "stickyNote" }),
				/* @__PURE__ */ a("strong", { children: note ? t("author.note", { name: t("author.you") }) : t("author.you") }),
				channel && !note && /* @__PURE__ */ a(Badge, { kind: kindOf(channel) })
			] }),
			/* @__PURE__ */ a(RichText, { text }),
			/* @__PURE__ */ a("footer", { children: [/* @__PURE__ */ a("time", {
				dateTime: entry.at,
				children: clock(entry.at)
			}), /* @__PURE__ */ a(Ticks, { state: entry.state })] }),
			failed && /* @__PURE__ */ a($, { children: [/* @__PURE__ */ a("p", {
				class: "error",
				role: "alert",
				children: tKnown(`error.${entry.reason}`) ?? (entry.reason || t("error.unsaid"))
			}), /* @__PURE__ */ a("div", {
				class: "again",
				children: [/* @__PURE__ */ a("button", {
					type: "button",
					onClick: onRetry,
					children: [/* @__PURE__ */ a(Icon, { name: "rotateCw" }), t("composer.retry")]
				}), /* @__PURE__ */ a("button", {
					type: "button",
					onClick: onDiscard,
					children: t("composer.discard")
				})]
			})] })
		]
	});
}
/** "now on SMS": where the customer and the answers moved to another channel. */
function ChannelDivider({ kind }) {
	return /* @__PURE__ */ a("p", {
		class: "divider",
		"data-kind": kind ?? "none",
		children: /* @__PURE__ */ a("span", { children: t("thread.nowOn", { channel: channelName(kind) }) })
	});
}
// src/phones/Composer.tsx
var none = {
	reply: "",
	note: ""
};
var drafts = y(browserStorage.read("drafts", {}));
var mode = y("reply");
function keepDraft(conversation, text) {
	const pair = {
		...none,
		...drafts.value[conversation],
		[mode.value]: text
	};
	drafts.value = {
		...drafts.value,
		[conversation]: pair
	};
	browserStorage.write("drafts", drafts.value);
}
/** Where an agent answers: reply or note, and by which channel. */
function Composer({ thread, phones }) {
	const [chosen, setChosen] = d("");
	const conversation = thread.conversation.value;
	const last = thread.lastChannel.value;
	const reached = phones.filter((phone) => conversation ? conversation.channels.includes(phone.channel) : phone.person === thread.person.value);
	const picked = reached.some((phone) => phone.channel === chosen) ? chosen : "";
	const channel = picked || last || reached[0]?.channel || null;
	const kindOf = (name) => phones.find((phone) => phone.channel === name)?.kind ?? name;
	const note = mode.value === "note";
	const id = conversation?.id ?? "";
	const text = (drafts.value[id] ?? none)[mode.value];
	const name = conversation?.customer.name || thread.customerName;
	const onKeyDown = (event) => {
		if (!event.altKey || event.ctrlKey || event.metaKey) return;
		const next = {
			KeyP: "note",
			KeyL: "reply"
		}[event.code];
		if (!next) return;
		event.preventDefault();
		mode.value = next;
	};
	const send = () => {
		thread.send({
			text,
			channel: note ? null : channel,
			note
		});
		keepDraft(id, "");
	};
	return /* @__PURE__ */ a("section", {
		class: note ? "composer noting" : "composer",
		children: [
			/* @__PURE__ */ a("div", {
				class: "composer-top",
				children: [/* @__PURE__ */ a("fieldset", {
					class: "switch",
					children: [/* @__PURE__ */ a("legend", {
						class: "unseen",
						children: t("composer.mode")
					}), ["reply", "note"].map((one) => /* @__PURE__ */ a("button", {
						type: "button",
						"aria-pressed": mode.value === one,
						onClick: () => {
							mode.value = one;
						},
						children: [one === "note" && /* @__PURE__ */ a(Icon, { name: "stickyNote" }), t(`composer.${one}`)]
					}, one))]
				}), !note && /* @__PURE__ */ a("label", {
					class: "picker",
					children: [/* @__PURE__ */ a("span", { children: t("composer.by") }), /* @__PURE__ */ a("select", {
						value: picked,
						onChange: (event) => setChosen(event.currentTarget.value),
						children: [/* @__PURE__ */ a("option", {
							value: "",
							children: last ? t("composer.auto", { channel: channelName(kindOf(last)) }) : channelName(kindOf(channel))
						}), reached.map((phone) => /* @__PURE__ */ a("option", {
							value: phone.channel,
							children: channelName(phone.kind)
						}, phone.channel))]
					})]
				})]
			}),
			/* @__PURE__ */ a(MessageBox, {
				id: "answer",
				label: note ? t("composer.writeNote") : t("composer.write", { name }),
				placeholder: note ? t("composer.writeNote") : t("composer.write", { name }),
				value: text,
				onValue: (value) => keepDraft(id, value),
				onSend: send,
				sendLabel: note ? t("composer.addNote") : t("composer.send", { channel: channelName(kindOf(channel)) }),
				wordy: true,
				disabled: !conversation,
				describedBy: "answer-hint",
				onKeyDown
			}),
			/* @__PURE__ */ a("p", {
				class: "hint",
				id: "answer-hint",
				children: hintOf(thread, note)
			}),
			!note && kindOf(channel) === "twilio" && text && /* @__PURE__ */ a(SmsCount, {
				id: "answer-count",
				text
			})
		]
	});
}
function hintOf(thread, note) {
	const conversation = thread.conversation.value;
	if (!conversation) return t("composer.waitsForHer", { name: thread.customerName });
	if (!note && conversation.owner.kind !== "agent") return t("composer.takesOver");
	return touch() ? "" : t("composer.keys");
}
// src/phones/Ideas.tsx
var ideas = [
	{
		kind: "twilio",
		words: "idea.order"
	},
	{
		kind: "whatsapp",
		words: "idea.hello"
	},
	{
		kind: "webchat",
		words: "idea.human"
	},
	{
		kind: "whatsapp",
		words: "idea.bangla"
	}
];
/** What a newcomer can do here, as words that are sent by pressing them. */
function Ideas({ say }) {
	return /* @__PURE__ */ a("div", {
		class: "ideas",
		children: [
			/* @__PURE__ */ a("h3", { children: t("idea.lead") }),
			/* @__PURE__ */ a("p", { children: t("idea.how") }),
			/* @__PURE__ */ a("ul", { children: ideas.map(({ kind, words }) => /* @__PURE__ */ a("li", { children: /* @__PURE__ */ a("button", {
				type: "button",
				class: "chip",
				onClick: () => say(kind, t(words)),
				children: [/* @__PURE__ */ a(Badge, { kind }), /* @__PURE__ */ a("span", {
					dir: "auto",
					children: t(words)
				})]
			}) }, words)) }),
			/* @__PURE__ */ a("p", {
				class: "hint",
				children: t("idea.press")
			})
		]
	});
}
// src/phones/Owner.tsx
var glyphs = {
	bot: "bot",
	queue: "inbox",
	agent: "user"
};
function ownerWords({ owner }) {
	if (owner.kind === "agent") return t("owner.agent", { name: owner.name || t("author.agent") });
	return owner.kind === "bot" ? t("owner.bot") : t("owner.queue");
}
/** Who answers the customer now, and the way back to the bot. */
function Owner({ thread }) {
	const [resume, setResume] = d(false);
	const [busy, setBusy] = d(false);
	const [failed, setFailed] = d(false);
	const conversation = thread.conversation.value;
	if (!conversation) return null;
	const { kind } = conversation.owner;
	const giveBack = async () => {
		if (busy) return;
		setBusy(true);
		setFailed(false);
		try {
			await thread.release(resume);
		} catch {
			setFailed(true);
		}
		setBusy(false);
	};
	return /* @__PURE__ */ a($, { children: [
		/* @__PURE__ */ a("p", {
			class: "owner",
			role: "status",
			"aria-label": t("owner.label"),
			"data-owner": kind,
			children: [/* @__PURE__ */ a(Icon, { name: glyphs[kind] ?? "user" }), ownerWords(conversation)]
		}),
		kind !== "bot" && /* @__PURE__ */ a("div", {
			class: "back",
			children: [/* @__PURE__ */ a("button", {
				type: "button",
				"aria-disabled": busy,
				onClick: () => void giveBack(),
				children: [/* @__PURE__ */ a(Icon, { name: "undo2" }), t("owner.giveBack")]
			}), /* @__PURE__ */ a("label", { children: [/* @__PURE__ */ a("input", {
				type: "checkbox",
				checked: resume,
				onChange: (event) => setResume(event.currentTarget.checked)
			}), t("owner.resume")] })]
		}),
		failed && /* @__PURE__ */ a("p", {
			class: "error",
			role: "alert",
			children: t("owner.failed")
		})
	] });
}
// src/phones/ThreadView.tsx
/** The hub's side: the one thread of the customer, all channels merged. */
function ThreadView({ thread, phones, say, shown }) {
	const [ideas, setIdeas] = d(false);
	const rows = thread.rows.value;
	const name = thread.conversation.value?.customer.name || thread.customerName;
	const unread = thread.conversation.value?.unread ?? 0;
	A(() => {
		if (!shown || unread === 0) return void 0;
		const timer = setTimeout(() => void thread.markRead(), 800);
		return () => clearTimeout(timer);
	}, [
		shown,
		unread,
		thread
	]);
	const empty = thread.loaded.value && rows.length === 0;
	const trouble = thread.trouble.value;
	return /* @__PURE__ */ a("div", {
		class: "thread",
		children: [
			/* @__PURE__ */ a("header", {
				class: "thread-bar",
				children: [
					/* @__PURE__ */ a("h2", { children: t("thread.title") }),
					!empty && /* @__PURE__ */ a("button", {
						type: "button",
						class: "plain",
						"aria-label": t("idea.title"),
						title: t("idea.title"),
						"aria-expanded": ideas,
						"aria-controls": "ideas",
						onClick: () => setIdeas(!ideas),
						children: /* @__PURE__ */ a(Icon, { name: "lightbulb" })
					}),
					/* @__PURE__ */ a(Owner, { thread })
				]
			}),
			/* @__PURE__ */ a(Whose, {
				thread,
				phones
			}),
			ideas && !empty && /* @__PURE__ */ a("div", {
				id: "ideas",
				children: /* @__PURE__ */ a(Ideas, { say })
			}),
			trouble && /* @__PURE__ */ a("p", {
				class: "error",
				role: "alert",
				children: trouble === "login" ? t("error.login") : t(`trouble.${trouble}`)
			}),
			/* @__PURE__ */ a(Log, {
				label: t("thread.log", { name }),
				count: rows.length,
				spoken: true,
				children: [
					!thread.loaded.value && !trouble && /* @__PURE__ */ a("p", {
						class: "hint",
						children: t("app.loading")
					}),
					empty && /* @__PURE__ */ a(Ideas, { say }),
					thread.earlier.value && /* @__PURE__ */ a("button", {
						type: "button",
						class: "earlier",
						onClick: () => void thread.loadEarlier(),
						children: t("thread.earlier")
					}),
					rows.map((row) => /* @__PURE__ */ a(RowView, {
						row,
						thread,
						phones,
						name
					}, row.key))
				]
			}),
			/* @__PURE__ */ a(Composer, {
				thread,
				phones
			})
		]
	});
}
/** Whose thread is shown: the customer's, or that of a phone the hub cannot know to be hers. */
function Whose({ thread, phones }) {
	const joined = thread.joined.value;
	const person = thread.person.value;
	const others = phones.filter((phone) => !joined.has(phone.person));
	const known = phones.filter((phone) => joined.has(phone.person));
	if (others.length === 0) return null;
	const names = known.map(({ kind }) => channelName(kind)).join(", ");
	return /* @__PURE__ */ a("div", {
		class: "whose",
		children: [/* @__PURE__ */ a("label", { children: [/* @__PURE__ */ a("span", {
			class: "unseen",
			children: t("person.whose")
		}), /* @__PURE__ */ a("select", {
			value: person,
			onChange: (event) => thread.watch(event.currentTarget.value),
			children: [/* @__PURE__ */ a("option", {
				value: "",
				children: t("person.known", {
					name: thread.customerName,
					channels: names
				})
			}), others.map(({ kind, person: id }) => /* @__PURE__ */ a("option", {
				value: id,
				children: t("person.other", { channel: channelName(kind) })
			}, id))]
		})] }), person !== "" && /* @__PURE__ */ a("p", {
			class: "hint",
			role: "note",
			children: person === "telegram" ? t("person.whyTelegram") : t("person.why", { channel: channelName(person) })
		})]
	});
}
function RowView({ row, thread, phones, name }) {
	const kindOf = (channel) => phones.find((phone) => phone.channel === channel)?.kind ?? channel;
	switch (row.kind) {
		case "day": return /* @__PURE__ */ a("p", {
			class: "day",
			children: dayOf(row.at)
		});
		case "channel": return /* @__PURE__ */ a(ChannelDivider, { kind: kindOf(row.channel) });
		case "message": return /* @__PURE__ */ a(Bubble, {
			message: row.message,
			customer: name,
			kindOf
		});
		case "entry": return /* @__PURE__ */ a(Waiting$1, {
			entry: row.entry,
			kindOf,
			onRetry: () => thread.retry(row.entry.client_id),
			onDiscard: () => thread.outbox.discard(row.entry.client_id)
		});
	}
}
// src/phones/WebchatView.tsx
function WebchatView({ visitor, customer, spoken, shown, onWritten }) {
	const [text, setText] = d("");
	const items = visitor.items.value;
	const entries = visitor.outbox.entries.value;
	const channel = channelName("webchat");
	A(() => {
		if (shown) visitor.see();
	}, [
		shown,
		items,
		visitor
	]);
	const footer = /* @__PURE__ */ a(MessageBox, {
		id: "write-webchat",
		label: t("phone.write", {
			name: customer,
			channel
		}),
		placeholder: t("phone.placeholder"),
		value: text,
		onValue: (value) => {
			setText(value);
			visitor.type();
		},
		onSend: () => {
			visitor.write({ text });
			onWritten();
			setText("");
		},
		sendLabel: t("phone.send", { channel })
	});
	return /* @__PURE__ */ a(PhoneFrame, {
		kind: "webchat",
		subtitle: visitor.line.value === "live" ? t("phone.online") : t("phone.offline"),
		typing: visitor.typing.value ? t("phone.typing") : void 0,
		line: visitor.line.value,
		count: items.length + entries.length,
		spoken,
		footer,
		children: [items.map((item) => /* @__PURE__ */ a(Line, {
			item,
			visitor
		}, item.id)), entries.map((entry) => /* @__PURE__ */ a(Waiting, {
			entry,
			visitor
		}, entry.client_id))]
	});
}
function Line({ item, visitor }) {
	const own = item.dir === "out";
	const author = item.author.bot ? t("author.bot") : item.author.name || t("author.agent");
	const buttons = (item.buttons ?? []).filter((button) => button.kind !== "url");
	return /* @__PURE__ */ a("article", {
		class: own ? "bubble own" : "bubble",
		"data-id": item.id,
		children: [
			/* @__PURE__ */ a("span", {
				class: "unseen",
				children: [own ? t("phone.you") : author, ": "]
			}),
			item.attachments?.map((media, index) => /* @__PURE__ */ a(MediaView, { media }, media.url ?? index)),
			item.deleted && /* @__PURE__ */ a("p", {
				class: "text gone",
				children: t("thread.deleted")
			}),
			item.text && /* @__PURE__ */ a(RichText, { text: item.text }),
			/* @__PURE__ */ a("footer", { children: [
				!own && /* @__PURE__ */ a("span", {
					dir: "auto",
					children: author
				}),
				/* @__PURE__ */ a("time", {
					dateTime: item.ts,
					title: fullTime(item.ts),
					children: clock(item.ts)
				}),
				own && /* @__PURE__ */ a(Ticks, {
					state: "sent",
					quiet: true
				})
			] }),
			buttons.length > 0 && /* @__PURE__ */ a("div", {
				class: "taps",
				children: buttons.map(({ id, title }) => /* @__PURE__ */ a("button", {
					type: "button",
					dir: "auto",
					onClick: () => visitor.write({
						text: title,
						action: { id }
					}),
					children: title
				}, id))
			})
		]
	});
}
function Waiting({ entry, visitor }) {
	return /* @__PURE__ */ a("article", {
		class: "bubble own waiting",
		children: [
			/* @__PURE__ */ a(RichText, { text: entry.body.text }),
			/* @__PURE__ */ a("footer", { children: [/* @__PURE__ */ a("time", {
				dateTime: entry.at,
				children: clock(entry.at)
			}), /* @__PURE__ */ a(Ticks, {
				state: entry.state,
				quiet: entry.state === "waiting"
			})] }),
			entry.state === "failed" && /* @__PURE__ */ a("div", {
				class: "again",
				children: [/* @__PURE__ */ a("button", {
					type: "button",
					onClick: () => visitor.retry(entry.client_id),
					children: t("composer.retry")
				}), /* @__PURE__ */ a("button", {
					type: "button",
					onClick: () => visitor.outbox.discard(entry.client_id),
					children: t("composer.discard")
				})]
			})
		]
	});
}
// src/phones/visit.ts
/** `items` by seq with `item` taken in, once, whatever is repeated on the wire. */
function takeItem(items, item) {
	const place = items.findIndex((known) => known.id === item.id);
	if (place >= 0) return items.with(place, {
		...items[place],
		...item
	});
	const after = items.findLastIndex((known) => known.seq < item.seq);
	return items.toSpliced(after + 1, 0, item);
}
/** The visitor's own words as an item, once the server has given them a place. */
function ownItem(entry, ack) {
	return {
		id: ack.id,
		seq: ack.seq,
		client_id: entry.client_id,
		dir: "out",
		kind: "text",
		text: entry.body.text,
		author: {
			name: "",
			bot: false
		},
		ts: entry.at
	};
}
// src/phones/webchat.ts
var PING_MS = 25e3;
var CLOSED_TOKEN = 4001;
var CLOSED_FOR_GOOD = /* @__PURE__ */ new Set([4003, 4004]);
/** A visitor of the web chat: the protocol of the widget, on this page. What she writes
* waits in an outbox until the server has it. */
var WebchatVisitor = class {
	items = y([]);
	line = y("connecting");
	typing = y(false);
	outbox;
	#config;
	#key;
	#session = null;
	#socket = null;
	#recognised = false;
	#wait = backoff(1e3, 6e4);
	#pauseMs = 0;
	#told = 0;
	#typed = 0;
	constructor(config) {
		this.#config = config;
		this.#key = `webchat.${config.site}`;
		this.outbox = new Outbox(browserStorage, this.#key);
	}
	start() {
		this.#run();
	}
	write(said) {
		this.#say(this.outbox.add(said).client_id);
		this.#typed = 0;
	}
	retry(client_id) {
		this.outbox.retry(client_id);
		this.#say(client_id);
	}
	/** Tell the business she is writing; at most once in three seconds. */
	type() {
		if (Date.now() - this.#typed < 3e3) return;
		this.#typed = Date.now();
		this.#send({
			type: "typing",
			on: true
		});
	}
	/** Her eyes are on the newest message. */
	see() {
		const last = this.items.value.findLast((item) => item.dir === "in")?.seq ?? 0;
		if (last <= this.#told || document.visibilityState !== "visible") return;
		if (this.#send({
			type: "read",
			up_to_seq: last
		})) this.#told = last;
	}
	async #run() {
		for (;;) {
			let closed = 0;
			try {
				this.#session ??= await this.#open();
				closed = await this.#connect(this.#session);
			} catch {}
			this.line.value = "offline";
			this.typing.value = false;
			if (CLOSED_FOR_GOOD.has(closed)) return;
			if (closed === CLOSED_TOKEN) this.#session = null;
			await pause(Math.max(this.#wait.next(), this.#pauseMs));
			this.#pauseMs = 0;
		}
	}
	async #open() {
		const known = browserStorage.read(this.#key, {});
		const body = {
			site: this.#config.site,
			page: location.origin + location.pathname,
			referrer: document.referrer,
			locale: lang.peek(),
			tz: Intl.DateTimeFormat().resolvedOptions().timeZone
		};
		let session;
		try {
			const proof = known.refresh ? { visitor_token: known.refresh } : {};
			session = await call("/chat/v1/session", { body: {
				...body,
				...proof
			} });
		} catch (error) {
			if (!(error instanceof CallFailed && !error.passing && known.refresh)) throw error;
			session = await call("/chat/v1/session", { body });
		}
		this.#recognised = false;
		browserStorage.write(this.#key, { refresh: session.refresh });
		return session;
	}
	#enter({ token, refresh }) {
		this.#session = {
			token,
			refresh
		};
		this.#recognised = true;
		this.#told = 0;
		this.items.value = [];
		browserStorage.write(this.#key, { refresh });
	}
	/** Connected: say who she is, then what waited. */
	#greet() {
		this.line.value = "live";
		this.#wait.reset();
		const { identity } = this.#config;
		if (identity && !this.#recognised) this.#send({
			type: "identify",
			...identity
		});
		for (const entry of this.outbox.entries.value) if (entry.state === "waiting") this.#say(entry.client_id);
	}
	#connect(session) {
		return new Promise((resolve) => {
			const socket = new WebSocket("/chat/v1/ws");
			this.#socket = socket;
			let heard = Date.now();
			const beat = setInterval(() => {
				if (Date.now() - heard > 2.5 * PING_MS) socket.close();
				else this.#send({ type: "ping" });
			}, PING_MS);
			socket.addEventListener("open", () => {
				const last_seq = this.items.value.at(-1)?.seq ?? 0;
				this.#send({
					type: "hello",
					token: session.token,
					last_seq
				});
			});
			socket.addEventListener("message", (event) => {
				heard = Date.now();
				this.#take(JSON.parse(event.data));
			});
			socket.addEventListener("close", (event) => {
				clearInterval(beat);
				resolve(event.code);
			});
		});
	}
	#take(frame) {
		switch (frame.type) {
			case "welcome":
				this.#greet();
				return;
			case "session":
				this.#enter(frame);
				return;
			case "reset":
				this.items.value = [];
				return;
			case "message":
			case "update": {
				const { type, ...item } = frame;
				if (type === "message" && item.dir === "in") this.typing.value = false;
				this.outbox.settle(item.client_id);
				this.items.value = takeItem(this.items.value, item);
				return;
			}
			case "ack": {
				const entry = this.outbox.entries.value.find((one) => one.client_id === frame.client_id);
				if (entry) this.items.value = takeItem(this.items.value, ownItem(entry, frame));
				this.outbox.settle(frame.client_id);
				return;
			}
			case "nack":
				this.#refused(frame);
				return;
			case "typing":
				this.typing.value = frame.on;
				return;
			case "read":
				this.#told = Math.max(this.#told, frame.up_to_seq);
				return;
			case "bye":
				this.#pauseMs = (frame.retry_after ?? 0) * 1e3;
				return;
		}
	}
	#refused(frame) {
		if (!frame.retryable) {
			this.outbox.refuse(frame.client_id, frame.code);
			return;
		}
		const wait = (frame.retry_after ?? 2) * 1e3;
		setTimeout(() => this.outbox.has(frame.client_id) && this.#say(frame.client_id), wait);
	}
	#say(client_id) {
		if (this.line.peek() !== "live") return;
		const entry = this.outbox.entries.value.find((one) => one.client_id === client_id);
		if (entry) this.#send({
			type: "message",
			client_id,
			...entry.body
		});
	}
	#send(frame) {
		if (this.#socket?.readyState !== WebSocket.OPEN) return false;
		this.#socket.send(JSON.stringify(frame));
		return true;
	}
};
// src/phones/Demo.tsx
var NARROW = matchMedia("(max-width: 1099px)");
var narrow = y(NARROW.matches);
NARROW.addEventListener("change", () => {
	narrow.value = NARROW.matches;
});
function deviceOf(config, name) {
	if (config.kind === "webchat") {
		const client = new WebchatVisitor(config);
		return {
			config,
			client,
			heard: O(() => client.items.value.filter((item) => item.dir === "in").length)
		};
	}
	const client = new SandboxPhone(config, name);
	return {
		config,
		client,
		heard: O(() => client.items.value.filter((item) => item.direction === "out").length)
	};
}
/** The customer's phones beside the hub's thread; one at a time on small screens. */
function Demo({ config }) {
	const [{ devices, thread }] = d(() => ({
		devices: config.phones.map((phone) => deviceOf(phone, config.customer.name)),
		thread: new Thread(config)
	}));
	const [chosen, setChosen] = d("thread");
	A(() => {
		const clients = devices.map((device) => device.client);
		for (const client of clients) if (client instanceof WebchatVisitor) client.start();
		const stopped = new AbortController();
		followPhones(clients.filter((client) => client instanceof SandboxPhone), stopped.signal);
		thread.start();
		return () => stopped.abort();
	}, [devices, thread]);
	const say = (kind, text) => {
		const device = devices.find((one) => one.config.kind === kind);
		if (!device) return;
		lookAt(kind);
		thread.watch(device.config.person);
		if (device.client instanceof WebchatVisitor) device.client.write({ text });
		else device.client.write({ text }).catch(() => setChosen(kind));
	};
	const { name } = config.customer;
	const tabs = [...devices.map(({ config: { kind } }) => ({
		id: kind,
		title: channelName(kind),
		icon: glyphOf(kind),
		fresh: 0
	})), {
		id: "thread",
		title: t("thread.tab"),
		icon: "messageSquare",
		fresh: 0
	}];
	const fresh = useFresh([...devices.map((device) => device.heard.value), thread.messages.value.length], tabs.findIndex((tab) => tab.id === chosen));
	tabs.forEach((tab, index) => Object.assign(tab, { fresh: fresh[index] ?? 0 }));
	const shown = (id) => !narrow.value || chosen === id;
	const panel = (id, title) => narrow.value ? {
		id: `panel-${id}`,
		role: "tabpanel",
		"aria-labelledby": `tab-${id}`,
		hidden: !shown(id)
	} : {
		id: `panel-${id}`,
		"aria-label": title
	};
	return /* @__PURE__ */ a("div", {
		class: "demo",
		children: [
			/* @__PURE__ */ a("a", {
				class: "skip",
				href: "#answer",
				onClick: () => setChosen("thread"),
				children: t("app.skip")
			}),
			/* @__PURE__ */ a("header", {
				class: "top",
				children: [
					/* @__PURE__ */ a("h1", { children: [
						t("app.name"),
						" ",
						/* @__PURE__ */ a("span", {
							class: "roomy",
							children: t("app.demoWord")
						})
					] }),
					/* @__PURE__ */ a("p", {
						class: "who roomy",
						children: [
							/* @__PURE__ */ a(Icon, { name: "user" }),
							/* @__PURE__ */ a("span", {
								dir: "auto",
								children: name
							}),
							" ",
							/* @__PURE__ */ a("span", {
								class: "number",
								children: config.customer.number
							})
						]
					}),
					/* @__PURE__ */ a(LangSwitch, {}),
					/* @__PURE__ */ a(ThemeSwitch, {})
				]
			}),
			/* @__PURE__ */ a(OfflineBar, { thread }),
			narrow.value && /* @__PURE__ */ a("nav", { children: /* @__PURE__ */ a(Tabs, {
				label: t("app.views"),
				tabs,
				chosen,
				onChoose: setChosen
			}) }),
			/* @__PURE__ */ a("main", {
				class: "stage",
				children: [
					!narrow.value && /* @__PURE__ */ a("nav", {
						class: "jumps",
						"aria-label": t("app.phones"),
						children: devices.map(({ config: { kind } }) => /* @__PURE__ */ a("button", {
							type: "button",
							"data-kind": kind,
							onClick: () => lookAt(kind),
							children: [/* @__PURE__ */ a(Icon, { name: glyphOf(kind) }), channelName(kind)]
						}, kind))
					}),
					/* @__PURE__ */ a("div", {
						class: "strip",
						children: devices.map(({ config: phone, client }) => /* @__PURE__ */ a("section", {
							class: "cell",
							...panel(phone.kind, channelName(phone.kind)),
							children: client instanceof WebchatVisitor ? /* @__PURE__ */ a(WebchatView, {
								visitor: client,
								customer: name,
								spoken: narrow.value,
								shown: shown("webchat"),
								onWritten: () => thread.watch(phone.person)
							}) : phone.kind === "webchat" ? null : /* @__PURE__ */ a(SandboxPhoneView, {
								config: phone,
								phone: client,
								customer: config.customer,
								spoken: narrow.value,
								onWritten: () => thread.watch(phone.person)
							})
						}, phone.kind))
					}),
					/* @__PURE__ */ a("section", {
						class: "cell wide",
						...panel("thread", t("thread.title")),
						children: /* @__PURE__ */ a(ThreadView, {
							thread,
							phones: config.phones,
							say,
							shown: shown("thread")
						})
					})
				]
			})
		]
	});
}
/** Bring a phone of the strip into view. */
function lookAt(kind) {
	const phone = document.getElementById(`panel-${kind}`);
	phone?.parentElement?.scrollTo({ left: phone.offsetLeft });
}
/** How many of each came since its tab was last looked at. */
function useFresh(heard, looked) {
	const seen = T(null);
	seen.current ??= heard.map(() => 0);
	if (looked >= 0) seen.current[looked] = heard[looked] ?? 0;
	return heard.map((count, index) => Math.max(0, count - (seen.current?.[index] ?? 0)));
}
function OfflineBar({ thread }) {
	const line = thread.live.line.value;
	const waiting = thread.outbox.entries.value.filter((entry) => entry.state === "waiting").length;
	return /* @__PURE__ */ a("div", {
		role: "status",
		class: "offline-slot",
		children: line === "offline" && /* @__PURE__ */ a("p", {
			class: "offline",
			children: [/* @__PURE__ */ a(Icon, { name: "wifiOff" }), /* @__PURE__ */ a("span", { children: [
				t("offline.bar"),
				" ",
				waiting > 0 && t("offline.waiting", { count: waiting })
			] })]
		})
	});
}
// src/phones/main.tsx
function Page() {
	const [config, setConfig] = d(readBoot().config ?? null);
	const [failed, setFailed] = d(null);
	const load = () => {
		setFailed(null);
		call("/demo/config").then(setConfig, setFailed);
	};
	A(() => {
		if (!config) load();
	}, []);
	if (config) return /* @__PURE__ */ a(Demo, { config });
	return /* @__PURE__ */ a("main", {
		class: "whole",
		"aria-busy": !failed,
		children: [/* @__PURE__ */ a("h1", { children: t("app.demo") }), failed ? /* @__PURE__ */ a("div", {
			role: "alert",
			children: [
				/* @__PURE__ */ a("p", { children: t("app.failed") }),
				/* @__PURE__ */ a("p", { children: failed.trouble === "login" ? t("error.login") : t("trouble.offline") }),
				/* @__PURE__ */ a("button", {
					type: "button",
					onClick: load,
					children: t("app.again")
				})
			]
		}) : /* @__PURE__ */ a("p", {
			class: "late",
			children: t("app.loading")
		})]
	});
}
dressDocument();
var root = document.getElementById("app");
if (root) Q(/* @__PURE__ */ a(Page, {}), root);
