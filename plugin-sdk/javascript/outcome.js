// Saying what should be done: an outcome is built action by action, in order.

/** What a handler answers. Each method adds an action and gives the outcome back. */
export class Outcome {
  actions = [];
  flow = 'next';

  /** Nothing to do yet; the next handler is asked. */
  static next() {
    return new Outcome();
  }

  /** The chain ends here: the handlers after this one are not asked. */
  stop() {
    this.flow = 'stop';
    return this;
  }

  /** Any action of the contract, for those that have no word of their own here. */
  action(tag, val) {
    this.actions.push({ tag, val });
    return this;
  }

  /** Says something to the customer; `content` is the contract's, such as { tag: 'buttons', val: … }. */
  send(content, replyTo) {
    return this.action('send', { content, replyTo });
  }

  /** Says plain words to the customer. */
  sendText(text, replyTo) {
    return this.send({ tag: 'text', val: text }, replyTo);
  }

  /** Asks with up to three buttons, by id: { yes: 'Yes', no: 'No' }. */
  sendButtons(text, options) {
    return this.send({ tag: 'buttons', val: { text, options: pairs(options) } });
  }

  /** Sends a template that Meta has approved; parameters by name, or by number from 1. */
  sendTemplate(name, language, parameters = {}) {
    return this.send({ tag: 'template', val: { name, language, parameters: pairs(parameters) } });
  }

  /** Puts the conversation into a queue. */
  assign(queue, { tier = 1, priority = 'normal', reason = '' } = {}) {
    return this.action('assign', { queue, tier, priority, reason });
  }

  /** Sets an attribute of the conversation. */
  setAttribute(key, value) {
    return this.action('set-attribute', [key, String(value)]);
  }

  /** Removes an attribute of the conversation. */
  removeAttribute(key) {
    return this.action('set-attribute', [key, undefined]);
  }

  /** Writes an internal note into every linked ticket. */
  note(text) {
    return this.action('note', text);
  }

  /** Makes sure that a ticket exists in this desk; the conversation so far goes along. */
  openTicket(desk, { subject, fields = {} } = {}) {
    return this.action('open-ticket', { desk, subject, fields: pairs(fields) });
  }

  /** Changes fields of the ticket in this desk, in the desk plugin's words. */
  updateTicket(desk, fields) {
    return this.action('update-ticket', { desk, fields: pairs(fields) });
  }

  /** Sets a timer (milliseconds or a Date); it comes back as an event with its data, any JSON value. */
  setTimer(name, at, data = null) {
    return this.action('set-timer', { name, at: millis(at), data: JSON.stringify(data) });
  }

  /** Takes a timer back. */
  cancelTimer(name) {
    return this.action('cancel-timer', name);
  }

  /** Tells a person who can do more, with the reason. */
  escalate(reason) {
    return this.action('escalate', reason);
  }

  /** Hands the conversation to a person, with the reason; bots stay silent from here. */
  handoff(reason) {
    return this.action('handoff', reason);
  }

  /** An event of kind `custom` in this conversation: its name and its data, any JSON value. */
  emit(name, data = null) {
    return this.action('emit', [name, JSON.stringify(data)]);
  }
}

const pairs = (fields) => Object.entries(fields).map(([key, value]) => [key, String(value)]);

const millis = (at) => BigInt(at instanceof Date ? at.getTime() : at);
