// Answers where an order is, from the shop's API.

import { Outcome, check, textOf } from '../../../plugin-sdk/javascript/patchbay.js';
import { sentence } from './words.js';

/** @type {import('../../../plugin-sdk/javascript/patchbay.js').Handler<{ shop: string, prefix?: string, queue?: string }>} */
export const handler = {
  async handle(settings, event) {
    const number = orderNumber(textOf(event), settings.prefix ?? 'SO-');
    // A person who has the conversation answers themselves.
    if (number === undefined || event.conversation.human) return Outcome.next();

    const url = `${settings.shop}/api/orders/${encodeURIComponent(number)}`;
    const response = await fetch(url, { headers: { accept: 'application/json' } });
    if (response.status === 404) return unknown(settings, number);
    const order = await (await check(response, url)).json();
    return Outcome.next()
      .setAttribute('order.number', number)
      .setAttribute('order.state', order.state)
      .sendText(sentence(number, order))
      .stop();
  },
};

/** The first order number in a text, in upper case. */
export function orderNumber(text, prefix) {
  return new RegExp(`(?<![\\w-])${prefix}\\d{3,12}(?!\\w)`, 'i').exec(text ?? '')?.[0].toUpperCase();
}

function unknown(settings, number) {
  const outcome = Outcome.next().sendText(`I cannot find an order ${number}. Is the number right?`);
  if (settings.queue) outcome.assign(settings.queue, { reason: 'an order number that the shop does not know' });
  return outcome;
}
