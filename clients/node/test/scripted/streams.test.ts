import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { beforeEach, test } from 'node:test';

import * as laurel from 'laurel-score-client';
import type { WatchEvent } from 'laurel-score-client';

import { ask, calls, open, script, take } from '../support.ts';

const WATCH = { boardId: 'main' };

beforeEach(async () => await ask('forget'));

function snapshot(position: string, reset = false): object {
  return { snapshot: { top: [{ userId: 'ada', total: '1' }], reset }, revision: '1', position };
}

function update(position: string, filler = ''): object {
  return { update: { scores: [{ userId: `ada${filler}`, total: '1' }] }, revision: '1', position };
}

function entry(revision: number, following: object[] = [], filler = ''): object {
  const award = { awardId: randomUUID(), points: '1', userId: `u${filler}`, recordedAt: '2026-11-30T12:00:00.5Z' };
  return { award, revision: String(revision), position: `p${revision}`, following };
}

async function positions(method: string): Promise<unknown[]> {
  return (await calls(method)).map(({ request }) => request.afterPosition);
}

test('a watch reads what came before the stream ended with an error, and goes on after it', async () => {
  await using client = await open();
  const first = { play: [snapshot('a'), update('b'), update('c')], then: { reject: 'UNAVAILABLE' } };
  await script('WatchLeaderboard', first, { play: [snapshot('d'), update('e')], then: { hang: true } });
  const events: WatchEvent[] = [];
  for await (const event of client.watch(WATCH)) {
    events.push(event);
    // A reader that is slower than the stream.
    await new Promise((resolve) => setTimeout(resolve, 100));
    if (events.length === 5) break;
  }
  assert.deepEqual(events.map(({ position }) => position), ['a', 'b', 'c', 'd', 'e']);
  assert.deepEqual(await positions('WatchLeaderboard'), [undefined, 'c']);
});

test('a watch that resumed goes on from the old position until the score changes have come', async () => {
  await using client = await open();
  const cut = { reject: 'UNAVAILABLE' };
  await script(
    'WatchLeaderboard',
    { play: [snapshot('a'), update('b')], then: cut },
    { play: [snapshot('z')], then: cut },
    { play: [snapshot('y'), update('c')], then: cut },
    { play: [snapshot('x', true)], then: cut },
    { play: [snapshot('w')], then: { hang: true } },
  );
  await take(7, client.watch(WATCH));
  assert.deepEqual(await positions('WatchLeaderboard'), [undefined, 'b', 'b', 'c', 'x']);
});

test('a stream that brings nothing is opened again', async () => {
  await using client = await open({ stallTimeoutMs: 100 });
  await script(
    'WatchLeaderboard',
    { play: [snapshot('a')], then: { hang: true } },
    { play: [snapshot('b'), update('c')], then: { hang: true } },
  );
  await take(3, client.watch(WATCH));
  assert.deepEqual(await positions('WatchLeaderboard'), [undefined, 'a']);
});

for (const [code, reason] of [
  ['RESOURCE_EXHAUSTED', 'WATCHER_EVICTED'],
  ['RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED'],
  ['UNAVAILABLE', 'CONNECTION_AGED'],
  ['INTERNAL', 'INTERNAL'],
]) {
  test(`a watch goes on after ${reason}`, async () => {
    await using client = await open();
    await script(
      'WatchLeaderboard',
      { play: [snapshot('a')], then: { reject: code, reason } },
      { play: [snapshot('b')], then: { hang: true } },
    );
    await take(2, client.watch(WATCH));
  });
}

test('a watch ends with an error that lasts', async () => {
  await using client = await open();
  await script('WatchLeaderboard', { play: [snapshot('a')], then: { reject: 'PERMISSION_DENIED' } });
  const watch = client.watch(WATCH);
  await watch.next();
  await assert.rejects(watch.next(), laurel.NotAllowedError);
  assert.deepEqual(await watch.next(), { done: true, value: undefined });
});

test('a message of a kind that is not known yet moves a watch on', async () => {
  await using client = await open();
  await script('WatchLeaderboard', { play: [{ position: 'a' }], then: { hang: true } });
  const [event] = await take(1, client.watch(WATCH));
  assert.deepEqual(event, { kind: 'checkpoint', revision: 0n, position: 'a', source: 'cache' });
});

test('entries go on after the last one that was handled', async () => {
  await using client = await open();
  await script(
    'StreamEntries',
    { play: [entry(1, [entry(2), entry(3)]), entry(4)], then: { reject: 'UNAVAILABLE' } },
    { play: [entry(5)], then: { hang: true } },
  );
  const entries = await take(5, client.entries({ boardId: 'main' }));
  assert.deepEqual(entries.map(({ revision }) => revision), [1n, 2n, 3n, 4n, 5n]);
  assert.deepEqual(await positions('StreamEntries'), [undefined, 'p4']);
  assert.equal((await calls('StreamEntries'))[0]?.request.entriesPerMessage, 250);
  const [first] = entries;
  assert.ok(first?.kind === 'award' && first.content.recordedAt.getTime() === Date.UTC(2026, 10, 30, 12, 0, 0, 500));
});

test('an entry says from where on the ledger can be read after awards were archived', async () => {
  await using client = await open();
  const archived = { archivedRevision: '9007199254740993', archivedPosition: '9-00', awards: '7', actor: 'operator' };
  const message = { archived: { ...archived, recordedAt: '2026-11-30T12:00:00.5Z' }, revision: '12', position: 'p12' };
  await script('StreamEntries', { play: [message], then: { hang: true } });
  const [found] = await take(1, client.entries({ boardId: 'main', kinds: ['archived'] }));
  assert.deepEqual(found, {
    kind: 'archived',
    revision: 12n,
    position: 'p12',
    content: {
      archivedRevision: 9_007_199_254_740_993n,
      archivedPosition: '9-00',
      awards: 7n,
      actor: 'operator',
      recordedAt: new Date(Date.UTC(2026, 10, 30, 12, 0, 0, 500)),
    },
  });
  assert.deepEqual((await calls('StreamEntries'))[0]?.request.kinds, ['ENTRY_KIND_ARCHIVED']);
});

test('a checkpoint moves entries on, and hands nothing over', async () => {
  await using client = await open();
  const checkpoint = { checkpoint: {}, revision: '9', position: 'p9' };
  await script(
    'StreamEntries',
    { play: [checkpoint], then: { reject: 'UNAVAILABLE' } },
    { play: [entry(10)], then: { hang: true } },
  );
  await take(1, client.entries({ boardId: 'main' }));
  assert.deepEqual(await positions('StreamEntries'), [undefined, 'p9']);
});

test('a checkpoint is told once what was before it is handled', async () => {
  await using client = await open();
  const checkpoint = { checkpoint: {}, revision: '9', position: 'p9' };
  await script('StreamEntries', { play: [entry(1, [entry(2)]), checkpoint, entry(10)], then: { hang: true } });
  const told: string[] = [];
  const entries = client.entries({ boardId: 'main' }, { onCheckpoint: (position) => told.push(position) });
  for await (const { position } of entries) {
    told.push(position);
    if (position === 'p10') break;
  }
  assert.deepEqual(told, ['p1', 'p2', 'p9', 'p10']);
});

test('entries that come again are not handed over twice', async () => {
  await using client = await open();
  await script(
    'StreamEntries',
    { play: [entry(1), entry(2), entry(2)], then: { hang: true } },
    { play: [entry(3)], then: { hang: true } },
  );
  const entries = await take(3, client.entries({ boardId: 'main' }));
  assert.deepEqual(entries.map(({ revision }) => revision), [1n, 2n, 3n]);
});

test('a reader that is slow is sent what it missed on another stream, and holds no more than a buffer', async () => {
  await using client = await open();
  const filler = 'x'.repeat(100_000);
  const all = Array.from({ length: 100 }, (_, index) => entry(index + 1, [], filler));
  await script(
    'StreamEntries',
    { play: all, then: { hang: true } },
    ...Array.from({ length: 100 }, () => ({ play: [entry(1_000)], then: { hang: true } })),
  );
  const reader = client.entries({ boardId: 'main' });
  const revisions = [(await reader.next()).value?.revision];
  // As long as a stream that is read takes: a call beside it is answered.
  for (let count = 0; count < 20; count += 1) await client.ping();
  while (revisions.at(-1) !== 1_000n) revisions.push((await reader.next()).value?.revision);
  await reader.return();
  // 10 MB were ready to be sent, and 1 MiB was taken.
  assert.ok(revisions.length < 30, `${revisions.length} entries`);
  const [, second] = await positions('StreamEntries');
  assert.equal(second, `p${revisions.length - 1}`);
});
