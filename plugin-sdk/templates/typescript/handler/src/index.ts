// Puts messages with a certain word into a queue of their own.

import { type Handler, Outcome, textOf } from '../sdk/patchbay.js';

/** What the operator writes under `[plugins.NAME.settings]`. */
interface Settings {
  word: string;
  queue: string;
}

export const handler: Handler<Settings> = {
  handle(settings, event) {
    const text = textOf(event);
    if (!text?.toLowerCase().includes(settings.word.toLowerCase())) return Outcome.next();
    return Outcome.next()
      .assign(settings.queue, { priority: 'high', reason: `the word “${settings.word}” was there` })
      .sendText('We are on it.');
  },
};
