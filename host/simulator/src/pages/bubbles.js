// How a message looks. What a click does, the page says: see `connect`.

import { clock, h, icon, lightbox, rich } from "/assets/common.js";

let deeds = {};

/**
 * What bubbles ask the page for: `find(id)` a message, `show(id)` it in the stream, `retry(id)`, `send(message)`, `quote(message)`,
 * `react(message, emoji)`, `list(message)` its choices, and `settle()` when a picture has got its size.
 */
export function connect(given) { deeds = given; }

const LABELS = { image: "Photo", video: "Video", audio: "Audio", document: "Document", sticker: "Sticker", location: "Location", contacts: "Contact", template: "Template" };

/** A message in a few words. */
export function gist(message) {
  const c = message.content ?? {};
  switch (message.type) {
    case "text": return c.body ?? "";
    case "interactive": return c.button_reply?.title ?? c.list_reply?.title ?? c.body?.text ?? "Choices";
    case "button": return c.text ?? "";
    case "audio": return c.voice ? "Voice note" : "Audio";
    case "document": return c.caption || c.filename || "Document";
    case "template": return `Template: ${c.name ?? ""}`;
    default: return c.caption || LABELS[message.type] || message.type;
  }
}

const EMOJI_ONLY = /^(?:\p{Extended_Pictographic}(?:\p{Emoji_Modifier}|\uFE0F|\u200D\p{Extended_Pictographic})*\s?){1,3}$/u;

// What the ticks of a bubble say. A real phone has them on the customer's own messages only; here the answers have them
// too, since what became of an answer is what one wants to see.
const TICKS = {
  customer: { pending: ["clock", "Sending"], sent: ["tick", "Sent"], delivered: ["ticks", "Delivered to Patchbay"], read: ["ticks", "Read"], failed: ["alert", "Not sent"] },
  business: { accepted: ["clock", "Answer on its way"], sent: ["tick", "Answer sent"], delivered: ["ticks", "Answer delivered"], read: ["ticks", "Answer read"], played: ["ticks", "Answer played"], failed: ["alert", "Answer not delivered"] },
};

/** When a message was written, and how far it got. */
export function meta(message) {
  const tick = TICKS[message.author]?.[message.state];
  return h("span", { class: `meta ${message.state}` }, h("time", { datetime: message.at }, clock(message.at)), tick && icon(...tick));
}

/** A message as a node. `previous` is the one above it, if it is of the same day. */
export function bubble(message, previous) {
  const mine = message.author === "customer";
  const same = previous?.author === message.author && new Date(message.at) - new Date(previous.at) < 300000;
  const choices = mine ? null : buttons(message);
  const quoted = message.quotes && deeds.find(message.quotes);
  const node = h("div", { class: `message${mine ? " mine" : ""}${same ? " same" : ""}`, "data-id": message.id },
    h("div", { class: "bubble" },
      message.quotes ? h("button", { class: "quoted", type: "button", onclick: () => deeds.show(message.quotes) }, h("b", {}, quoted ? (quoted.author === "customer" ? "You" : "Your business") : "Earlier"), h("span", {}, quoted ? gist(quoted) : "A message that is not here")) : null,
      h("span", { class: "sr" }, mine ? "You: " : "Business: "), content(message), meta(message)),
    choices, reactions(message), tools(message));
  if (message.state === "failed") node.append(mine
    ? h("div", { class: "failure" }, "Not sent", h("button", { type: "button", onclick: () => deeds.retry(message.id) }, "Try again"))
    : h("div", { class: "failure" }, icon("alert"), `Not delivered: ${message.error ?? ""}`));
  return node;
}

const mediaUrl = (c) => c.preview ?? (c.id ? `/_sim/whatsapp/media/${encodeURIComponent(c.id)}` : c.link);

function caption(text) { return text ? h("span", { class: "text" }, rich(text)) : null; }

function media(type, c) {
  const url = mediaUrl(c);
  switch (type) {
    case "image": return h("button", { class: "picture", type: "button", "aria-label": "Show the picture", onclick: () => lightbox(url, c.caption) }, h("img", { src: url, alt: c.caption || "Photo", onload: deeds.settle }));
    case "sticker": return h("img", { class: "sticker", src: url, alt: "Sticker", onload: deeds.settle });
    case "video": return h("video", { src: url, controls: true, preload: "metadata", onloadedmetadata: deeds.settle });
    case "audio": return [c.voice ? h("span", { class: "kind" }, icon("mic"), "Voice note") : null, h("audio", { src: url, controls: true, preload: "metadata" })];
    default: return h("a", { class: "attachment", href: url, target: "_blank", rel: "noreferrer", download: c.filename ?? "" }, icon("file"), h("span", {}, h("b", {}, c.filename || "Document"), h("small", {}, c.mime_type ?? "Open")));
  }
}

function content(message) {
  const c = message.content ?? {};
  switch (message.type) {
    case "text": return h("span", { class: EMOJI_ONLY.test(c.body ?? "") ? "text big" : "text" }, rich(c.body));
    case "image": case "video": case "audio": case "document": case "sticker": case "voice":
      return [media(message.type === "voice" ? "audio" : message.type, c), caption(c.caption)];
    case "location": return h("a", { class: "attachment", target: "_blank", rel: "noreferrer", href: `https://www.openstreetmap.org/?mlat=${c.latitude}&mlon=${c.longitude}` }, icon("pin"), h("span", {}, h("b", {}, c.name || "Location"), h("small", {}, c.address || `${c.latitude}, ${c.longitude}`)));
    case "contacts": return (Array.isArray(c) ? c : []).map((card) => h("span", { class: "attachment" }, icon("person"), h("span", {}, h("b", {}, card.name?.formatted_name ?? "Contact"), h("small", {}, (card.phones ?? []).map((p) => p.phone ?? p.wa_id).join(", ")))));
    case "interactive": {
      const chosen = c.button_reply ?? c.list_reply;
      if (chosen) return h("span", { class: "text" }, chosen.title, chosen.description ? h("span", { class: "footer" }, `\n${chosen.description}`) : null);
      const head = c.header;
      return [head?.type === "text" ? h("strong", { class: "heading" }, head.text) : head ? media(head.type, head[head.type] ?? {}) : null,
        caption(c.body?.text), c.footer?.text ? h("p", { class: "footer" }, c.footer.text) : null];
    }
    case "button": return h("span", { class: "text" }, c.text ?? "");
    case "template": {
      const given = (c.components ?? []).flatMap((part) => (part.parameters ?? []).map((p) => p.text ?? p.payload ?? p.type));
      return [h("span", { class: "kind" }, icon("template"), `Template · ${c.language?.code ?? ""}`), h("span", { class: "text" }, h("strong", {}, c.name ?? ""), given.length ? `\n${given.join(" · ")}` : "")];
    }
    default: return [h("span", { class: "kind" }, icon("alert"), message.type), h("span", { class: "text" }, JSON.stringify(c))];
  }
}

function buttons(message) {
  const c = message.content ?? {};
  if (message.type === "template") {
    const replies = (c.components ?? []).filter((part) => part.type?.toLowerCase() === "button" && part.sub_type?.toLowerCase() === "quick_reply");
    return replies.length ? h("div", { class: "choices" }, replies.map((part) => {
      const payload = part.parameters?.[0]?.payload ?? "";
      return h("button", { class: "choice", type: "button", onclick: () => deeds.send({ type: "button", button: { text: payload, payload }, context: { id: message.id } }) }, icon("reply"), payload);
    })) : null;
  }
  if (message.type !== "interactive") return null;
  if (c.type === "button") return h("div", { class: "choices" }, (c.action?.buttons ?? []).map(({ reply }) =>
    h("button", { class: "choice", type: "button", onclick: () => deeds.send({ type: "interactive", interactive: { type: "button_reply", button_reply: { id: reply.id, title: reply.title } }, context: { id: message.id } }) }, icon("reply"), reply.title)));
  if (c.type === "list") return h("div", { class: "choices" }, h("button", { class: "choice", type: "button", onclick: () => deeds.list(message) }, icon("list"), c.action?.button ?? "Choose"));
  if (c.type === "cta_url") return h("div", { class: "choices" }, h("a", { class: "choice", href: c.action?.parameters?.url, target: "_blank", rel: "noreferrer noopener" }, icon("link"), c.action?.parameters?.display_text));
  if (c.type === "location_request_message") return h("div", { class: "choices" }, h("button", { class: "choice", type: "button", onclick: () => deeds.send({ type: "location", location: { latitude: 51.5072, longitude: -0.1276, name: "London" }, context: { id: message.id } }) }, icon("pin"), "Send a location"));
  return null;
}

function reactions(message) {
  const given = Object.values(message.reactions ?? {});
  return given.length ? h("span", { class: "reactions", "aria-label": `Reaction: ${given.join(" ")}` }, given.join(" ")) : null;
}

function tools(message) {
  if (message.state === "pending" || message.state === "failed") return null;
  const box = h("div", { class: "tools" },
    h("button", { class: "icon-button", type: "button", "aria-label": "Reply", title: "Reply", onclick: () => deeds.quote(message) }, icon("reply")),
    h("button", { class: "icon-button", type: "button", "aria-label": "React", title: "React", "aria-haspopup": "true", onclick: () => pick(box, message) }, icon("smile")));
  return box;
}

function pick(box, message) {
  const open = document.querySelector(".picker");
  open?.remove();
  if (open?.parentElement === box) return;
  const now = message.reactions?.customer;
  const picker = h("div", { class: "picker", role: "group", "aria-label": "Reactions" }, ["👍", "❤️", "😂", "😮", "😢", "🙏"].map((emoji) =>
    h("button", { type: "button", "aria-label": `React with ${emoji}`, "aria-pressed": now === emoji ? "true" : "false", onclick: () => {
      picker.remove();
      deeds.react(message, now === emoji ? "" : emoji);
    } }, emoji)));
  box.append(picker);
  picker.querySelector("button").focus();
}
