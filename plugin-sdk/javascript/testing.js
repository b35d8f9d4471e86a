// Runs a plugin's logic in Node, with a scripted gateway in the place of the real one.

import { Failure } from './failure.js';

/** When everything happens: milliseconds since the epoch. */
export const NOW = 1_795_255_200_000;
/** For how long a free-form message may be sent after the customer's last one: WhatsApp's 24 hours, in milliseconds. */
const WINDOW = 24 * 60 * 60 * 1000;

/** A customer wrote this, in a conversation that nothing was decided about. */
export function textEvent(text) {
  return {
    id: 'ev_1',
    occurredAt: BigInt(NOW),
    receivedAt: BigInt(NOW),
    conversation: {
      id: 'co_1',
      channel: { id: 'main', platform: 'whatsapp', account: '100', address: '200' },
      customer: { id: 'cu_1', phone: '447700900001', name: 'Ada' },
      attributes: [],
      tickets: [],
      windowUntil: BigInt(NOW + WINDOW),
      human: false,
      noMarketing: false,
      standby: false,
    },
    body: { tag: 'message', val: { id: 'wamid.1', content: { tag: 'text', val: text }, forwarded: false } },
  };
}

/**
 * What a plugin may ask the host for. `secrets` by name, for the algorithm `equal` alone; `media` by id, as bytes;
 * `uploads` as `withHttp` has its script; `store` is what is kept already, as text.
 */
export function context({ secrets = {}, media = {}, uploads = [], store = {} } = {}) {
  const logged = [];
  const left = [...uploads];
  return {
    logged,
    attempt: () => 1,
    now: () => NOW,
    log: (level, message) => logged.push([level, message]),
    verify(secret, _algorithm, _message, signature) {
      if (!(secret in secrets)) throw Failure.permanent(`secret \`${secret}\`: no such secret`);
      return secrets[secret] === text(signature);
    },
    media(id) {
      if (!(id in media)) throw Failure.permanent(`media ${id}: no such media`);
      return openMedia(media[id]);
    },
    upload: (url, { method = 'POST' }) => answer(left, method, url),
    store: keys(new Map(Object.entries(store))),
  };
}

const text = (data) => (typeof data === 'string' ? data : new TextDecoder().decode(data));

/** Keys and values, as a call sees them. */
function keys(values) {
  return {
    get: (key) => (values.has(key) ? text(values.get(key)) : undefined),
    getBytes: (key) => (values.has(key) ? new TextEncoder().encode(text(values.get(key))) : undefined),
    set: (key, value) => void values.set(key, value),
    delete: (key) => void values.delete(key),
    has: (key) => values.has(key),
    keys: () => [...values.keys()].sort(),
  };
}

/** What the next row of a script answers; a request that is not the next one is an error. */
function answer(left, method, url) {
  const [expected, address, status, body] = left.shift() ?? [];
  if (`${method} ${url}` !== `${expected} ${address}`) {
    throw new Error(`${method} ${url}, and the script has ${expected} ${address}`);
  }
  return Response.json(body, { status });
}

/** Media that is open, with these bytes. */
export function openMedia(bytes) {
  return { size: () => bytes.length, read: (at, length) => bytes.subarray(at, at + length), all: () => bytes };
}

/**
 * Answers `fetch` by a script while `work` runs: each row is [method, address, status, JSON], in order. Gives what
 * `work` gives; a request that is not in the script, or a row that is not asked for, is an error.
 */
export async function withHttp(script, work) {
  const original = globalThis.fetch;
  const left = [...script];
  globalThis.fetch = async (url, init) => answer(left, init?.method ?? 'GET', url);
  try {
    const answered = await work();
    if (left.length > 0) throw new Error(`${left.length} requests of the script were not made`);
    return answered;
  } finally {
    globalThis.fetch = original;
  }
}
