import assert from 'node:assert/strict';
import { test } from 'node:test';

import { context, withHttp } from '../sdk/testing.js';
import { desk } from '../src/index.js';

const settings = { base_url: 'https://desk.example.com/api' };

test('a ticket is found by its key', async () => {
  const tickets = [{ id: '7', url: null, status: 'new' }];
  const script = [['GET', 'https://desk.example.com/api/tickets?external_id=ta_1', 200, { tickets }]];
  const found = await withHttp(script, () => desk.findTicket(settings, 'ta_1', context()));
  assert.equal(found.ticket.id, '7');
});

test('a file goes along with its entry', async () => {
  const media = [{ id: 'm_1', kind: 'image', mime: 'image/png' }];
  const cx = context({ uploads: [['POST', 'https://desk.example.com/api/files?name=image.png', 201, { id: 'f1' }]] });
  const script = [['POST', 'https://desk.example.com/api/tickets/7/comments', 201, { id: 'c1' }]];
  const added = await withHttp(script, () =>
    desk.addEntry(settings, 'ta_2', { id: '7' }, { text: '', media, public: true }, cx),
  );
  assert.equal(added.entry, 'c1');
});

test('a server that is down is asked again', async () => {
  const script = [['GET', 'https://desk.example.com/api/tickets/7', 503, {}]];
  await assert.rejects(
    withHttp(script, () => desk.readTicket(settings, '7', context())),
    (error) => error.payload.tag === 'retry',
  );
});
