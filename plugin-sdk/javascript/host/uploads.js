// Sending stored media on, for plugins that want `media` and a host. The bytes do not pass through the plugin.

import { send } from 'patchbay:plugin/uploads@0.2.0';

import { Failure } from '../failure.js';
import { host } from '../http.js';

export const context = {
  /**
   * Sends a request whose body is these parts in order: bytes or text as they are, { media: id }, { mediaBase64: id }.
   * Gives the answer as `fetch` does; no answer is a `Failure.retry`.
   */
  upload(url, { method = 'POST', headers = {}, body }) {
    try {
      const answer = send({ method, url, headers: Object.entries(headers), body: body.map(part) });
      return new Response(answer.body, { status: answer.status, headers: answer.headers });
    } catch (error) {
      throw Failure.retry(`${host(url)} did not answer: ${error.payload ?? error}`);
    }
  },
};

function part(given) {
  if (typeof given === 'string') return { tag: 'bytes', val: new TextEncoder().encode(given) };
  if (given instanceof Uint8Array) return { tag: 'bytes', val: given };
  if (given.media !== undefined) return { tag: 'media', val: given.media };
  return { tag: 'media-base64', val: given.mediaBase64 };
}
