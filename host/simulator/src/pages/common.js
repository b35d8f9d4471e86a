// What the phone and the desk share: building elements, icons, times, live updates.

/** Builds an element: h("p", {class: "x", onclick: f}, "text", child). */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") element.style.cssText = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const PATHS = {
  clock: '<circle cx="12" cy="12" r="8.5"/><path d="M12 7.5V12l3 2"/>',
  tick: '<path d="m6 12.5 4 4 8-9"/>',
  ticks: '<path d="m1.5 12.5 4.2 4.2 8.3-9.4"/><path d="m11 15.8.9.9 8.3-9.4"/>',
  alert: '<circle cx="12" cy="12" r="9"/><path d="M12 7.5v5.5M12 16.4v.1"/>',
  send: '<path d="M4.5 12 4 4.8c0-.7.6-1.1 1.2-.8L20.4 11.3c.6.3.6 1.1 0 1.4L5.2 20c-.6.3-1.2-.1-1.2-.8z"/><path d="M4.5 12H12"/>',
  clip: '<path d="m20 11.5-8.3 8.3a5.4 5.4 0 0 1-7.6-7.6l8.6-8.6a3.6 3.6 0 0 1 5.1 5.1l-8.5 8.5a1.8 1.8 0 0 1-2.6-2.6l7.8-7.7"/>',
  mic: '<rect x="9" y="2.5" width="6" height="11.5" rx="3"/><path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3.5"/>',
  plus: '<path d="M12 5v14M5 12h14"/>',
  close: '<path d="m6 6 12 12M18 6 6 18"/>',
  back: '<path d="m14.5 5-7 7 7 7"/>',
  down: '<path d="m6 10 6 6 6-6"/>',
  reply: '<path d="m9.5 6-6 5.5 6 5.5v-3.5c5 0 8.5 1.3 11 5 0-6-4-9.5-11-9.5z"/>',
  smile: '<circle cx="12" cy="12" r="9"/><path d="M8.5 14.2a4.3 4.3 0 0 0 7 0M9 9.5v.1M15 9.5v.1"/>',
  file: '<path d="M13.5 2.5H7a2 2 0 0 0-2 2v15a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8z"/><path d="M13.5 2.5V8H19M9 13h6M9 16.5h4"/>',
  pin: '<path d="M12 21.5s7-6.3 7-11.5a7 7 0 0 0-14 0c0 5.2 7 11.5 7 11.5z"/><circle cx="12" cy="10" r="2.5"/>',
  person: '<circle cx="12" cy="8" r="4"/><path d="M4.5 20.5c.8-4 3.8-6 7.5-6s6.7 2 7.5 6"/>',
  list: '<path d="M8.5 6.5H20M8.5 12H20M8.5 17.5H20M4 6.5h.1M4 12h.1M4 17.5h.1"/>',
  link: '<path d="M13.5 4.5H19.5V10.5M19 5l-8 8M17.5 13.5v4a2 2 0 0 1-2 2h-9a2 2 0 0 1-2-2v-9a2 2 0 0 1 2-2h4"/>',
  lock: '<rect x="5" y="10.5" width="14" height="10" rx="2"/><path d="M8 10.5V8a4 4 0 0 1 8 0v2.5"/>',
  chat: '<path d="M20.5 11.5c0 4.4-3.8 7.5-8.5 7.5-1 0-2-.1-2.9-.4L4 20.5l1.3-3.8c-1.2-1.4-1.8-3.2-1.8-5.2C3.5 7.1 7.3 4 12 4s8.5 3.1 8.5 7.5z"/>',
  inbox: '<path d="M3.5 13.5 6 5.5a2 2 0 0 1 1.9-1.4h8.2A2 2 0 0 1 18 5.5l2.5 8v4a2 2 0 0 1-2 2h-13a2 2 0 0 1-2-2z"/><path d="M3.5 13.5H8.5l1.5 2.5h4l1.5-2.5h5"/>',
  template: '<rect x="3.5" y="4" width="17" height="16" rx="2"/><path d="M3.5 9h17M9 9v11"/>',
  bolt: '<path d="M13 2.5 5 13.5h6l-1 8 8-11h-6z"/>',
};

/** An icon of our own set. */
export function icon(name, label) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon icon-${name}`);
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  } else svg.setAttribute("aria-hidden", "true");
  svg.innerHTML = PATHS[name] ?? "";
  return svg;
}

/** Calls the simulator; throws a sentence. */
export async function call(path, options = {}) {
  const answer = await fetch(path, options);
  const text = await answer.text();
  let body = null;
  try { body = text ? JSON.parse(text) : null; } catch { body = null; }
  if (!answer.ok) throw new Error(body?.error ?? `The simulator answered ${answer.status}.`);
  return body;
}

export const post = (path, body) =>
  call(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** Listens for news; `load` runs after every connection, because something may have been missed. */
export function listen(load, onNews) {
  const mark = document.querySelector(".live");
  const show = (on) => {
    mark.classList.toggle("off", !on);
    mark.querySelector("span").textContent = on ? "Live" : "Disconnected";
  };
  const source = new EventSource("/_sim/events");
  source.onopen = () => { show(true); load(); };
  source.onerror = () => show(false);
  source.onmessage = (event) => onNews(JSON.parse(event.data));
  addEventListener("pagehide", () => source.close());
}

export const clock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

/** Today, Yesterday, a weekday within the week, or a date. */
export function day(at) {
  const date = new Date(at), now = new Date();
  const start = (value) => new Date(value.getFullYear(), value.getMonth(), value.getDate()).getTime();
  const days = Math.round((start(now) - start(date)) / 86400000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days > 1 && days < 7) return date.toLocaleDateString([], { weekday: "long" });
  return date.toLocaleDateString([], { day: "numeric", month: "long", year: "numeric" });
}

export const shortTime = (at) => (day(at) === "Today" ? clock(at) : day(at));

/** Initials on a colour that stays the same for a name. */
export function avatar(name, small = false) {
  const words = (name || "?").trim().split(/\s+/);
  const first = (word) => [...word][0] ?? "";
  const letters = words.length > 1 ? first(words[0]) + first(words.at(-1)) : first(words[0]);
  let hue = 0;
  for (const character of name ?? "") hue = (hue * 31 + character.codePointAt(0)) % 360;
  return h("span", { class: small ? "avatar small" : "avatar", style: `--hue:${hue}`, "aria-hidden": "true" }, letters.toUpperCase());
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1048576) return `${Math.round(bytes / 1024)} KB`;
  return `${(bytes / 1048576).toFixed(1)} MB`;
}

/** "447700900001" as "+44 7700 900001"; other numbers in groups. */
export function phone(digits) {
  const text = String(digits ?? "").replace(/\D/g, "");
  if (/^44\d{10}$/.test(text)) return `+44 ${text.slice(2, 6)} ${text.slice(6)}`;
  if (/^1\d{10}$/.test(text)) return `+1 ${text.slice(1, 4)} ${text.slice(4, 7)} ${text.slice(7)}`;
  return text ? `+${text.slice(0, 2)} ${text.slice(2).replace(/(\d{3,4})(?=\d{3})/g, "$1 ")}`.trim() : "";
}

const MARKS = [[/```([\s\S]+?)```/, "code"], [/(?<![\w*])\*([^\s*](?:[^*\n]*[^\s*])?)\*(?![\w*])/, "strong"], [/(?<![\w_])_([^\s_](?:[^_\n]*[^\s_])?)_(?![\w_])/, "em"], [/(?<![\w~])~([^\s~](?:[^~\n]*[^\s~])?)~(?![\w~])/, "s"]];
const LINK = /\bhttps?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]]/;

/** Text with the chat's own marks (*bold*, _italic_, ~struck~, ```code```) and links, as nodes. */
export function rich(text) {
  if (!text) return [];
  let best = null;
  for (const [pattern, tag] of [...MARKS, [LINK, "a"]]) {
    const found = pattern.exec(text);
    if (found && (!best || found.index < best.found.index)) best = { found, tag };
  }
  if (!best) return [text];
  const { found, tag } = best;
  const inner = tag === "a"
    ? h("a", { href: found[0], target: "_blank", rel: "noreferrer noopener" }, found[0])
    : h(tag, {}, tag === "code" ? found[1] : rich(found[1]));
  return [text.slice(0, found.index), inner, ...rich(text.slice(found.index + found[0].length))];
}

/** A picture over the whole window; Escape or a click closes it. */
export function lightbox(url, caption) {
  const close = () => box.close();
  const box = h("dialog", { class: "lightbox", "aria-label": caption || "Picture", onclick: close, onclose: () => box.remove() },
    h("img", { src: url, alt: caption || "Picture" }), caption ? h("p", {}, caption) : null);
  document.body.append(box);
  box.showModal();
}

let toastTimer;
/** A sentence about something that went wrong. */
export function toast(text) {
  document.querySelector(".toast")?.remove();
  clearTimeout(toastTimer);
  const box = h("div", { class: "toast", role: "alert" }, text);
  document.body.append(box);
  toastTimer = setTimeout(() => box.remove(), 6000);
}

/** Lets a text field grow with its content. */
export function grow(field, most = 150) {
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight, most)}px`;
}
