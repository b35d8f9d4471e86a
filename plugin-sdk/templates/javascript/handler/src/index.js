// Puts messages with a certain word into a queue of their own.

import { Outcome, textOf } from '../sdk/patchbay.js';

/** @type {import('../sdk/patchbay.js').Handler<{ word: string, queue: string }>} */
export const handler = {
  handle(settings, event) {
    const text = textOf(event);
    if (!text?.toLowerCase().includes(settings.word.toLowerCase())) return Outcome.next();
    return Outcome.next()
      .assign(settings.queue, { priority: 'high', reason: `the word “${settings.word}” was there` })
      .sendText('We are on it.');
  },
};
