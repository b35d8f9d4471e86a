// The types of patchbay.js, and of what roles are given and give back.

import type {
  Action,
  Added,
  Conversation,
  Decision,
  DeskActivity,
  Draft,
  Entry,
  Event,
  Failure as ContractFailure,
  Finding,
  Flow,
  Media,
  Message,
  OutgoingContent,
  Priority,
  Snapshot,
  Ticket,
  Verdict as ContractVerdict,
  Outcome as ContractOutcome,
  Webhook,
} from './contract.d.ts';

export type * from './contract.d.ts';

/** An answer now, or later. */
export type Answer<T> = T | Promise<T>;

/** What a handler answers. Each method adds an action and gives the outcome back. */
export class Outcome implements ContractOutcome {
  actions: Action[];
  flow: Flow;
  /** Nothing to do yet; the next handler is asked. */
  static next(): Outcome;
  /** The chain ends here: the handlers after this one are not asked. */
  stop(): this;
  /** Any action of the contract, for those that have no word of their own here. */
  action<T extends Action['tag']>(tag: T, val: Extract<Action, { tag: T }>['val']): this;
  /** Says something to the customer. */
  send(content: OutgoingContent, replyTo?: string): this;
  /** Says plain words to the customer. */
  sendText(text: string, replyTo?: string): this;
  /** Asks with up to three buttons, by id. */
  sendButtons(text: string, options: Record<string, string>): this;
  /** Sends a template that Meta has approved; parameters by name, or by number from 1. */
  sendTemplate(name: string, language: string, parameters?: Record<string, unknown>): this;
  /** Puts the conversation into a queue: first line, normal priority, unless said otherwise. */
  assign(queue: string, how?: { tier?: number; priority?: Priority; reason?: string }): this;
  /** Sets an attribute of the conversation. */
  setAttribute(key: string, value: unknown): this;
  /** Removes an attribute of the conversation. */
  removeAttribute(key: string): this;
  /** Writes an internal note into every linked ticket. */
  note(text: string): this;
  /** Makes sure that a ticket exists in this desk; the conversation so far goes along. */
  openTicket(desk: string, how?: { subject?: string; fields?: Record<string, unknown> }): this;
  /** Changes fields of the ticket in this desk, in the desk plugin's words. */
  updateTicket(desk: string, fields: Record<string, unknown>): this;
  /** Sets a timer (milliseconds or a Date); it comes back as an event with its data, any JSON value. */
  setTimer(name: string, at: number | bigint | Date, data?: unknown): this;
  /** Takes a timer back. */
  cancelTimer(name: string): this;
  /** Tells a person who can do more, with the reason. */
  escalate(reason: string): this;
  /** Hands the conversation to a person, with the reason; bots stay silent from here. */
  handoff(reason: string): this;
  /** An event of kind `custom` in this conversation: its name and its data, any JSON value. */
  emit(name: string, data?: unknown): this;
}

/** Why a call did not succeed: throw it. Put nothing of a customer into a reason. */
export class Failure extends Error {
  /** The contract's failure. */
  payload: ContractFailure;
  /** Worth another try, after so many milliseconds if the other side said so. */
  static retry(reason: string, afterMs?: number): Failure;
  /** Never worth another try. */
  static permanent(reason: string): Failure;
  /** The credential does not work; from `desk.receive`: the webhook's signature is wrong. */
  static credential(reason: string): Failure;
}

/** What an inspector answers. Each method adds something and gives the verdict back. */
export class Verdict implements ContractVerdict {
  decision: Decision;
  labels: Array<[string, number]>;
  text?: string;
  measures: Array<[string, number]>;
  findings: Finding[];
  /** Nothing is wrong with it. */
  static pass(): Verdict;
  /** People should look twice. */
  static warn(): Verdict;
  /** It should be kept away from people. */
  static quarantine(): Verdict;
  /** A word for what is in it, and the confidence, 0 to 1. */
  label(word: string, confidence?: number): this;
  /** A number by its name. */
  measure(name: string, value: number): this;
  /** Something found: a code for machines, a sentence for people, the confidence, 0 to 1. */
  finding(code: string, detail: string, score?: number): this;
  /** Text that was found in it. */
  withText(text: string): this;
}

/** As `fetch`; no answer is a `Failure.retry`, and an answer is checked as `check` does. */
export function request(url: string, init?: RequestInit): Promise<Response>;
/** Gives a response of status 2xx back; throws the failure that another status means. */
export function check(response: Response, url?: string): Promise<Response>;
/** The message, if the customer wrote one. */
export function messageOf(event: Event): Message | undefined;
/** The words of a message: its text, the caption of its media, or the title of what was chosen. */
export function textOf(event: Event): string | undefined;
/** The name to show for a file: the sender's, or one made of its kind. */
export function displayName(media: Media): string;
/** An attribute of a conversation. */
export function attribute(conversation: Conversation, key: string): string | undefined;
/** The conversation's ticket in this desk. */
export function ticketIn(conversation: Conversation, desk: string): Ticket | undefined;
/** From the least to the most urgent. */
export const priorities: Priority[];

/** What a call may ask the host for. */
export interface Context {
  /** How often this call was tried, 1 for the first time. */
  attempt(): number;
  /** Now, in milliseconds; for a handler, the time at which the gateway accepted the event. */
  now(): number;
  /** A line in the operator's log, under the plugin's name. */
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string): void;
  /** Whether a signature is right under a secret that the plugin never sees. */
  verify(
    secret: string,
    algorithm: 'hmac-sha256' | 'hmac-sha1' | 'equal',
    message: Uint8Array | string,
    signature: Uint8Array | string,
  ): boolean;
  /** With `media = true`: opens stored media by its id. */
  media(id: string): OpenMedia;
  /** With `media = true` and a host: sends stored media on, without its bytes passing through the plugin. */
  upload(url: string, request: { method?: string; headers?: Record<string, string>; body: Part[] }): Response;
  /** With `keyvalue`: keys and values that outlive the call. */
  store: {
    get(key: string): string | undefined;
    getBytes(key: string): Uint8Array | undefined;
    set(key: string, value: string | Uint8Array): void;
    delete(key: string): void;
    has(key: string): boolean;
    keys(): string[];
  };
}

/** A part of an upload's body. */
export type Part = string | Uint8Array | { media: string } | { mediaBase64: string };

/** Media that is open. */
export interface OpenMedia {
  /** Bytes. */
  size(): number;
  /** Up to `length` bytes from `offset`; none: that was the end. */
  read(offset: number, length: number): Uint8Array;
  /** All bytes. */
  all(): Uint8Array;
}

/** Decides what should happen: `export const handler`. */
export interface Handler<Settings> {
  handle(settings: Settings, event: Event, cx: Context): Answer<ContractOutcome>;
}

/** Speaks one ticket system's API: `export const desk`. */
export interface Desk<Settings> {
  findTicket(settings: Settings, key: string, cx: Context): Answer<Added | undefined>;
  createTicket(settings: Settings, key: string, draft: Draft, cx: Context): Answer<Added>;
  findEntry(settings: Settings, key: string, ticket: Ticket, cx: Context): Answer<Added | undefined>;
  addEntry(settings: Settings, key: string, ticket: Ticket, entry: Entry, cx: Context): Answer<Added>;
  updateTicket(
    settings: Settings,
    key: string,
    ticket: Ticket,
    fields: Array<[string, string]>,
    cx: Context,
  ): Answer<Ticket>;
  readTicket(settings: Settings, id: string, cx: Context): Answer<Snapshot>;
  receive(settings: Settings, request: Webhook, cx: Context): Answer<DeskActivity[]>;
}

/** Looks at one piece of media: `export const inspector`. */
export interface Inspector<Settings> {
  inspect(settings: Settings, info: Media, bytes: OpenMedia, cx: Context): Answer<ContractVerdict>;
}
