// `fetch`, with the failures that the gateway should act on.
//
// `fetch` itself works in a plugin too: every request goes through the operator's grants, and the host adds the
// credentials.

import { Failure } from './failure.js';

/** The header of an answer that the host gave in the place of a server that is not granted. */
const DENIED = 'x-patchbay-denied';
/** Statuses below 500 that are worth another try: timeout, too early, too many requests. */
const AGAIN = [408, 425, 429];

/** As `fetch`; no answer is a `Failure.retry`, and an answer is checked as `check` does. */
export async function request(url, init) {
  let response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw Failure.retry(`${host(url)} did not answer`);
  }
  return check(response, url);
}

/** Gives a response of status 2xx back; throws the failure that another status means. */
export async function check(response, url = response.url) {
  if (response.ok) return response;
  const { status, headers } = response;
  if (headers.has(DENIED)) throw Failure.permanent(await response.text());
  const reason = `${host(url)} answered ${status}`;
  if (AGAIN.includes(status) || status >= 500) throw Failure.retry(reason, retryAfter(headers));
  if (status === 401 || status === 403) throw Failure.credential(reason);
  throw Failure.permanent(reason);
}

// The path can hold a customer's data: reasons name the host only.
export function host(url) {
  try {
    return new URL(url).host;
  } catch {
    return 'the server';
  }
}

/** `Retry-After`, seconds or a date, as milliseconds from now. */
function retryAfter(headers) {
  const text = headers.get('retry-after');
  if (text === null) return undefined;
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}
