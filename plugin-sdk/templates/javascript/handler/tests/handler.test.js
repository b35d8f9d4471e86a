import assert from 'node:assert/strict';
import { test } from 'node:test';

import { context, textEvent } from '../sdk/testing.js';
import { handler } from '../src/index.js';

const settings = { word: 'invoice', queue: 'billing' };

test('the word decides the queue', () => {
  const { actions } = handler.handle(settings, textEvent('My INVOICE?'), context());
  assert.equal(actions[0].tag, 'assign');
  assert.equal(actions[0].val.queue, 'billing');
});

test('everything else goes on to the next handler', () => {
  const { actions, flow } = handler.handle(settings, textEvent('Hello'), context());
  assert.deepEqual([actions, flow], [[], 'next']);
});
