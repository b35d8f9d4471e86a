import { bubble, connect, gist, meta } from "/assets/bubbles.js";
import { avatar, call, day, grow, h, icon, listen, phone, post, shortTime, size, toast } from "/assets/common.js";

const $ = (id) => document.getElementById(id);
const chats = new Map(); // phone → {customer, messages, unread, typing}
const pending = new Map(); // id → what has not reached the simulator yet
let about = {};
let current = decodeURIComponent(location.hash.slice(1)) || null;
let quoting = null;
let attached = null; // {file, voice, url}
let fresh = 0;
const drafts = new Map();

$("add").append(icon("plus"));
$("attach").append(icon("clip"));
$("voice").append(icon("mic"));
$("send").append(icon("send"));

const FIRST = [
  { name: "Ada Brooks", phone: "447700900001" },
  { name: "Tom Okafor", phone: "447700900002" },
];

// ---------------------------------------------------------------- state

async function load() {
  try {
    about = await call("/_sim");
    const all = await call("/_sim/whatsapp/chats");
    const before = new Map(chats);
    chats.clear();
    for (const { customer, messages } of all) {
      const old = before.get(customer.phone);
      chats.set(customer.phone, { customer, messages, unread: old?.unread ?? 0, typing: old?.typing ?? false });
    }
    for (const [id, item] of pending) upsert(item.phone, { ...item.message, id });
    if (!chats.has(current)) current = matchMedia("(max-width: 760px)").matches ? null : (chats.keys().next().value ?? null);
    draw(true);
  } catch (error) { toast(error.message); }
}

function chat(number) {
  if (!chats.has(number)) chats.set(number, { customer: { phone: number, name: phone(number) }, messages: [], unread: 0, typing: false });
  return chats.get(number);
}

/** Adds or replaces a message; true when it is new. */
function upsert(number, message) {
  const { messages } = chat(number);
  const place = messages.findIndex((other) => other.id === message.id);
  if (place >= 0) { messages[place] = message; return false; }
  messages.push(message);
  return true;
}

function onNews(news) {
  if (news.kind === "message") {
    const added = upsert(news.chat, news.message);
    pending.delete(news.message.id);
    const from = chat(news.chat);
    if (added && news.message.author === "business") {
      from.typing = false;
      if (news.chat === current) drawHead();
      if (news.chat !== current || document.hidden) from.unread += 1;
    }
    if (news.chat === current) added ? drawStream(false) : redraw(news.message);
    drawPeople();
  } else if (news.kind === "customer") {
    chat(news.customer.phone).customer = news.customer;
    drawPeople();
    if (news.customer.phone === current) drawHead();
  } else if (news.kind === "typing" && news.chat) {
    if (!chats.has(news.chat) || chat(news.chat).typing === news.on) return;
    chat(news.chat).typing = news.on;
    if (news.chat === current) { drawHead(); drawStream(false); }
    drawPeople();
  } else if (news.kind === "reset") { pending.clear(); load(); }
  else if (news.kind === "reload") load();
}

// ---------------------------------------------------------------- people

function drawPeople() {
  const last = (one) => one.messages.at(-1)?.at ?? "";
  const order = [...chats.values()].sort((a, b) => last(b).localeCompare(last(a)));
  $("people").replaceChildren(...order.map((one) => {
    const message = one.messages.at(-1);
    const selected = one.customer.phone === current;
    return h("li", {}, h("button", { class: "person", "aria-current": selected ? "true" : null, onclick: () => select(one.customer.phone) },
      avatar(one.customer.name), h("b", {}, one.customer.name), h("time", {}, message ? shortTime(message.at) : ""),
      h("p", {}, one.typing ? "is being answered…" : message ? `${message.author === "customer" ? "You: " : ""}${gist(message)}` : phone(one.customer.phone)),
      one.unread ? h("span", { class: "count", "aria-label": `${one.unread} unread` }, String(one.unread)) : null));
  }));
  const unread = order.reduce((sum, one) => sum + one.unread, 0);
  document.title = `${unread ? `(${unread}) ` : ""}Phone · Patchbay simulator`;
}

function select(number) {
  if (current) drafts.set(current, $("text").value);
  current = number;
  history.replaceState(null, "", number ? `#${number}` : "#");
  quoting = null;
  detach();
  if (number) { chat(number).unread = 0; $("text").value = drafts.get(number) ?? ""; }
  draw(true);
  if (number && matchMedia("(pointer: fine)").matches) $("text").focus();
}

// ---------------------------------------------------------------- chat

function drawHead() {
  const one = current && chats.get(current);
  $("head").hidden = $("composer").hidden = !one;
  // On a narrow screen one side shows at a time; an empty phone shows the side that says what to do.
  document.querySelector(".phones").classList.toggle("open", Boolean(one) || !chats.size);
  if (!one) return;
  const { customer } = one;
  $("head").replaceChildren(
    h("button", { class: "icon-button return", "aria-label": "Back to the customers", onclick: () => select(null) }, icon("back")),
    h("img", { class: "shop", src: "/assets/icon.svg", alt: "" }),
    h("div", { class: "who" }, h("b", {}, "Your business"),
      one.typing ? h("span", { class: "typing-text", role: "status" }, "typing…") : h("span", {}, `${phone(about.display_number)} · you are ${customer.name}, ${customer.hide_phone ? `@${customer.username ?? "private"}` : phone(customer.phone)}`)));
}

function drawStream(toEnd) {
  const scroll = $("scroll"), stream = $("stream");
  const one = current && chats.get(current);
  scroll.querySelector(".empty")?.remove();
  if (!one || !one.messages.length) {
    stream.replaceChildren();
    scroll.append(one ? emptyChat(one) : emptyPhone());
    return;
  }
  const distance = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight;
  const nearEnd = toEnd || distance < 90;
  const before = stream.querySelectorAll(".message[data-id]").length;
  const nodes = [];
  let previous = null;
  for (const message of one.messages) {
    if (!previous || day(previous.at) !== day(message.at)) { nodes.push(h("div", { class: "day" }, day(message.at))); previous = null; }
    nodes.push(bubble(message, previous));
    previous = message;
  }
  if (one.typing) nodes.push(h("div", { class: "message" }, h("div", { class: "bubble" }, h("span", { class: "dots", role: "img", "aria-label": "The business is typing" }, h("i"), h("i"), h("i")))));
  stream.replaceChildren(...nodes);
  const mine = one.messages.at(-1).author === "customer";
  if (nearEnd || (mine && one.messages.length > before)) toBottom();
  else if (one.messages.length > before && before) { fresh += one.messages.length - before; drawJump(); }
}

/** Replaces one message in place, so that nothing moves. */
function redraw(message) {
  const node = $("stream").querySelector(`[data-id="${CSS.escape(message.id)}"]`);
  if (!node) return drawStream(false);
  const messages = chat(current).messages;
  const place = messages.findIndex((other) => other.id === message.id);
  const previous = messages[place - 1];
  const playing = node.querySelector("audio, video");
  if (playing && !playing.paused) { node.querySelector(".meta")?.replaceWith(meta(message)); return; }
  const stay = $("scroll").scrollHeight - $("scroll").scrollTop - $("scroll").clientHeight < 90;
  node.replaceWith(bubble(message, previous && day(previous.at) === day(message.at) ? previous : null));
  if (stay) toBottom();
}

function toBottom() {
  const scroll = $("scroll");
  scroll.scrollTop = scroll.scrollHeight;
  fresh = 0;
  drawJump();
}

function drawJump() {
  const scroll = $("scroll");
  const away = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight > 240;
  $("jump").hidden = !fresh && !away;
  $("jump").replaceChildren(icon("down"), fresh ? `${fresh} new` : "Latest");
}

function draw(toEnd) { drawPeople(); drawHead(); drawQuote(); drawStream(toEnd); sendable(); grow($("text")); }

function emptyPhone() {
  return h("div", { class: "empty" }, icon("chat"), h("h2", {}, chats.size ? "Choose a customer" : "No customers yet"),
    h("p", {}, chats.size ? "Choose one at the left, or add another." : "Pick somebody to be, and write the first message as they would."),
    chats.size ? null : FIRST.map((card) => h("button", { class: "button", onclick: () => add(card) }, `Be ${card.name}, ${phone(card.phone)}`)),
    h("button", { class: "button plain", onclick: openNew }, "Add a customer"));
}

function emptyChat(one) {
  const starters = ["Hi, I need help with my order", "My invoice looks wrong", "The parcel arrived damaged"];
  return h("div", { class: "empty" }, icon("chat"), h("h2", {}, `Write as ${one.customer.name}`),
    h("p", {}, "Type a message below, attach a photo, or begin with one of these."),
    starters.map((text) => h("button", { class: "button plain", onclick: () => sendText(text) }, text)));
}

// ---------------------------------------------------------------- bubbles

const find = (id) => chat(current).messages.find((message) => message.id === id);

/** A picture that has just got its size must not push the end out of sight. */
function settle() { const s = $("scroll"); if (s.scrollHeight - s.scrollTop - s.clientHeight < 420 && !fresh) toBottom(); }

function quote(message) {
  quoting = message;
  drawQuote();
  $("text").focus();
}

function react(message, emoji) {
  post("/_sim/whatsapp/inbound", { from: current, type: "reaction", reaction: { message_id: message.id, emoji } }).catch((error) => toast(error.message));
}

function show(id) {
  const node = $("stream").querySelector(`[data-id="${CSS.escape(id)}"]`);
  if (!node) return;
  node.scrollIntoView({ block: "center", behavior: "smooth" });
  node.classList.add("flash");
  setTimeout(() => node.classList.remove("flash"), 1400);
}

// ---------------------------------------------------------------- sending

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  const digits = [...new TextEncoder().encode(current)];
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("").slice(0, 20).toUpperCase();
  return `wamid.${btoa(String.fromCharCode(0x1c, 0x18, digits.length, ...digits, 0x15, 2, 0, 0x12, 0x18, 20, ...new TextEncoder().encode(hex), 0))}`;
}

function dispatch(id, number, message, send) {
  pending.set(id, { phone: number, message, send });
  if (upsert(number, { ...message, id }) && number === current) drawStream(true);
  drawPeople();
  send().catch((error) => {
    pending.set(id, { phone: number, message: { ...message, state: "failed" }, send });
    upsert(number, { ...message, id, state: "failed" });
    if (number === current) drawStream(false);
    toast(error.message);
  });
}

function retry(id) {
  const item = pending.get(id);
  if (item) dispatch(id, item.phone, { ...item.message, state: "pending" }, item.send);
  drawStream(true);
}

function sendMessage(message) {
  const id = newId(), from = current;
  const shown = { author: "customer", type: message.type, content: message[message.type], quotes: message.context?.id, at: new Date().toISOString(), state: "pending" };
  dispatch(id, from, shown, () => post("/_sim/whatsapp/inbound", { ...message, id, from }));
}

function sendText(body) {
  sendMessage({ type: "text", text: { body }, ...(quoting ? { context: { id: quoting.id } } : {}) });
  quoting = null;
  drawQuote();
}

function sendFile({ file, voice, url }, text) {
  const id = newId(), from = current, quotes = quoting?.id;
  const family = file.type.split("/")[0];
  const type = file.type === "image/webp" ? "sticker" : ["image", "video", "audio"].includes(family) ? family : "document";
  const shown = { author: "customer", type, content: { preview: url, caption: text, filename: file.name, mime_type: file.type, voice }, quotes, at: new Date().toISOString(), state: "pending" };
  dispatch(id, from, shown, () => {
    const form = new FormData();
    for (const [key, value] of Object.entries({ id, from, caption: text, voice: String(voice), type, reply_to: quotes })) if (value) form.append(key, value);
    form.append("file", file, file.name);
    return call("/_sim/whatsapp/inbound", { method: "POST", body: form });
  });
  quoting = null;
  drawQuote();
}

function submit() {
  const text = $("text").value.trim();
  if (!current || (!text && !attached)) return;
  if (attached) {
    const alone = attached.file.type.startsWith("audio/") || attached.file.type === "image/webp";
    sendFile(attached, alone ? "" : text);
    attached = null;
    drawPreview();
    if (alone && text) sendText(text);
  } else sendText(text);
  $("text").value = "";
  drafts.delete(current);
  grow($("text"));
  sendable();
  $("text").focus();
}

function sendable() { $("send").disabled = !$("text").value.trim() && !attached; }

function drawQuote() {
  $("quote").hidden = !quoting;
  if (quoting) $("quote").replaceChildren(
    h("div", { class: "quoted" }, h("b", {}, quoting.author === "customer" ? "You" : "Your business"), h("span", {}, gist(quoting))),
    h("button", { class: "icon-button", type: "button", "aria-label": "Do not quote", onclick: () => { quoting = null; drawQuote(); } }, icon("close")));
}

function attach(file, voice = false) {
  if (!file) return;
  attached = { file, voice, url: URL.createObjectURL(file) };
  drawPreview();
  sendable();
  $("text").focus();
}

function detach() { attached = null; drawPreview(); }

function drawPreview() {
  $("preview").hidden = !attached;
  if (!attached) return;
  const { file, voice, url } = attached;
  $("preview").replaceChildren(
    file.type.startsWith("image/") ? h("img", { src: url, alt: "" }) : icon(voice ? "mic" : "file"),
    h("div", {}, h("b", {}, voice ? "Voice note" : file.name), h("small", {}, [voice ? file.name : file.type || "file", size(file.size)].join(" · "))),
    h("button", { class: "icon-button", type: "button", "aria-label": "Remove the attachment", onclick: () => { detach(); sendable(); } }, icon("close")));
}

function openList(message) {
  const c = message.content;
  const choose = (row) => {
    dialog.close();
    sendMessage({ type: "interactive", interactive: { type: "list_reply", list_reply: { id: row.id, title: row.title, ...(row.description ? { description: row.description } : {}) } }, context: { id: message.id } });
  };
  const dialog = h("dialog", { "aria-label": c.action.button, onclose: () => dialog.remove() }, h("div", { class: "sheet" },
    h("h2", {}, c.header?.text ?? c.action.button),
    h("div", { class: "rows" }, (c.action.sections ?? []).map((section) => [section.title ? h("h3", {}, section.title) : null, (section.rows ?? []).map((row) => h("button", { type: "button", onclick: () => choose(row) }, h("b", {}, row.title), row.description ? h("small", {}, row.description) : null))])),
    h("div", { class: "buttons" }, h("button", { class: "button plain", type: "button", onclick: () => dialog.close() }, "Cancel"))));
  document.body.append(dialog);
  dialog.showModal();
}

// ---------------------------------------------------------------- new customers

async function add(card) {
  try {
    const made = await post("/_sim/whatsapp/customers", card);
    chat(made.phone).customer = made;
    select(made.phone);
  } catch (error) { toast(error.message); }
}

function openNew() { $("new").reset(); $("dialog").showModal(); }

$("add").onclick = openNew;
$("dialog").addEventListener("close", () => {
  if ($("dialog").returnValue !== "add") return;
  const form = new FormData($("new"));
  const name = form.get("name").trim(), hide = form.get("hide_phone") === "on";
  add({ name, phone: form.get("phone"), hide_phone: hide, ...(hide ? { username: name.toLowerCase().replace(/[^a-z0-9]+/g, ".").replace(/^\.+|\.+$/g, "") } : {}) });
  $("dialog").returnValue = "";
});

// ---------------------------------------------------------------- events

$("composer").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
$("text").addEventListener("input", () => { grow($("text")); sendable(); });
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); submit(); }
  if (event.key === "Escape" && (quoting || attached)) { quoting = null; detach(); drawQuote(); sendable(); }
});
$("text").addEventListener("paste", (event) => { const file = event.clipboardData?.files[0]; if (file) { event.preventDefault(); attach(file); } });
$("attach").onclick = () => $("file").click();
$("voice").onclick = () => $("sound").click();
$("file").onchange = () => { attach($("file").files[0]); $("file").value = ""; };
$("sound").onchange = () => { attach($("sound").files[0], true); $("sound").value = ""; };
$("jump").onclick = toBottom;
$("scroll").addEventListener("scroll", () => { const s = $("scroll"); if (s.scrollHeight - s.scrollTop - s.clientHeight < 60) fresh = 0; drawJump(); }, { passive: true });
document.addEventListener("visibilitychange", () => { if (!document.hidden && current) { chat(current).unread = 0; drawPeople(); } });
document.addEventListener("click", (event) => { if (!event.target.closest(".tools")) document.querySelector(".picker")?.remove(); });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") document.querySelector(".picker")?.remove(); });
const surface = document.querySelector(".chat");
for (const name of ["dragover", "dragleave", "drop"]) surface.addEventListener(name, (event) => {
  if (!current) return;
  event.preventDefault();
  surface.classList.toggle("dropping", name === "dragover");
  if (name === "drop") attach(event.dataTransfer.files[0]);
});

connect({ find, show, settle, retry, quote, react, send: sendMessage, list: openList });
listen(load, onNews);
