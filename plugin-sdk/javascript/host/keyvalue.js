// Keys and values that outlive a call, for plugins that want `keyvalue`.

import { open } from 'wasi:keyvalue/store@0.2.0-draft';

import { Failure } from '../failure.js';
import { bytes } from './plain.js';

/** The only bucket there is. */
const BUCKET = 'default';

export const context = {
  /** What a call writes is kept when it has answered, and lost when it has not. */
  store: {
    get(key) {
      const value = use((bucket) => bucket.get(key));
      return value === undefined ? undefined : new TextDecoder().decode(value);
    },
    getBytes: (key) => use((bucket) => bucket.get(key)),
    set: (key, value) => use((bucket) => bucket.set(key, bytes(value))),
    delete: (key) => use((bucket) => bucket.delete(key)),
    has: (key) => use((bucket) => bucket.exists(key)),
    keys() {
      const all = [];
      let cursor;
      do {
        const page = use((bucket) => bucket.listKeys(cursor));
        all.push(...page.keys);
        cursor = page.cursor;
      } while (cursor !== undefined);
      return all;
    },
  },
};

function use(work) {
  try {
    return work(open(BUCKET));
  } catch (error) {
    const why = error.payload;
    throw Failure.retry(`the key-value store: ${why?.val ?? why?.tag ?? error}`);
  }
}
