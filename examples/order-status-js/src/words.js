// What the shop's states are in words for customers.

const STATES = {
  paid: () => 'is paid, and we are packing it',
  sent: ({ carrier, tracking }) =>
    `is on its way${carrier ? ` with ${carrier}` : ''}${tracking ? ` (${tracking})` : ''}`,
  delivered: ({ at }) => `was delivered${at ? ` on ${day(at)}` : ''}`,
  cancelled: () => 'was cancelled',
};

/** One sentence about an order. */
export function sentence(number, order) {
  const words = STATES[order.state];
  return words
    ? `Your order ${number} ${words(order)}.`
    : `Your order ${number} is being looked after: ${order.state}.`;
}

/** `2026-11-23T10:00:00Z` → `23 November` */
function day(at) {
  const date = new Date(at);
  const months = 'January February March April May June July August September October November December'.split(' ');
  return `${date.getUTCDate()} ${months[date.getUTCMonth()]}`;
}
