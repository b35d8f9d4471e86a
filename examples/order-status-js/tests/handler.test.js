import assert from 'node:assert/strict';
import { test } from 'node:test';

import { context, textEvent, withHttp } from '../../../plugin-sdk/javascript/testing.js';
import { handler, orderNumber } from '../src/index.js';

const settings = { shop: 'https://shop.example.com' };
const url = 'https://shop.example.com/api/orders/SO-1042';
const ask = (text, script) => withHttp(script, () => handler.handle(settings, textEvent(text), context()));

test('numbers are found as customers write them', () => {
  for (const [text, number] of [
    ['Where is so-1042?', 'SO-1042'],
    ['ISO-9001', undefined],
    ['SO-1', undefined],
    [undefined, undefined],
  ]) {
    assert.equal(orderNumber(text, 'SO-'), number);
  }
});

test('an order is answered with what the shop says', async () => {
  const { actions, flow } = await ask('SO-1042', [
    ['GET', url, 200, { state: 'delivered', at: '2026-11-23T10:00:00Z' }],
  ]);
  assert.equal(actions.at(-1).val.content.val, 'Your order SO-1042 was delivered on 23 November.');
  assert.equal(flow, 'stop');
});

test('a shop that is down is asked again', async () => {
  await assert.rejects(ask('SO-1042', [['GET', url, 503, {}]]), (failure) => failure.payload.tag === 'retry');
});
