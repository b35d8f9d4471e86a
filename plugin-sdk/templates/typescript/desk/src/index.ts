// Tickets in a system of your own.

import {
  type Context,
  type Desk,
  type Entry,
  Failure,
  type Ticket,
  check,
  displayName,
  request,
} from '../sdk/patchbay.js';

/** What the operator writes under `[plugins.NAME.settings]`. */
interface Settings {
  base_url: string;
}

/** What the API says of a ticket, of a comment, and of what was made. */
interface Given {
  id: string;
  url?: string | null;
  status: string;
}
interface Comment {
  id: string;
  external_id?: string;
  text: string;
}
interface Made {
  id: string;
}

/** What the ticket system tells. */
interface Told {
  id: string;
  ticket: string;
  at: number;
  comment: { id: string; public: boolean; author: string; text: string };
}

/** The gateway fills in the desk's name. */
const ticketOf = ({ id, url, status }: Given): Ticket => ({ desk: '', id, url: url ?? undefined, status, data: [] });

async function ask<Answer>(url: string, method = 'GET', body?: unknown): Promise<Answer> {
  const init = body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {};
  return (await request(url, { method, ...init })).json();
}

async function comments(settings: Settings, ticket: string): Promise<Comment[]> {
  return (await ask<{ comments: Comment[] }>(`${settings.base_url}/tickets/${ticket}/comments`)).comments;
}

/** Sends the files of these entries on, without touching their bytes; gives their ids. */
async function upload(settings: Settings, entries: Entry[], cx: Context): Promise<string[]> {
  const ids: string[] = [];
  for (const media of entries.flatMap((entry) => entry.media)) {
    const url = `${settings.base_url}/files?name=${encodeURIComponent(displayName(media))}`;
    const request = { headers: { 'content-type': media.mime }, body: [{ media: media.id }] };
    const answer = await check(cx.upload(url, request), url);
    ids.push(((await answer.json()) as Made).id);
  }
  return ids;
}

export const desk: Desk<Settings> = {
  async findTicket(settings, key) {
    const url = `${settings.base_url}/tickets?external_id=${encodeURIComponent(key)}`;
    const [found] = (await ask<{ tickets: Given[] }>(url)).tickets;
    return found && { ticket: ticketOf(found) };
  },

  async createTicket(settings, key, draft, cx) {
    const files = await upload(settings, draft.entries, cx);
    const text = draft.entries.map((entry) => entry.text).join('\n');
    const body = { ...Object.fromEntries(draft.fields), external_id: key, subject: draft.subject, text, files };
    return { ticket: ticketOf(await ask(`${settings.base_url}/tickets`, 'POST', body)) };
  },

  async findEntry(settings, key, ticket) {
    const found = (await comments(settings, ticket.id)).find((comment) => comment.external_id === key);
    return found && { entry: found.id, ticket };
  },

  async addEntry(settings, key, ticket, entry, cx) {
    const files = await upload(settings, [entry], cx);
    const body = { external_id: key, text: entry.text, public: entry.public, files };
    const { id } = await ask<Made>(`${settings.base_url}/tickets/${ticket.id}/comments`, 'POST', body);
    return { entry: id, ticket };
  },

  async updateTicket(settings, _key, ticket, fields) {
    return ticketOf(await ask(`${settings.base_url}/tickets/${ticket.id}`, 'PUT', Object.fromEntries(fields)));
  },

  async readTicket(settings, id) {
    const ticket = ticketOf(await ask(`${settings.base_url}/tickets/${id}`));
    return { ticket, entries: (await comments(settings, id)).map((comment) => [comment.id, comment.text]) };
  },

  receive(_settings, webhook, cx) {
    const key = webhook.headers.find(([name]) => name === 'x-webhook-key')?.[1] ?? '';
    if (!cx.verify('webhook', 'equal', '', key)) throw Failure.credential("the webhook's key is wrong");
    const { id, ticket, at, comment }: Told = JSON.parse(new TextDecoder().decode(webhook.body));
    const { public: seen, author, text } = comment;
    const entry = { id: comment.id, public: seen, author, text, attachments: [] };
    return [{ id, desk: '', ticket, occurredAt: BigInt(at), what: { tag: 'entry', val: entry } }];
  },
};
