// The contract's records, as JavaScript has them: wit/0.2/patchbay.wit, record by record.

/** Milliseconds since the Unix epoch, UTC. */
export type Timestamp = bigint;
/** Key and value; keys are unique, order means nothing. */
export type Attributes = Array<[string, string]>;
/** A JSON document as text. */
export type Json = string;
/** One thing that happened in one conversation. */
export interface Event {
  /** Stable over redeliveries and retries: everything that follows is idempotent by it. */
  id: string;
  /** When it happened, by the clock of the system that it happened in. */
  occurredAt: Timestamp;
  /** When the gateway accepted it. */
  receivedAt: Timestamp;
  /** The conversation as the handlers before this one left it. */
  conversation: Conversation;
  /** What happened. */
  body: Body;
}

/** One customer on one channel: the unit of order and of state. */
export interface Conversation {
  /** The gateway's id; the same for the whole life of the conversation. */
  id: string;
  /** The business number that the customer writes to. */
  channel: Channel;
  /** Who writes. */
  customer: Customer;
  /** Set by plugins and operators: language, intent, order number … */
  attributes: Attributes;
  /** Where the conversation stands, once a handler has said so. */
  assignment?: Assignment | undefined;
  /** The tickets that it is linked to, one for each desk at the most. */
  tickets: Array<Ticket>;
  /** Until when a free-form message may be sent; none = the window is closed. */
  windowUntil?: Timestamp | undefined;
  /** A person, not a bot, has the conversation. */
  human: boolean;
  /** The customer does not want marketing: templates that may be marketing are not sent. */
  noMarketing: boolean;
  /** The platform's own agent has the conversation: what we send takes it over. */
  standby: boolean;
}

/** One business number, or another source of conversations. */
export interface Channel {
  /** The operator's name for it, from the configuration. */
  id: string;
  /** `whatsapp`. */
  platform: string;
  /** The platform's account id (WhatsApp: the business account), empty where unknown. */
  account: string;
  /** The platform's address of the channel (WhatsApp: the phone number id). */
  address: string;
}

/** Any identifier may be missing: a WhatsApp user with a username can have no visible phone number. */
export interface Customer {
  /** The gateway's id; use it as the external id in other systems. */
  id: string;
  /** Digits, with the country code, without `+`. */
  phone?: string | undefined;
  /** The platform's business-scoped user id. */
  userId?: string | undefined;
  /** The platform's id of the group, where the conversation is a group's, whoever writes in it. */
  group?: string | undefined;
  /** Changes freely: show it, never look a person up by it. */
  username?: string | undefined;
  /** The name that the customer chose to show. */
  name?: string | undefined;
  /** BCP 47, where known. */
  locale?: string | undefined;
}

/** Where a conversation belongs, and how urgent it is. */
export interface Assignment {
  /** The queue's name in the operator's words. */
  queue: string;
  /** 1 is the first line. */
  tier: number;
  priority: Priority;
  /** Why, for the people who will ask. */
  reason: string;
}

export type Priority = 'low' | 'normal' | 'high' | 'urgent';

/** A ticket in a desk, and what the desk plugin wants to find again with it. */
export interface Ticket {
  /** The desk's name in the configuration. */
  desk: string;
  /** The vendor's id. */
  id: string;
  /** Where a person opens it. */
  url?: string | undefined;
  /** new, open, pending, on-hold, solved, closed, or the desk's own word. */
  status: string;
  /** Opaque to everyone but the desk plugin: a user id, a version stamp … */
  data: Attributes;
}

/** What happened. */
export type Body =
  /** The customer wrote. */
  | { tag: 'message'; val: Message }
  /** A message's media has been stored and inspected, or could not be. */
  | { tag: 'media-checked'; val: MediaChecked }
  /** What became of a message that we sent. */
  | { tag: 'delivery'; val: Delivery }
  /** An agent or a rule acted in a ticket system. */
  | { tag: 'desk-activity'; val: DeskActivity }
  /** An SLA target is near or missed. */
  | { tag: 'sla'; val: SlaNotice }
  /** A timer that a plugin set. */
  | { tag: 'timer'; val: TimerFired }
  /** An effect that the gateway gave up on after its last retry. */
  | { tag: 'effect-failed'; val: EffectFailed }
  /** A call rang, was answered, ended. */
  | { tag: 'call'; val: Call }
  /** The business wrote to the customer from its own app on the same number. */
  | { tag: 'echo'; val: Overheard }
  /** What was said before the number was connected. */
  | { tag: 'history'; val: Overheard }
  /** What was said while the platform's own agent has the conversation. */
  | { tag: 'standby'; val: Overheard }
  /** The conversation was passed to or from the platform's own agent. */
  | { tag: 'handover'; val: Handover }
  /** The customer's number or user id changed, or the person behind them. */
  | { tag: 'identity-changed'; val: IdentityChanged }
  /** The customer said what they want to be sent, and what not. */
  | { tag: 'preference'; val: Preference }
  /** A contact was added to the business's address book, changed or removed. */
  | { tag: 'contact'; val: Notice }
  /** A group was made, changed, joined or left. */
  | { tag: 'group'; val: Notice }
  /** What became of a payment. */
  | { tag: 'payment'; val: Notice }
  /** Template status, quality rating, account warnings … */
  | { tag: 'account-notice'; val: Notice }
  /** Emitted by another plugin. */
  | { tag: 'custom'; val: Notice }
  /** A kind that this version has no name for; nothing is dropped. */
  | { tag: 'unknown'; val: Notice };

/** A name and the whole of it as JSON. */
export interface Notice {
  kind: string;
  data: Json;
}

/** What the customer wrote. */
export interface Message {
  /** The platform's id. It can embed the phone number: treat it as personal data. */
  id: string;
  content: Content;
  /** The id of the message that this one answers. */
  replyTo?: string | undefined;
  /** The customer forwarded it from another chat. */
  forwarded: boolean;
  /** The ad, post or product that the customer came from. */
  referral?: Notice | undefined;
  /**
   * In a group: who of its participants wrote. Outside of one it is there only where the platform shows of the
   * customer nothing that an answer could be sent to.
   */
  author?: Participant | undefined;
}

/** A person in a group. Any identifier may be missing. */
export interface Participant {
  /** As the platform gave it. */
  phone?: string | undefined;
  /** The platform's business-scoped user id. */
  userId?: string | undefined;
  /** Changes freely: show it, never look a person up by it. */
  username?: string | undefined;
  /** The name that they chose to show. */
  name?: string | undefined;
}

/** A message that was not written to us now: it informs, and asks for nothing. */
export interface Overheard {
  message: Message;
  by: Speaker;
  /** How far it had got, in the platform's word, where it says so. */
  state?: string | undefined;
}

/** Which side of a conversation wrote: the customer, or the business by another hand than ours. */
export type Speaker = 'customer' | 'business';

/** The conversation was passed on. */
export interface Handover {
  /** The role that had it, in the platform's word; empty where it does not say. */
  before: string;
  /** The role that has it now. */
  after: string;
  /** All of it. */
  data: Json;
}

/** Who the customer is has changed. The conversation shows what counts from now on. */
export interface IdentityChanged {
  what: IdentityChange;
  /** The platform's sentence about it. */
  note?: string | undefined;
}

export type IdentityChange =
  /** The phone number; the platform gives a new user id with it. */
  | { tag: 'number' }
  /** The user id alone. */
  | { tag: 'user-id' }
  /** The device or the person behind the number: the platform's security code changed. */
  | { tag: 'identity' }
  /** The gateway's word for a change that this version has no name for. */
  | { tag: 'other'; val: string };

/** What the customer wants to be sent. */
export interface Preference {
  /** `marketing_messages`. */
  category: string;
  /** `stop` or `resume`, in the platform's word. */
  value: string;
  /** The platform's sentence about it. */
  detail?: string | undefined;
}

/** What a message carries. */
export type Content =
  | { tag: 'text'; val: string }
  | { tag: 'media'; val: Media }
  | { tag: 'location'; val: Location }
  | { tag: 'contacts'; val: Array<ContactCard> }
  /** A button, list row or template quick reply that the customer chose. */
  | { tag: 'choice'; val: Choice }
  /** A completed form, as the platform gave it. */
  | { tag: 'form'; val: Json }
  | { tag: 'reaction'; val: Reaction }
  | { tag: 'order'; val: Order }
  | { tag: 'edited'; val: Edited }
  /** The id of the message that the customer withdrew. */
  | { tag: 'withdrawn'; val: string }
  /** The platform's own kind and its raw JSON. */
  | { tag: 'other'; val: Notice };

export type MediaKind = 'image' | 'video' | 'audio' | 'voice' | 'document' | 'sticker';

/** A file that came with a message. Its bytes are read through `blobs` or sent on through `uploads`. */
export interface Media {
  /** The gateway's handle, for `blobs.open`, `uploads.part` and `outgoing-media`. */
  id: string;
  kind: MediaKind;
  /** Media type without parameters, as the sender claims it. */
  mime: string;
  /** Bytes, where known. */
  size?: bigint | undefined;
  /** As the sender named it: not safe as a path. */
  fileName?: string | undefined;
  caption?: string | undefined;
}

/** Degrees, WGS 84. */
export interface Location {
  latitude: number;
  longitude: number;
  name?: string | undefined;
  address?: string | undefined;
}

/** A shared contact; `raw` is the platform's whole card. */
export interface ContactCard {
  name: string;
  phones: Array<string>;
  emails: Array<string>;
  raw: Json;
}

/** What was chosen: the id that the sender gave the option, and what the customer saw. */
export interface Choice {
  id: string;
  title: string;
  description?: string | undefined;
}

/** No emoji: the customer took the reaction back. */
export interface Reaction {
  message: string;
  emoji?: string | undefined;
}

export interface Order {
  catalog: string;
  note?: string | undefined;
  items: Array<OrderItem>;
}

/** Decimal numbers as text, exactly as the platform gave them. */
export interface OrderItem {
  product: string;
  quantity: string;
  price: string;
  currency: string;
}

/** A message was edited; no text: it was not text that changed. */
export interface Edited {
  message: string;
  text?: string | undefined;
}

/** The outcome of fetching one piece of media. */
export interface MediaChecked {
  /** The message that carried it. */
  message: string;
  media: Media;
  /** What each inspector found. */
  verdicts: Array<NamedVerdict>;
  /** False: the platform no longer had it, or refused it; `problem` says why. */
  stored: boolean;
  problem?: string | undefined;
}

export interface NamedVerdict {
  inspector: string;
  verdict: Verdict;
}

/** What an inspector found. */
export interface Verdict {
  decision: Decision;
  /** Words and their confidence, 0 to 1. */
  labels: Array<[string, number]>;
  /** Text found in it. */
  text?: string | undefined;
  /** Numbers by name: sharpness, brightness, width … */
  measures: Array<[string, number]>;
  findings: Array<Finding>;
}

export type Decision = 'pass' | 'warn' | 'quarantine';

/** `code` is for machines, `detail` for people; `score` is the confidence, 0 to 1. */
export interface Finding {
  code: string;
  detail: string;
  score: number;
}

/** What became of a message that we sent. */
export interface Delivery {
  /** The platform's id of the message. */
  message: string;
  state: DeliveryState;
  error?: DeliveryError | undefined;
  /** The task that sent it, where it was ours. */
  reference?: string | undefined;
  /** What the platform charges for it, where it says so. */
  pricing?: Pricing | undefined;
  /** In a group: the participant that this is about, as the platform calls them. */
  participant?: string | undefined;
}

export type DeliveryState = 'sent' | 'delivered' | 'read' | 'played' | 'failed';

/** The platform's own code and words. */
export interface DeliveryError {
  code: bigint;
  title: string;
  detail: string;
}

/** What the platform charges for a message, in its own words. */
export interface Pricing {
  /** Whether it is charged for. */
  billable?: boolean | undefined;
  /** `PMP`: per message … */
  model?: string | undefined;
  /** `regular`, `free_customer_service`, `free_entry_point` … */
  kind?: string | undefined;
  /** `marketing`, `utility`, `service`, `authentication` … */
  category?: string | undefined;
  /** What opened the free window, where there is one. */
  origin?: string | undefined;
}

/** Something happened to a ticket. */
export interface DeskActivity {
  /** The vendor's id of this happening: the same whenever it is delivered again. */
  id: string;
  /** The desk's name in the configuration. A desk plugin leaves it empty; the host fills it in. */
  desk: string;
  /** The vendor's id of the ticket. */
  ticket: string;
  /**
   * The key that the ticket was created with, where the vendor tells it: so that an agent who is quicker than the
   * answer to `create-ticket` is not taken for a stranger.
   */
  key?: string | undefined;
  /** By the vendor's clock. */
  occurredAt: Timestamp;
  what: Activity;
}

export type Activity =
  /** Somebody wrote to the customer (public) or to colleagues. */
  | { tag: 'entry'; val: AgentEntry }
  /** The ticket's new status, in the words of `ticket.status`. */
  | { tag: 'status'; val: string }
  /** The name of the agent or group that has it now. */
  | { tag: 'assigned'; val: string }
  /** The id of the ticket that it was merged into. */
  | { tag: 'merged-into'; val: string }
  | { tag: 'other'; val: Notice };

export interface AgentEntry {
  /** The vendor's id of the entry; the host drops entries that it wrote itself by it. */
  id: string;
  /** Meant for the customer's eyes. */
  public: boolean;
  /** The agent's name, as the customer may see it. */
  author: string;
  text: string;
  attachments: Array<RemoteFile>;
}

/** A file at the vendor, fetched by the host with the desk's credentials. */
export interface RemoteFile {
  name: string;
  mime: string;
  url: string;
  size?: bigint | undefined;
}

/** `elapsed-percent` of the target's working time. */
export interface SlaNotice {
  clock: string;
  policy: string;
  due: Timestamp;
  stage: SlaStage;
  elapsedPercent: number;
}

export type SlaStage = 'warning' | 'breached';

export interface TimerFired {
  name: string;
  data: Json;
}

/** `effect`: `send`, `create-ticket`, `add-entry`, `update-ticket`, `fetch-media` … */
export interface EffectFailed {
  effect: string;
  target: string;
  reason: string;
  attempts: number;
}

export interface Call {
  id: string;
  state: string;
  data: Json;
}

/** Why a call did not succeed. The host decides what happens next from this, so say the truth. */
export type Failure =
  /** Worth another try, after so many milliseconds if the other side said so. */
  | { tag: 'retry'; val: Retry }
  /** Never worth another try. */
  | { tag: 'permanent'; val: string }
  /**
   * The credential does not work: pause, tell the operator, keep the work.
   * From `desk.receive`: the webhook's signature is wrong; it is answered 401 and nothing is kept.
   */
  | { tag: 'credential'; val: string };

export interface Retry {
  afterMs?: bigint | undefined;
  reason: string;
}

/** What to do, in order, and whether the handlers after this one are asked. */
export interface Outcome {
  actions: Array<Action>;
  flow: Flow;
}

export type Flow = 'next' | 'stop';

export type Action =
  /** Say something to the customer. */
  | { tag: 'send'; val: Outgoing }
  /** Put the conversation into a queue. */
  | { tag: 'assign'; val: Assignment }
  /** No value: remove. */
  | { tag: 'set-attribute'; val: [string, string | undefined] }
  /** An internal note in every linked ticket. */
  | { tag: 'note'; val: string }
  /** Make sure that a ticket exists in this desk; the conversation so far goes along. */
  | { tag: 'open-ticket'; val: OpenTicket }
  /** Change fields of the ticket in this desk, in the desk plugin's words. */
  | { tag: 'update-ticket'; val: UpdateTicket }
  /** One timer for each name in a conversation: setting it again replaces it. */
  | { tag: 'set-timer'; val: SetTimer }
  | { tag: 'cancel-timer'; val: string }
  | { tag: 'sla'; val: SlaCommand }
  /** Keep this media away from people, by media id. */
  | { tag: 'quarantine'; val: string }
  | { tag: 'release'; val: string }
  /** Tell a person who can do more, with the reason. */
  | { tag: 'escalate'; val: string }
  /** To a person, with the reason; bots stay silent from here. */
  | { tag: 'handoff'; val: string }
  /** An event of kind `custom` in this conversation: its name and its data. Not from a `custom` event: no loops. */
  | { tag: 'emit'; val: [string, Json] };

/** No subject: the gateway takes the first words of the message. */
export interface OpenTicket {
  desk: string;
  subject?: string | undefined;
  fields: Attributes;
}

export interface UpdateTicket {
  desk: string;
  fields: Attributes;
}

export interface SetTimer {
  name: string;
  at: Timestamp;
  data: Json;
}

export interface SlaCommand {
  clock: string;
  what: SlaVerb;
}

export type SlaVerb = 'start' | 'pause' | 'resume' | 'stop';

/** A message to the customer of this conversation; `reply-to` is the id of the message that it answers. */
export interface Outgoing {
  content: OutgoingContent;
  replyTo?: string | undefined;
}

export type OutgoingContent =
  | { tag: 'text'; val: string }
  | { tag: 'template'; val: Template }
  | { tag: 'buttons'; val: Buttons }
  | { tag: 'choices'; val: Choices }
  | { tag: 'media'; val: OutgoingMedia }
  /** The message and the emoji; no emoji takes the reaction back. */
  | { tag: 'reaction'; val: [string, string] }
  /** Anything else that WhatsApp takes: type and body, checked by the host before it leaves. */
  | { tag: 'raw'; val: [string, Json] };

export interface Template {
  name: string;
  language: string;
  parameters: Attributes;
}

/** Up to three options: id and title. */
export interface Buttons {
  text: string;
  options: Array<[string, string]>;
}

export interface Choices {
  text: string;
  button: string;
  sections: Array<Section>;
}

export interface Section {
  title: string;
  rows: Array<Row>;
}

export interface Row {
  id: string;
  title: string;
  description?: string | undefined;
}

export interface OutgoingMedia {
  media: string;
  caption?: string | undefined;
}

export interface Draft {
  subject: string;
  conversation: Conversation;
  /** From the chain: queue, priority, and whatever the `open-ticket` action named. */
  fields: Attributes;
  /** What was said so far, oldest first; at least one. */
  entries: Array<Entry>;
}

export interface Entry {
  author: Author;
  text: string;
  media: Array<Media>;
  /** The customer may see it. */
  public: boolean;
  at: Timestamp;
}

export type Author =
  { tag: 'customer'; val: Customer } | { tag: 'agent'; val: string } | { tag: 'bot'; val: string } | { tag: 'gateway' };

/** The vendor's id of the entry, where it has one, and the ticket as it is now. */
export interface Added {
  entry?: string | undefined;
  ticket: Ticket;
}

/** Entries as id and text, oldest first. */
export interface Snapshot {
  ticket: Ticket;
  entries: Array<[string, string]>;
}

/** Header names are lower-case; `path` is what follows `/webhooks/desk/{desk}`. */
export interface Webhook {
  method: string;
  path: string;
  query: string;
  headers: Attributes;
  body: Uint8Array;
}
