// Tickets in a system of your own.

import { Failure, check, displayName, request } from '../sdk/patchbay.js';

/** The gateway fills in the desk's name. */
const ticketOf = ({ id, url, status }) => ({ desk: '', id, url: url ?? undefined, status, data: [] });

const ask = async (url, method = 'GET', body) => {
  const init = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  return (await request(url, { method, ...init })).json();
};

const comments = async (settings, ticket) => (await ask(`${settings.base_url}/tickets/${ticket}/comments`)).comments;

/** Sends the files of these entries on, without touching their bytes; gives their ids. */
const upload = async (settings, entries, cx) => {
  const ids = [];
  for (const media of entries.flatMap((entry) => entry.media)) {
    const url = `${settings.base_url}/files?name=${encodeURIComponent(displayName(media))}`;
    const request = { headers: { 'content-type': media.mime }, body: [{ media: media.id }] };
    const answer = await check(cx.upload(url, request), url);
    ids.push((await answer.json()).id);
  }
  return ids;
};

/** @type {import('../sdk/patchbay.js').Desk<{ base_url: string }>} */
export const desk = {
  async findTicket(settings, key) {
    const { tickets } = await ask(`${settings.base_url}/tickets?external_id=${encodeURIComponent(key)}`);
    return tickets.length === 0 ? undefined : { ticket: ticketOf(tickets[0]) };
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
    const { id } = await ask(`${settings.base_url}/tickets/${ticket.id}/comments`, 'POST', body);
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
    const { id, ticket, at, comment } = JSON.parse(new TextDecoder().decode(webhook.body));
    const entry = {
      id: comment.id,
      public: comment.public,
      author: comment.author,
      text: comment.text,
      attachments: [],
    };
    return [{ id, desk: '', ticket, occurredAt: BigInt(at), what: { tag: 'entry', val: entry } }];
  },
};
