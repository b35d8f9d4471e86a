import { avatar, call, clock, day, grow, h, icon, lightbox, listen, phone, post, rich, shortTime, size, toast } from "/assets/common.js";

const $ = (id) => document.getElementById(id);
const DESK = "zendesk";
const tickets = new Map();
const seen = new Map(); // ticket → number of entries that were on the screen
const drafts = new Map(); // ticket → {text, internal, files}
let view = { kind: "view", name: "unsolved" };
let current = decodeURIComponent(location.hash.slice(1)) || null;

const STATUSES = [["open", "Open"], ["pending", "Pending"], ["hold", "On hold"], ["solved", "Solved"]];
const NAMES = { new: "New", open: "Open", pending: "Pending", hold: "On hold", solved: "Solved", closed: "Closed" };
const PRIORITIES = { low: "Low", normal: "Normal", high: "High", urgent: "Urgent" };
const VIEWS = [["unsolved", "Unsolved", "inbox"], ["solved", "Solved", "ticks"], ["all", "All tickets", "list"]];

async function load() {
  try {
    const all = await call(`/_sim/desks/${DESK}/tickets`);
    const first = tickets.size === 0;
    tickets.clear();
    for (const ticket of all) {
      tickets.set(ticket.id, ticket);
      if (first) seen.set(ticket.id, ticket.entries.length);
    }
    if (!tickets.has(current)) current = matchMedia("(max-width: 700px)").matches ? null : shown()[0]?.id ?? null;
    draw();
  } catch (error) { toast(error.message); }
}

function onNews(news) {
  if (news.kind === "ticket" && news.desk === DESK) {
    const fresh = !tickets.has(news.ticket.id);
    tickets.set(news.ticket.id, news.ticket);
    if (fresh && !current && !matchMedia("(max-width: 700px)").matches) current = news.ticket.id;
    drawQueues();
    drawList();
    if (news.ticket.id === current) drawTicket(false);
  } else if (news.kind === "reset") { seen.clear(); drafts.clear(); current = null; load(); }
  else if (news.kind === "reload") load();
}

// ---------------------------------------------------------------- queues and list

const unsolved = (ticket) => !["solved", "closed"].includes(ticket.status);
const title = (name) => name.replace(/[_-]+/g, " ").replace(/^\p{L}/u, (letter) => letter.toUpperCase());
const queueOf = (ticket) => ticket.queue ?? "No queue";

function fits(ticket, which) {
  if (which.kind === "queue") return queueOf(ticket) === which.name && unsolved(ticket);
  if (which.name === "unsolved") return unsolved(ticket);
  if (which.name === "solved") return !unsolved(ticket);
  return true;
}

function shown() {
  return [...tickets.values()].filter((ticket) => fits(ticket, view)).sort((a, b) => b.updated_at.localeCompare(a.updated_at));
}

function drawQueues() {
  const count = (which) => [...tickets.values()].filter((ticket) => fits(ticket, which)).length;
  const button = (which, label, sign) => h("button", { "aria-current": which.kind === view.kind && which.name === view.name ? "true" : null, onclick: () => { view = which; if (!shown().some((ticket) => ticket.id === current) && !matchMedia("(max-width: 700px)").matches) current = shown()[0]?.id ?? null; draw(); } },
    icon(sign), h("span", {}, label), h("b", {}, String(count(which))));
  $("views").replaceChildren(...VIEWS.map(([name, label, sign]) => button({ kind: "view", name }, label, sign)));
  const names = [...new Set([...tickets.values()].map(queueOf))].sort((a, b) => a.localeCompare(b));
  $("queues").replaceChildren(...(names.length ? names.map((name) => button({ kind: "queue", name }, title(name), "chat")) : [h("p", { class: "hint" }, "Queues appear with the first ticket.")]));
}

function drawList() {
  const list = shown();
  $("list-title").textContent = view.kind === "queue" ? title(view.name) : VIEWS.find(([name]) => name === view.name)[1];
  $("list-count").textContent = list.length ? `${list.length} ticket${list.length === 1 ? "" : "s"}` : "";
  if (!list.length) return $("tickets").replaceChildren(h("li", { class: "empty" }, tickets.size ? "Nothing here." : "No tickets yet."));
  $("tickets").replaceChildren(...list.map((ticket) => {
    const last = ticket.entries.at(-1);
    const fresh = ticket.id !== current && ticket.entries.length > (seen.get(ticket.id) ?? 0);
    return h("li", {}, h("button", { class: `row${fresh ? " fresh" : ""}`, "aria-current": ticket.id === current ? "true" : null, onclick: () => select(ticket.id) },
      h("span", { class: "top" }, h("span", { class: "name" }, ticket.requester?.name ?? "Unknown"), fresh ? h("span", { class: "sr" }, "new entries") : null, h("time", { datetime: ticket.updated_at }, shortTime(ticket.updated_at))),
      h("span", { class: "subject" }, ticket.subject),
      last ? h("span", { class: "gist" }, `${last.author_role === "customer" ? "" : `${last.author}: `}${last.text || (last.attachments.length ? "Attachment" : "")}`) : null,
      h("span", { class: "bottom" }, h("span", { class: `badge ${ticket.status}` }, NAMES[ticket.status] ?? ticket.status),
        ticket.priority && ticket.priority !== "normal" ? h("span", { class: `badge ${ticket.priority}` }, PRIORITIES[ticket.priority]) : null,
        view.kind === "view" ? h("span", { class: "badge tag" }, title(queueOf(ticket))) : null)));
  }));
}

function select(id) {
  current = id;
  history.replaceState(null, "", id ? `#${id}` : "#");
  draw();
}

// ---------------------------------------------------------------- one ticket

function draft() {
  if (!drafts.has(current)) drafts.set(current, { text: "", internal: false, files: [] });
  return drafts.get(current);
}

function drawTicket(toEnd) {
  const box = $("ticket");
  const ticket = current && tickets.get(current);
  document.querySelector(".desk").classList.toggle("reading", Boolean(ticket));
  if (!ticket) {
    box.replaceChildren(h("div", { class: "empty" }, icon("inbox"), h("h2", {}, tickets.size ? "No ticket chosen" : "Nothing to do yet"),
      h("p", {}, tickets.size ? "Choose a ticket at the left." : "A ticket appears here when Patchbay opens one. Write something as a customer on the phone, and it will."),
      tickets.size ? null : h("a", { class: "button", href: "/phone" }, "Open the phone")));
    return;
  }
  seen.set(ticket.id, ticket.entries.length);
  const old = box.querySelector(".thread");
  const same = box.dataset.ticket === ticket.id;
  const atEnd = !same || toEnd || !old || old.scrollHeight - old.scrollTop - old.clientHeight < 100;
  const offset = old?.scrollTop ?? 0;
  const thread = h("div", { class: "thread", tabindex: "0", role: "log", "aria-label": "Conversation" }, h("ol", {}, entries(ticket)));
  if (same && old) {
    // The answer being written stays as it is: only what is above it is drawn again.
    box.querySelector(".ticket-head").replaceWith(head(ticket));
    old.replaceWith(thread);
    if (ticket.status === "closed") box.querySelector(".answer").replaceWith(answer(ticket));
  } else {
    box.replaceChildren(head(ticket), thread, answer(ticket));
    box.dataset.ticket = ticket.id;
  }
  thread.scrollTop = atEnd ? thread.scrollHeight : offset;
  for (const image of thread.querySelectorAll("img")) image.addEventListener("load", () => { if (atEnd) thread.scrollTop = thread.scrollHeight; }, { once: true });
}

function head(ticket) {
  const state = ticket.status === "new" ? null : ticket.status;
  return h("header", { class: "ticket-head" },
    h("div", { class: "title" }, h("button", { class: "icon-button return", "aria-label": "Back to the tickets", onclick: () => { $("ticket").dataset.ticket = ""; select(null); } }, icon("back")),
      h("h2", {}, ticket.subject, " ", h("small", {}, `#${ticket.id}`))),
    h("div", { class: "facts" }, h("strong", {}, ticket.requester?.name ?? "Unknown"), ticket.requester?.phone ? h("span", {}, phone(ticket.requester.phone)) : null,
      h("span", { class: `badge ${ticket.status}` }, NAMES[ticket.status] ?? ticket.status),
      ticket.priority ? h("span", { class: `badge ${ticket.priority}` }, `${PRIORITIES[ticket.priority]} priority`) : null,
      ticket.tags.map((tag) => h("span", { class: "badge tag", title: tag }, tag)),
      ticket.follows ? h("span", {}, `follows #${ticket.follows}`) : null),
    h("div", { class: "status", role: "group", "aria-label": "Status" }, STATUSES.map(([value, label]) =>
      h("button", { class: value, "aria-pressed": state === value ? "true" : "false", disabled: ticket.status === "closed", onclick: () => act({ status: value }) }, label))));
}

function entries(ticket) {
  const nodes = [];
  let previous = "";
  for (const entry of ticket.entries) {
    const today = day(entry.at);
    if (today !== previous) nodes.push(h("li", { class: "day" }, today));
    previous = today;
    const role = entry.public
      ? { customer: "Customer", agent: "Public reply", integration: "By the integration" }[entry.author_role]
      : [icon("lock"), "Internal note"];
    nodes.push(h("li", { class: `entry ${entry.author_role}${entry.public ? "" : " note"}` }, avatar(entry.author),
      h("article", { class: "card" }, h("header", {}, h("b", {}, entry.author), h("span", { class: "role" }, role), h("time", { datetime: entry.at, title: new Date(entry.at).toLocaleString() }, clock(entry.at))),
        entry.text ? h("p", {}, rich(entry.text)) : entry.attachments.length ? null : h("p", { class: "nothing" }, "No text"),
        entry.attachments.length ? h("div", { class: "files" }, entry.attachments.map(file)) : null)));
  }
  return nodes;
}

function file(one) {
  if (one.mime.startsWith("image/")) return h("button", { class: "shot", "aria-label": `Show ${one.name}`, onclick: () => lightbox(one.url, one.name) }, h("img", { src: one.url, alt: one.name }));
  if (one.mime.startsWith("audio/")) return h("audio", { src: one.url, controls: true, preload: "metadata", title: one.name });
  if (one.mime.startsWith("video/")) return h("video", { src: one.url, controls: true, preload: "metadata", title: one.name });
  return h("a", { class: "doc", href: one.url, target: "_blank", rel: "noreferrer", download: one.name }, icon("file"), h("span", {}, h("b", {}, one.name), h("small", {}, `${one.mime} · ${size(one.size)}`)));
}

function answer(ticket) {
  if (ticket.status === "closed") return h("div", { class: "answer" }, h("div", { class: "closed-note" }, icon("lock"), "This ticket is closed and cannot be changed any more."));
  const state = draft();
  const field = h("textarea", { "aria-label": "Answer", rows: "2" });
  field.value = state.text;
  const chosen = h("div", { class: "chosen" });
  const sendButton = h("button", { class: "button", type: "submit", title: "Ctrl+Enter" });
  const solveButton = h("button", { class: "button plain", type: "button", onclick: () => send("solved") }, "Send and solve");
  const picker = h("input", { type: "file", multiple: true, hidden: true, onchange: () => { state.files.push(...picker.files); picker.value = ""; show(); } });
  const tabs = [[false, "Public reply", "reply"], [true, "Internal note", "lock"]].map(([internal, label, sign]) =>
    h("button", { type: "button", role: "tab", onclick: () => { state.internal = internal; show(); field.focus(); } }, icon(sign), label));
  const form = h("form", { class: "answer", onsubmit: (event) => { event.preventDefault(); send(); } }, h("div", {},
    h("div", { class: "mode", role: "tablist", "aria-label": "Kind of answer" }, tabs),
    h("div", { class: "field" }, field, chosen, h("div", { class: "actions" },
      h("button", { class: "icon-button", type: "button", "aria-label": "Attach files", title: "Attach files", onclick: () => picker.click() }, icon("clip")), picker,
      h("span", { class: "grow" }), solveButton, sendButton))));
  function show() {
    form.classList.toggle("internal", state.internal);
    tabs.forEach((tab, at) => tab.setAttribute("aria-selected", String(Boolean(at) === state.internal)));
    field.placeholder = state.internal ? "Only colleagues will see this note" : `Reply to ${ticket.requester?.name ?? "the customer"} on WhatsApp`;
    sendButton.replaceChildren(icon(state.internal ? "lock" : "send"), state.internal ? "Add note" : "Send");
    solveButton.hidden = state.internal;
    chosen.replaceChildren(...state.files.map((one) => h("span", {}, `${one.name} · ${size(one.size)}`, h("button", { type: "button", "aria-label": `Remove ${one.name}`, onclick: () => { state.files.splice(state.files.indexOf(one), 1); show(); } }, icon("close")))));
    sendButton.disabled = solveButton.disabled = !state.text.trim() && !state.files.length;
    grow(field, 220);
  }
  async function send(status) {
    const text = state.text.trim(), files = state.files;
    if (!text && !files.length) return;
    sendButton.disabled = solveButton.disabled = true;
    const attachments = await Promise.all(files.map(encode));
    const done = await act({ text, public: !state.internal, ...(status ? { status } : {}), ...(files.length ? { attachments } : {}) });
    if (done) { state.text = field.value = ""; state.files = []; }
    show();
    field.focus();
  }
  field.addEventListener("input", () => { state.text = field.value; show(); });
  field.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); send(); } });
  show();
  requestAnimationFrame(() => grow(field, 220));
  return form;
}

async function encode(one) {
  const bytes = new Uint8Array(await one.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return { name: one.name, mime: one.type || "application/octet-stream", base64: btoa(text) };
}

async function act(change) {
  try {
    await post(`/_sim/desks/${DESK}/reply`, { ticket: current, ...change });
    return true;
  } catch (error) { toast(error.message); return false; }
}

function draw() { drawQueues(); drawList(); drawTicket(false); }

listen(load, onNews);
