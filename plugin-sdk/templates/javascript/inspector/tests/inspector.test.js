import assert from 'node:assert/strict';
import { test } from 'node:test';

import { context, openMedia } from '../sdk/testing.js';
import { inspector } from '../src/index.js';

test('a picture that is none is found', () => {
  const info = { id: 'm_1', kind: 'image', mime: 'image/png' };
  for (const [text, decision] of [
    ['\x89PNG\r\n', 'pass'],
    ['MZ', 'warn'],
  ]) {
    const bytes = openMedia(Uint8Array.from(text, (letter) => letter.charCodeAt(0)));
    assert.equal(inspector.inspect({}, info, bytes, context()).decision, decision);
  }
});
