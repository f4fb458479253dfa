import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import * as laurel from 'laurel-score-client';

import { ask, credentialsOf, eventually, open, someAward } from '../support.ts';

test('an award gives points, and says total, rank and revision as bigint', async () => {
  await using client = await open();
  const awardId = randomUUID();
  const result = await client.award({ ...someAward({ userId: 'first' }), awardId: awardId.toUpperCase() });
  assert.equal(result.awardId, awardId);
  assert.equal(result.points, 10n);
  assert.equal(result.total, 10n);
  assert.equal(typeof result.revision, 'bigint');
  assert.equal(result.replayed, false);
  assert.deepEqual(await client.getAward({ boardId: 'main', awardId }), { ...result, rank: result.rank, replayed: true });
});

test('awards at the same time each get their own outcome', async () => {
  await using client = await open();
  const points = Array.from({ length: 300 }, (_, index) => (index % 100 === 7 ? 2_000 : 1 + index));
  const results = await Promise.allSettled(
    points.map(async (value, index) => await client.award(someAward({ userId: `many_${index}`, points: value }))),
  );
  results.forEach((result, index) => {
    if (points[index] === 2_000) {
      assert.ok(result.status === 'rejected' && result.reason instanceof laurel.NotAllowedError, `award ${index}`);
    } else {
      assert.ok(result.status === 'fulfilled', `award ${index}`);
      assert.equal(result.value.total, BigInt(points[index] as number));
    }
  });
});

test('an award whose reply is cut off is made once, and its caller told', async () => {
  await using client = await open();
  const { total } = await client.award(someAward({ userId: 'cut' }));
  const before = await ask<number>('connections');
  await ask('proxy', { name: 'cut_replies', after: 20 });
  const result = await client.award(someAward({ userId: 'cut' }));
  assert.equal(result.total, total + 10n);
  assert.equal(result.replayed, false);
  assert.ok((await ask<number>('connections')) > before);
});

test('awards under way while every connection is reset are each made once', async () => {
  await using client = await open();
  await client.ping();
  let done = 0;
  const awards = Promise.all(
    Array.from({ length: 400 }, async (_, index) => {
      await new Promise((resolve) => setTimeout(resolve, index * 2));
      await client.award(someAward({ userId: 'reset', points: 1 }));
      done += 1;
    }),
  );
  for (const share of [50, 150, 250]) {
    await eventually(() => done >= share);
    await ask('proxy', { name: 'reset' });
  }
  await awards;
  const { standing } = await client.getStanding({ boardId: 'main', userId: 'reset' });
  assert.equal(standing.total, 400n);
});

test('a black hole ends with UnavailableError in time, and the same ids get the outcome afterwards', async () => {
  await using client = await open({ attemptTimeoutMs: 300 });
  await client.ping();
  const award = { ...someAward({ userId: 'hole' }), awardId: randomUUID(), requestId: randomUUID() };
  await ask('proxy', { name: 'hold_replies' });
  const started = performance.now();
  await assert.rejects(client.award(award, { timeoutMs: 1_000 }), laurel.UnavailableError);
  assert.ok(performance.now() - started < 10_000);
  await ask('proxy', { name: 'reset' });
  await ask('proxy', { name: 'release' });
  const result = await client.award(award);
  assert.equal(result.total, 10n);
  assert.equal(result.replayed, false);
});

test('an award id that was used for something else is AwardConflictError', async () => {
  await using client = await open();
  const award = { ...someAward({ userId: 'conflict' }), awardId: randomUUID() };
  await client.award(award);
  await assert.rejects(client.award({ ...award, points: 11 }), (error) => {
    assert.ok(error instanceof laurel.AwardConflictError);
    assert.ok(error instanceof laurel.ScoreClientError);
    assert.equal(error.reason, 'AWARD_CONFLICT');
    assert.equal(error.name, 'AwardConflictError');
    return true;
  });
});

test('a second use of an award id is told as replayed', async () => {
  await using client = await open();
  const award = { ...someAward({ userId: 'second' }), awardId: randomUUID() };
  const first = await client.award(award);
  const second = await client.award(award);
  assert.equal(second.replayed, true);
  assert.equal(second.revision, first.revision);
});

test('what is wrong with an award is told by field', async () => {
  await using client = await open();
  await assert.rejects(client.award(someAward({ userId: 'not allowed here!' })), (error) => {
    assert.ok(error instanceof laurel.InvalidRequestError);
    assert.deepEqual(Object.keys(error.fields), ['award.user_id']);
    return true;
  });
  await assert.rejects(
    client.award({ ...someAward(), occurredAt: new Date(Date.now() + 3_600_000) }),
    laurel.OccurredAtOutOfRangeError,
  );
  await client.award({ ...someAward(), occurredAt: new Date(Date.now() - 3_600_000) });
});

test('a quota that is used up is QuotaExceededError, and says when to come again', async () => {
  await using client = await open({ credentials: credentialsOf('metered') });
  await client.award(someAward({ userId: 'metered', points: 100 }));
  await client.award(someAward({ userId: 'metered', points: 100 }));
  await assert.rejects(client.award(someAward({ userId: 'metered', points: 100 })), (error) => {
    assert.ok(error instanceof laurel.QuotaExceededError);
    assert.ok((error.retryAfterMs ?? 0) > 0);
    return true;
  });
});

test('a caller that the policy does not name is NotAllowedError, also of a ping', async () => {
  await using client = await open({ credentials: credentialsOf('stranger') });
  await assert.rejects(client.award(someAward()), laurel.NotAllowedError);
  await assert.rejects(client.ping(), laurel.NotAllowedError);
});

test('a certificate of an authority that is not trusted is UnavailableError', async () => {
  await using client = await open({ credentials: credentialsOf('foreign') });
  await assert.rejects(client.ping({ timeoutMs: 500 }), laurel.UnavailableError);
});

test('a service whose certificate has another name is not talked to', async () => {
  await using client = await open({ serverName: 'elsewhere' });
  await assert.rejects(client.ping({ timeoutMs: 500 }), laurel.UnavailableError);
});
