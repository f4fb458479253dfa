import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as laurel from 'laurel-score-client';
import type { Entry, Standing, WatchEvent } from 'laurel-score-client';

import { ask, open, someAward, take } from '../support.ts';

test('a watch tells the top, and then every change, also across broken connections', async () => {
  await using client = await open();
  await client.award(someAward({ boardId: 'season-watch', userId: 'w', points: 1 }));
  const totals: bigint[] = [];
  const awards = (async () => {
    for (let count = 2; count <= 60; count += 1) {
      await client.award(someAward({ boardId: 'season-watch', userId: 'w', points: 1 }));
      if (count % 15 === 0) await ask('proxy', { name: 'reset' });
    }
  })();
  let snapshots = 0;
  for await (const event of client.watch({ boardId: 'season-watch', allScores: true })) {
    if (event.kind === 'snapshot') snapshots += 1;
    totals.push(...scoresOf(event).map(({ total }) => total));
    if (totals.at(-1) === 60n) break;
  }
  await awards;
  assert.ok(snapshots >= 2, `${snapshots} snapshots`);
  assert.deepEqual(totals, [...totals].sort((one, other) => Number(one - other)));
});

test('a watch goes on after the position of an earlier one', async () => {
  await using client = await open();
  const { position } = await client.award(someAward({ boardId: 'season-later', userId: 'x' }));
  await client.award(someAward({ boardId: 'season-later', userId: 'y' }));
  const watch = { boardId: 'season-later', allScores: true, afterPosition: position };
  for await (const event of client.watch(watch)) {
    if (event.kind === 'snapshot') assert.equal(event.reset, false);
    const [change] = scoresOf(event).filter(({ userId }) => userId === 'y');
    if (event.kind === 'update' && change) break;
  }
});

test('a watch of a board that does not exist is BoardNotFoundError', async () => {
  await using client = await open();
  await assert.rejects(take(1, client.watch({ boardId: 'season-none' })), laurel.BoardNotFoundError);
});

test('entries come once each and in order, also across broken connections and cut replies', async () => {
  await using client = await open();
  const made = 900;
  await Promise.all(
    Array.from({ length: made }, async (_, index) => {
      await client.award(someAward({ boardId: 'season-entries', userId: `e${index % 7}`, points: 1 }));
    }),
  );
  const entries: Entry[] = [];
  for await (const entry of client.entries({ boardId: 'season-entries' })) {
    entries.push(entry);
    if (entries.length === 100) await ask('proxy', { name: 'cut_replies', after: 30_000 });
    if (entries.length === 400) await ask('proxy', { name: 'reset' });
    if (entries.length === made) break;
  }
  assert.deepEqual(entries.map(({ revision }) => revision), Array.from({ length: made }, (_, index) => BigInt(index + 1)));
  const [first] = entries;
  assert.ok(first?.kind === 'award' && first.content.points === 1n);
});

test('entries go on after a position, and of the kinds asked for alone', async () => {
  await using client = await open();
  const board = { boardId: 'season-kinds' };
  const { awardId } = await client.award(someAward({ ...board, userId: 'k' }));
  await client.reverseAward({ ...board, awardId, reason: 'a mistake' });
  await client.setUserVisibility({ ...board, userId: 'k', visibility: 'hidden', reason: 'a cheat' }).catch((error) => {
    assert.ok(error instanceof laurel.StandingNotFoundError);
  });
  const [award] = await take(1, client.entries(board));
  assert.equal(award?.kind, 'award');
  const [next] = await take(1, client.entries({ ...board, afterPosition: award?.position ?? '' }));
  assert.equal(next?.kind, 'reversal');
  const [reversal] = await take(1, client.entries({ ...board, kinds: ['reversal'] }));
  assert.ok(reversal?.kind === 'reversal' && reversal.content.awardId === awardId);
  assert.equal(reversal.revision, 2n);
});

test('a position of another history is PositionUnknownError or InvalidRequestError', async () => {
  await using client = await open();
  await client.award(someAward({ boardId: 'season-pos' }));
  await assert.rejects(
    take(1, client.entries({ boardId: 'season-pos', afterPosition: '1-00000000000000000000000000000000' })),
    (error) => error instanceof laurel.PositionUnknownError || error instanceof laurel.InvalidRequestError,
  );
});

test('streams end with the reason of a signal, and with ClientClosedError when the client closes', async () => {
  const client = await open();
  await client.award(someAward({ boardId: 'season-end' }));
  const stop = new AbortController();
  const watch = client.watch({ boardId: 'season-end' }, { signal: stop.signal });
  await watch.next();
  const read = watch.next();
  stop.abort(new Error('enough'));
  await assert.rejects(drain(read, watch), /enough/);
  const entries = client.entries({ boardId: 'season-end' });
  await entries.next();
  const pending = entries.next();
  await client.close();
  await assert.rejects(pending, laurel.ClientClosedError);
  await assert.rejects(take(1, client.watch({ boardId: 'season-end' })), laurel.ClientClosedError);
});

function scoresOf(event: WatchEvent): readonly Standing[] {
  return event.kind === 'update' ? event.scores : [];
}

/** Await what was asked for, and whatever may follow before the end. */
async function drain(read: Promise<unknown>, watch: AsyncIterable<unknown>): Promise<void> {
  await read;
  for await (const _ of watch);
}
