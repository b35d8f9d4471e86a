// Finds files that are not what they say they are.

import { type Inspector, Verdict } from '../sdk/patchbay.js';

/** How files of a media type begin. */
const BEGINNINGS: Record<string, number[]> = {
  'image/jpeg': [0xff, 0xd8, 0xff],
  'image/png': [0x89, 0x50, 0x4e, 0x47],
  'image/webp': [0x52, 0x49, 0x46, 0x46],
  'application/pdf': [0x25, 0x50, 0x44, 0x46, 0x2d],
};

export const inspector: Inspector<{}> = {
  inspect(_settings, info, bytes) {
    const beginning = BEGINNINGS[info.mime] ?? [];
    const first = bytes.read(0, 8);
    const fits = beginning.every((byte, at) => first[at] === byte);
    const verdict = fits ? Verdict.pass() : Verdict.warn();
    if (!fits) verdict.finding('wrong-type', `the file does not begin as ${info.mime} does`);
    return verdict.measure('bytes', bytes.size());
  },
};
