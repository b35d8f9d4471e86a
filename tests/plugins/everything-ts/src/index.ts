// Does what the customer's first word says, and answers with what came of it, as JSON.

import { louder } from 'acme-words';

import { type Context, type Event, Failure, type Handler, Outcome, request, textOf } from '../sdk/patchbay.js';
import { bytes } from './hex';

interface Settings {
  shop: string;
  nested: { list: string[]; number: number; truth: boolean };
}

enum Times {
  Once = 1,
}

/** A letter for a number below 1: the log shows no long numbers. */
const letter = (part: number) => String.fromCharCode(97 + Math.floor(part * 26));

/** What is tried by a word; the rest of the text is given to it. */
type Try = (cx: Context, settings: Settings, rest: string, event: Event) => unknown;

const tries: Record<string, Try> = {
  settings: (_cx, settings) => settings,
  log: (cx) => cx.log('warn', 'a line of the plugin about 447700900001'),
  remember: (cx, _settings, word) => cx.store.set('word', word),
  recall: ({ store }) => [store.get('word'), store.has('word'), store.has('nothing'), store.keys()],
  forget: ({ store }) => [store.delete('word'), store.get('word'), store.keys()],
  verify(cx, _settings, rest) {
    const [sha256, sha1, plain] = rest.split(' ');
    const ask = (algorithm: 'hmac-sha256' | 'hmac-sha1', hex = '') =>
      cx.verify('signing', algorithm, 'hello', bytes(hex));
    return [
      ask('hmac-sha256', sha256),
      ask('hmac-sha1', sha1),
      ask('hmac-sha256', sha1),
      cx.verify('signing', 'equal', '', plain ?? ''),
    ];
  },
  secret: (cx) => cx.verify('no-such-secret', 'equal', '', ''),
  clock: (cx, _settings, _rest, event) => [cx.now(), Date.now()].map((now) => BigInt(now) === event.receivedAt),
  again(cx) {
    const bytes = crypto.getRandomValues(new Uint8Array(8));
    const drawn = [...bytes].map((byte) => letter(byte / 256) + letter(Math.random())).join('');
    if (cx.attempt() > Times.Once) return drawn;
    cx.log('warn', `drawn: ${drawn}`);
    throw Failure.retry('once more');
  },
  get: async (_cx, settings) => (await request(`${settings.shop}/api/orders`)).json(),
  post: async (_cx, settings) =>
    (await request(`${settings.shop}/api/orders`, { method: 'POST', body: 'x'.repeat(100_000) })).text(),
  look: async (_cx, settings) => (await fetch(`${settings.shop}/admin`)).headers.get('x-patchbay-denied'),
  denied: (_cx, settings) => request(`${settings.shop}/admin`),
  media(cx, _settings, id) {
    const media = cx.media(id);
    return [media.size(), [...media.read(1, 3)], media.all().length];
  },
  permanent() {
    throw Failure.permanent('this will never do');
  },
  throw: (_cx, settings) => (settings as unknown as { nothing: { there: string } }).nothing.there,
};

export const handler: Handler<Settings> = {
  async handle(settings, event, cx) {
    const stored = event.body.tag === 'media-checked' ? `media ${event.body.val.media.id}` : undefined;
    const [word = '', ...rest] = (textOf(event) ?? stored ?? '').split(' ');
    if (!(word in tries)) return Outcome.next();
    const done = await tries[word]?.(cx, settings, rest.join(' '), event);
    return Outcome.next().sendText(louder(JSON.stringify(done ?? null)));
  },
};
