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

/** The name to show for a file: the sender's, or one made of its kind. */
export function displayName(media) {
  return media.fileName ?? `${media.kind}.${extension(media.mime)}`;
}

/** Endings of file names that are not what stands in the media type. */
const ENDINGS = { 'image/jpeg': 'jpg', 'audio/mpeg': 'mp3', 'text/plain': 'txt', 'video/3gpp': '3gp' };

function extension(mime) {
  return ENDINGS[mime] ?? /\/([a-z0-9]{1,4})$/i.exec(mime)?.[1] ?? 'bin';
}

/** An attribute of a conversation. */
export function attribute(conversation, key) {
  return conversation.attributes.find(([name]) => name === key)?.[1];
}

/** The conversation's ticket in this desk. */
export function ticketIn(conversation, desk) {
  return conversation.tickets.find((ticket) => ticket.desk === desk);
}
