// The routing logic of the bench, in JavaScript.

import { Outcome, textOf } from '../../../../../plugin-sdk/javascript/patchbay.js';

export const handler = {
  handle(settings, event) {
    const text = textOf(event);
    if (text === undefined) return Outcome.next();
    const { queue, tier, priority, word, reason } = decide(settings, text);
    return Outcome.next().assign(queue, { tier, priority, reason }).setAttribute('routing.word', word).note(reason);
  },
};

/** Where a text belongs: the first rule with a word in it decides, whatever the case of its letters. */
function decide(settings, given) {
  const text = given.toLowerCase();
  for (const [at, { words, queue, priority, tier }] of settings.rules.entries()) {
    const word = words.find((each) => text.includes(each.toLowerCase()));
    if (word !== undefined) return { queue, tier, priority, word, reason: `rule ${at + 1} has “${word}”` };
  }
  return { queue: settings.default_queue, tier: 1, priority: 'normal', word: '', reason: 'no rule has a word of it' };
}
