// Looking into events.

/** From the least to the most urgent. */
export const priorities = ['low', 'normal', 'high', 'urgent'];

/** The message, if the customer wrote one. */
export function messageOf(event) {
  return event.body.tag === 'message' ? event.body.val : undefined;
}

/** The words of a message: its text, the caption of its media, or the title of what was chosen. */
export function textOf(event) {
  const content = messageOf(event)?.content;
  switch (content?.tag) {
    case 'text':
      return content.val;
    case 'media':
      return content.val.caption;
    case 'choice':
      return content.val.title;
    default:
      return undefined;
  }
}

/** An attribute of a conversation. */
export function attribute(conversation, key) {
  return conversation.attributes.find(([name]) => name === key)?.[1];
}

/** The conversation's ticket in this desk. */
export function ticketIn(conversation, desk) {
  return conversation.tickets.find((ticket) => ticket.desk === desk);
}
