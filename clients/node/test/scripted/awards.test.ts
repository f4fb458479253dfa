import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { beforeEach, test } from 'node:test';

import * as laurel from 'laurel-score-client';

import { ask, calls, open, script, someAward } from '../support.ts';
import type { Received } from '../support.ts';

const RESULT = { awardId: '11111111-2222-4333-8444-555555555555', points: '10', total: '10', revision: '1' };
const ANSWER = { answer: { result: RESULT } };

beforeEach(async () => await ask('forget'));

test('every try of an award carries the same two ids', async () => {
  await using client = await open();
  const lost = { reject: 'UNAVAILABLE' };
  await script('AwardPoints', lost, { reject: 'DEADLINE_EXCEEDED' }, lost, ANSWER);
  await client.award(someAward());
  const tries = await calls('AwardPoints', 4);
  assert.equal(new Set(tries.map(idsOf)).size, 1);
  assert.equal(new Set(tries.map(({ metadata }) => metadata['x-request-id'])).size, 1);
  assert.equal(tries[0]?.metadata['x-request-id'], tries[0]?.request.requestId);
});

test('the ids and the trace that are given are those that are sent', async () => {
  await using client = await open();
  await script('AwardPoints', ANSWER);
  const ids = { awardId: randomUUID(), requestId: randomUUID(), traceId: 'a'.repeat(32) };
  await client.award({ ...someAward(), ...ids, occurredAt: new Date('2026-11-30T12:00:00.123Z') });
  const [{ request, metadata }] = (await calls('AwardPoints', 1)) as [Received];
  assert.equal(request.award.awardId, ids.awardId);
  assert.equal(request.requestId, ids.requestId);
  assert.equal(request.traceId, ids.traceId);
  assert.equal(request.award.occurredAt, '2026-11-30T12:00:00.123Z');
  assert.match(metadata['traceparent'] ?? '', new RegExp(`^00-${ids.traceId}-[0-9a-f]{16}-01$`));
});

test('new ids of awards are UUIDs of version 7 in the order in which they were asked for', async () => {
  await using client = await open();
  await script('BatchAwardPoints', { answer: { items: Array.from({ length: 500 }, () => ({ result: RESULT })) } });
  const began = Date.now();
  await Promise.all(Array.from({ length: 1_000 }, async () => await client.award(someAward())));
  const ended = Date.now();
  const received = (await calls('BatchAwardPoints', 2)).flatMap(({ request }) => request.requests);
  const ids: string[] = received.map(({ award }: Received['request']) => award.awardId);
  assert.equal(new Set(ids).size, 1_000);
  assert.deepEqual(ids, [...ids].sort());
  for (const id of ids) {
    // The shape of section 5.7 of RFC 9562: 48 bits of milliseconds, the version, and the variant.
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const madeAt = Number.parseInt(id.replace('-', '').slice(0, 12), 16);
    assert.ok(began <= madeAt && madeAt <= ended);
  }
});

test('awards at the same time share calls of at most 500', async () => {
  await using client = await open();
  await script('BatchAwardPoints', { answer: { items: Array.from({ length: 500 }, () => ({ result: RESULT })) } });
  await Promise.all(Array.from({ length: 1_000 }, async () => await client.award(someAward())));
  const sizes = (await calls('BatchAwardPoints', 2)).map(({ request }) => request.requests.length);
  assert.deepEqual(sizes, [500, 500]);
  assert.deepEqual(await calls('AwardPoints'), []);
});

test('a call takes awards of at most 16 boards', async () => {
  await using client = await open();
  await script('BatchAwardPoints', { answer: { items: Array.from({ length: 20 }, () => ({ result: RESULT })) } });
  await Promise.all(Array.from({ length: 40 }, async (_, index) => await client.award(someAward({ boardId: `b${index % 20}` }))));
  for (const { request } of await calls('BatchAwardPoints')) {
    const boards = request.requests.map((one: Received['request']) => one.award.boardId);
    assert.ok(new Set(boards).size <= 16);
  }
});

test('each award of a call gets its own outcome, and one that is left out a fault', async () => {
  await using client = await open();
  const errors = [
    { result: RESULT },
    { error: { code: 6, reason: 'AWARD_CONFLICT', message: 'Used.' } },
    { error: { code: 8, reason: 'QUOTA_EXCEEDED', message: 'Later.', retryAfterSeconds: 1.5 } },
    { error: { code: 3, reason: 'INVALID_FIELD', message: 'Odd.', fields: { 'award.points': 'is odd' } } },
    {},
  ];
  await script('BatchAwardPoints', { answer: { items: errors } });
  const outcomes = await Promise.allSettled(Array.from({ length: 6 }, async () => await client.award(someAward())));
  const reasons = outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason : undefined));
  assert.equal(reasons[0], undefined);
  assert.ok(reasons[1] instanceof laurel.AwardConflictError);
  assert.ok(reasons[2] instanceof laurel.QuotaExceededError && reasons[2].retryAfterMs === 1_500);
  assert.ok(reasons[3] instanceof laurel.InvalidRequestError && reasons[3].fields['award.points'] === 'is odd');
  assert.equal(reasons[4].reason, 'MALFORMED_ANSWER');
  assert.equal(reasons[5].reason, 'MALFORMED_ANSWER');
});

test('only the awards of a batch that are unavailable are sent again, with their ids', async () => {
  await using client = await open();
  const unavailable = { error: { code: 14, reason: 'RECORD_UNAVAILABLE', message: 'Later.' } };
  await script('BatchAwardPoints', { answer: { items: [{ result: RESULT }, unavailable, { result: RESULT }] } });
  await script('AwardPoints', ANSWER);
  await Promise.all(Array.from({ length: 3 }, async () => await client.award(someAward())));
  const [batch] = (await calls('BatchAwardPoints')) as [Received];
  const [again] = (await calls('AwardPoints', 1)) as [Received];
  assert.equal(idsOf(again), JSON.stringify([batch.request.requests[1].award.awardId, batch.request.requests[1].requestId]));
});

for (const rejection of ['PERMISSION_DENIED', 'UNIMPLEMENTED']) {
  test(`awards go each on its own where batches are ${rejection}`, async () => {
    await using client = await open();
    await script('BatchAwardPoints', { reject: rejection });
    await script('AwardPoints', ANSWER);
    await Promise.all(Array.from({ length: 120 }, async () => await client.award(someAward())));
    assert.equal((await calls('BatchAwardPoints')).length, 1);
    assert.equal((await calls('AwardPoints')).length, 120);
  });
}

test('a quota that is used up after a try without an outcome leaves the outcome unknown', async () => {
  await using client = await open();
  await script('AwardPoints', { reject: 'UNAVAILABLE' }, { reject: 'RESOURCE_EXHAUSTED', reason: 'QUOTA_EXCEEDED' });
  await assert.rejects(client.award(someAward(), { timeoutMs: 800 }), {
    name: 'UnavailableError',
    reason: 'QUOTA_EXCEEDED',
  });
});

test('a quota that is used up after a server had no room is what it says', async () => {
  await using client = await open();
  const full = { reject: 'RESOURCE_EXHAUSTED', reason: 'OVERLOADED', retry_after: 0.01 };
  await script('AwardPoints', full, { reject: 'RESOURCE_EXHAUSTED', reason: 'QUOTA_EXCEEDED' });
  await assert.rejects(client.award(someAward()), laurel.QuotaExceededError);
});

test('a caller that gives up only stops waiting, and takes no one along', async () => {
  await using client = await open({ attemptTimeoutMs: 20_000 });
  await script('AwardPoints', { hang: true });
  await script('BatchAwardPoints', { answer: { items: [{ result: RESULT }, { result: RESULT }] } });
  const first = client.award(someAward());
  first.catch(() => undefined);
  await calls('AwardPoints', 1);
  const stop = new AbortController();
  const gone = client.award(someAward(), { signal: stop.signal });
  const stays = [client.award(someAward()), client.award(someAward())];
  stop.abort(new Error('enough'));
  await assert.rejects(gone, /enough/);
  await Promise.all(stays);
  const [batch] = (await calls('BatchAwardPoints', 1)) as [Received];
  assert.equal(batch.request.requests.length, 2);
});

test('a server that has no room is left alone for a while by all awards', async () => {
  await using client = await open();
  await script('AwardPoints', { reject: 'RESOURCE_EXHAUSTED', reason: 'OVERLOADED', retry_after: 5 });
  await script('BatchAwardPoints', { reject: 'RESOURCE_EXHAUSTED', reason: 'OVERLOADED', retry_after: 5 });
  const awards = Array.from({ length: 200 }, async () => {
    await assert.rejects(client.award(someAward(), { timeoutMs: 1_500 }), laurel.UnavailableError);
  });
  await Promise.all(awards);
  const made = [...(await calls('AwardPoints')), ...(await calls('BatchAwardPoints'))].length;
  assert.ok(made <= 6, `${made} calls`);
});

test('an award that is asked for while a call takes long goes beside it, whenever that was', async () => {
  await using client = await open({ attemptTimeoutMs: 20_000 });
  await script('AwardPoints', { hang: true }, ANSWER);
  client.award(someAward()).catch(() => undefined);
  await calls('AwardPoints', 1);
  for (let ms = 0; ms < 60; ms += 4) {
    const started = performance.now();
    await client.award(someAward());
    assert.ok(performance.now() - started < 10_000);
    await new Promise((resolve) => setTimeout(resolve, ms));
  }
});

test('awards under way when the client closes end with ClientClosedError', async () => {
  const client = await open();
  await script('AwardPoints', { hang: true });
  const award = client.award(someAward());
  await calls('AwardPoints', 1);
  const waits = client.award(someAward());
  await Promise.all([
    client.close(),
    assert.rejects(award, laurel.ClientClosedError),
    assert.rejects(waits, laurel.ClientClosedError),
  ]);
});

function idsOf({ request }: Received): string {
  return JSON.stringify([request.award.awardId, request.requestId]);
}
