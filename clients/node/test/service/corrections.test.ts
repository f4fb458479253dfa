import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import * as laurel from 'laurel-score-client';

import { ask, open, someAward } from '../support.ts';

test('an award is taken back once, also when the reply is cut off, and its history says by whom', async () => {
  await using client = await open();
  const { awardId } = await client.award(someAward({ userId: 'rev' }));
  await client.award(someAward({ userId: 'rev', points: 5 }));
  const reversal = { boardId: 'main', awardId, reversalId: randomUUID(), reason: 'a mistake', onBehalfOf: 'mod' };
  await ask('proxy', { name: 'cut_replies', after: 20 });
  const result = await client.reverseAward(reversal);
  assert.equal(result.reversal.total, 5n);
  assert.equal(result.reversal.reversalId, reversal.reversalId);
  assert.ok(result.reversal.recordedAt instanceof Date);
  assert.equal((await client.getStanding({ boardId: 'main', userId: 'rev' })).standing.total, 5n);
  const { awards } = await client.listAwards({ boardId: 'main', userId: 'rev' });
  assert.equal(awards.find((award) => award.awardId === awardId)?.reversal?.onBehalfOf, 'mod');
});

test('a second reversal of an award is AwardReversedError with the one that stands', async () => {
  await using client = await open();
  const { awardId } = await client.award(someAward({ userId: 'twice' }));
  const { reversal } = await client.reverseAward({ boardId: 'main', awardId, reason: 'once' });
  await assert.rejects(client.reverseAward({ boardId: 'main', awardId, reason: 'twice' }), (error) => {
    assert.ok(error instanceof laurel.AwardReversedError);
    assert.equal(error.reversal?.reversalId, reversal.reversalId);
    return true;
  });
  await assert.rejects(
    client.reverseAward({ boardId: 'main', awardId: randomUUID(), reason: 'none' }),
    laurel.AwardNotFoundError,
  );
});

test('a plan says what it would change, and an apply takes all of it back', async () => {
  await using client = await open();
  for (let count = 0; count < 3; count += 1) await client.award(someAward({ userId: 'planned' }));
  const plan = await client.planReversals({ boardId: 'main', awardFilter: { userId: 'planned' } });
  assert.equal(plan.awards, 3n);
  assert.equal(plan.points, 30n);
  const seen: bigint[] = [];
  const applied = await client.applyReversals(plan, { reason: 'cheat', onProgress: (reversed) => seen.push(reversed) });
  assert.equal(applied, 3n);
  assert.equal(seen.at(-1), 3n);
  await assert.rejects(
    client.applyReversals({ ...plan, awardFilter: { userId: 'another' } }, { reason: 'cheat' }),
    laurel.PlanStaleError,
  );
});

test('a hidden user is in no list', async () => {
  await using client = await open();
  await client.award(someAward({ boardId: 'season-hide', userId: 'seen' }));
  await client.award(someAward({ boardId: 'season-hide', userId: 'hidden' }));
  const change = { boardId: 'season-hide', userId: 'hidden', visibility: 'hidden', reason: 'cheat' } as const;
  const result = await client.setUserVisibility(change);
  assert.deepEqual([result.before, result.visibility], ['visible', 'hidden']);
  const list = await client.listStandings({ boardId: 'season-hide', minRevision: result.revision });
  assert.deepEqual(list.standings.map(({ userId }) => userId), ['seen']);
});
