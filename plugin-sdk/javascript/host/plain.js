// What every plugin may ask the host for.

import * as contract from 'patchbay:plugin/context@0.2.0';
import { get } from 'wasi:config/store@0.2.0-rc.1';

import { Failure } from '../failure.js';

/** The table `[plugins.NAME.settings]`. */
export function settings() {
  return JSON.parse(get('settings') ?? '{}');
}

/** The same in every plugin. */
export const context = {
  /** How often this call was tried, 1 for the first time. */
  attempt: () => contract.attempt(),
  /** Now, in milliseconds; for a handler, the time at which the gateway accepted the event. */
  now: () => Date.now(),
  /** A line in the operator's log, under the plugin's name. */
  log: (level, message) => contract.log(level, message),
  /** Whether a signature is right under a secret that the plugin never sees. */
  verify(secret, algorithm, message, signature) {
    try {
      return contract.verify(secret, algorithm, bytes(message), bytes(signature));
    } catch (error) {
      throw Failure.permanent(`secret \`${secret}\`: ${error.payload ?? error}`);
    }
  },
};

/** Bytes as they are, text as UTF-8. */
export const bytes = (data) => (typeof data === 'string' ? new TextEncoder().encode(data) : data);
