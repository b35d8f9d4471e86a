// The types of testing.js.

import type { Context, Event, OpenMedia } from './patchbay.d.ts';

/** When everything happens: milliseconds since the epoch. */
export const NOW: number;
/** A customer wrote this, in a conversation that nothing was decided about. */
export function textEvent(text: string): Event;
/** What a plugin may ask the host for; `logged` has the lines of its log. */
export function context(script?: {
  secrets?: Record<string, string>;
  media?: Record<string, Uint8Array>;
  uploads?: Array<[string, string, number, unknown]>;
  store?: Record<string, string>;
}): Context & { logged: Array<[string, string]> };
/** Media that is open, with these bytes. */
export function openMedia(bytes: Uint8Array): OpenMedia;
/** Answers `fetch` by a script of [method, address, status, JSON] while `work` runs. */
export function withHttp<T>(script: Array<[string, string, number, unknown]>, work: () => Promise<T>): Promise<T>;
