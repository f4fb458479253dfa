import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import * as laurel from 'laurel-score-client';

import { calls, open, script } from '../support.ts';

const READ = { boardId: 'main', userId: 'ada' };

const TABLE: [string, string, keyof typeof laurel][] = [
  ['INVALID_ARGUMENT', 'INVALID_FIELD', 'InvalidRequestError'],
  ['INVALID_ARGUMENT', 'OCCURRED_AT_OUT_OF_RANGE', 'OccurredAtOutOfRangeError'],
  ['INVALID_ARGUMENT', 'SOMETHING_NEW', 'InvalidRequestError'],
  ['UNAUTHENTICATED', 'IDENTITY_MISSING', 'NotAuthenticatedError'],
  ['PERMISSION_DENIED', 'NOT_ALLOWED', 'NotAllowedError'],
  ['NOT_FOUND', 'BOARD_NOT_FOUND', 'BoardNotFoundError'],
  ['NOT_FOUND', 'AWARD_NOT_FOUND', 'AwardNotFoundError'],
  ['NOT_FOUND', 'STANDING_NOT_FOUND', 'StandingNotFoundError'],
  ['NOT_FOUND', 'PERIOD_UNKNOWN', 'PeriodUnknownError'],
  ['NOT_FOUND', '', 'NotFoundError'],
  ['FAILED_PRECONDITION', 'PERIOD_CLOSED', 'PeriodClosedError'],
  ['FAILED_PRECONDITION', 'PERIOD_OPEN', 'PeriodOpenError'],
  ['FAILED_PRECONDITION', 'PLAN_STALE', 'PlanStaleError'],
  ['FAILED_PRECONDITION', 'POSITION_UNKNOWN', 'PositionUnknownError'],
  ['FAILED_PRECONDITION', 'SOMETHING_NEW', 'ServiceFaultError'],
  ['ALREADY_EXISTS', 'AWARD_CONFLICT', 'AwardConflictError'],
  ['ALREADY_EXISTS', 'AWARD_ARCHIVED', 'AwardArchivedError'],
  ['ALREADY_EXISTS', 'AWARD_REVERSED', 'AwardReversedError'],
  ['OUT_OF_RANGE', 'HISTORY_ARCHIVED', 'HistoryArchivedError'],
  ['OUT_OF_RANGE', 'TOTAL_OUT_OF_RANGE', 'TotalOutOfRangeError'],
  ['RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED', 'QuotaExceededError'],
  ['INTERNAL', 'INTERNAL', 'ServiceFaultError'],
  ['DATA_LOSS', '', 'ServiceFaultError'],
];

for (const [code, reason, name] of TABLE) {
  test(`${code} ${reason || 'without a reason'} is ${name}, and is not tried again`, async () => {
    await using client = await open();
    await script('GetStanding', { reject: code, reason });
    const before = (await calls('GetStanding')).length;
    await assert.rejects(client.getStanding(READ), (error) => {
      assert.ok(error instanceof laurel.ScoreClientError);
      assert.equal(error.constructor, laurel[name]);
      assert.equal(error.name, name);
      assert.equal(error.reason, reason || code);
      assert.equal(error.message, 'As scripted.');
      return true;
    });
    assert.equal((await calls('GetStanding')).length, before + 1);
  });
}

for (const [code, reason] of [
  ['UNAVAILABLE', 'SHUTTING_DOWN'],
  ['UNAVAILABLE', ''],
  ['DEADLINE_EXCEEDED', ''],
  ['CANCELLED', ''],
  ['RESOURCE_EXHAUSTED', 'OVERLOADED'],
  ['RESOURCE_EXHAUSTED', ''],
]) {
  test(`${code} ${reason || 'without a reason'} is tried again until there is an answer`, async () => {
    await using client = await open();
    const rejection = { reject: code, reason };
    await script('GetStanding', rejection, rejection, { answer: { standing: { userId: 'ada', total: '7' } } });
    assert.equal((await client.getStanding(READ)).standing.total, 7n);
  });
}

test('a failure that lasts is UnavailableError with its reason, within the time of the call', async () => {
  await using client = await open();
  await script('GetStanding', { reject: 'UNAVAILABLE', reason: 'RECORD_UNAVAILABLE', retry_after: 0.05 });
  const started = performance.now();
  await assert.rejects(client.getStanding(READ, { timeoutMs: 700 }), (error) => {
    assert.ok(error instanceof laurel.UnavailableError);
    assert.equal(error.reason, 'RECORD_UNAVAILABLE');
    assert.equal(error.retryAfterMs, 50);
    return true;
  });
  assert.ok(performance.now() - started < 5_000);
});

test('a try that is not answered is followed by another within the time of the call', async () => {
  await using client = await open({ attemptTimeoutMs: 200 });
  await script('GetStanding', { hang: true }, { answer: { standing: { userId: 'ada', total: '8' } } });
  assert.equal((await client.getStanding(READ)).standing.total, 8n);
});

test('the time that is left is told to the service', async () => {
  await using client = await open({ attemptTimeoutMs: 60_000 });
  await client.ping();
  await script('GetStanding', { answer: { standing: {} } });
  await client.getStanding(READ, { timeoutMs: 30_000 });
  const left = (await calls('GetStanding')).at(-1)?.secondsLeft ?? 0;
  assert.ok(left > 1 && left <= 30.1, `${left}`);
});

test('a detail of another domain is no reason, and details that contradict the status are none', async () => {
  await using client = await open();
  await script('GetStanding', { reject: 'NOT_FOUND', reason: 'BOARD_NOT_FOUND', domain: 'elsewhere' });
  await assert.rejects(client.getStanding(READ), (error) => {
    assert.ok(error instanceof laurel.NotFoundError && !(error instanceof laurel.BoardNotFoundError));
    assert.equal(error.reason, 'NOT_FOUND');
    return true;
  });
});

test('fields, times and reversals of a rejection are told', async () => {
  await using client = await open();
  await script('GetStanding', { reject: 'INVALID_ARGUMENT', reason: 'INVALID_FIELD', fields: { user_id: 'is odd' } });
  await assert.rejects(client.getStanding(READ), (error) => {
    assert.ok(error instanceof laurel.InvalidRequestError);
    assert.deepEqual(error.fields, { user_id: 'is odd' });
    return true;
  });
  const reversal = { reversalId: randomUUID(), awardId: randomUUID(), points: '9007199254740991', userId: 'ada' };
  await script('ReverseAward', { reject: 'ALREADY_EXISTS', reason: 'AWARD_REVERSED', reversal });
  const asked = { boardId: 'main', awardId: reversal.awardId, reason: 'x' };
  await assert.rejects(client.reverseAward(asked), (error) => {
    assert.ok(error instanceof laurel.AwardReversedError);
    assert.equal(error.reversal?.points, 9_007_199_254_740_991n);
    return true;
  });
});

test('what is archived is told with its revision, or with the position after it, where the answer has them', async () => {
  await using client = await open();
  const asked = { boardId: 'main', awardId: randomUUID() };
  for (const [metadata, revision, archivedPosition] of [
    [{ revision: '9007199254740993', archived_position: '9-00' }, 9_007_199_254_740_993n, '9-00'],
    [{}, null, ''],
    [{ revision: '-1' }, null, ''],
  ] as const) {
    const award = { code: 6, reason: 'AWARD_ARCHIVED', message: 'No.', metadata };
    await script('BatchAwardPoints', { answer: { items: [{ error: award }, { error: award }] } });
    await script('AwardPoints', { reject: 'ALREADY_EXISTS', reason: 'AWARD_ARCHIVED', metadata });
    const give = { boardId: 'main', userId: 'ada', points: 1, actionType: 'a', actionId: 'b' };
    const together = await Promise.allSettled([client.award(give), client.award(give)]);
    for (const told of [...together, ...(await Promise.allSettled([client.award(give)]))]) {
      assert.ok(told.status === 'rejected' && told.reason instanceof laurel.AwardArchivedError);
      assert.equal(told.reason.revision, revision);
    }
    await script('GetAward', { reject: 'OUT_OF_RANGE', reason: 'HISTORY_ARCHIVED', metadata });
    await assert.rejects(client.getAward(asked), (error) => {
      assert.ok(error instanceof laurel.HistoryArchivedError);
      assert.equal(error.archivedPosition, archivedPosition);
      return true;
    });
  }
});

test('answers that the contract does not allow are ServiceFaultError', async () => {
  await using client = await open();
  await script('GetStanding', { bytes: 'ffff' });
  await assert.rejects(client.getStanding(READ), { name: 'ServiceFaultError', reason: 'MALFORMED_ANSWER' });
  await script('GetAward', { answer: { result: { awardId: 'no-uuid' } } });
  await assert.rejects(client.getAward({ boardId: 'main', awardId: randomUUID() }), laurel.ServiceFaultError);
  await script('GetBoard', { answer: { board: { late: 17 } } });
  await assert.rejects(client.getBoard({ boardId: 'main' }), laurel.ServiceFaultError);
});

test('what no message can carry is InvalidRequestError, and is not sent', async () => {
  await using client = await open();
  const award = { boardId: 'main', userId: 'ada', points: 1, actionType: 'a', actionId: 'b' };
  const wrong: [() => Promise<unknown>, string][] = [
    [() => client.award({ ...award, points: 1.5 }), 'award.points'],
    [() => client.award({ ...award, points: 2 ** 53 }), 'award.points'],
    [() => client.award({ ...award, points: 2n ** 63n }), 'award.points'],
    [() => client.award({ ...award, userId: 7 as unknown as string }), 'award.user_id'],
    [() => client.award({ ...award, userId: '\ud800' }), 'award.user_id'],
    [() => client.award({ ...award, awardId: 'no-uuid' }), 'award.award_id'],
    [() => client.award({ ...award, requestId: '' }), 'request_id'],
    [() => client.award({ ...award, traceId: '0'.repeat(32) }), 'trace_id'],
    [() => client.award({ ...award, occurredAt: new Date(NaN) }), 'award.occurred_at'],
    [() => client.award(award, { timeoutMs: 0 }), 'timeoutMs'],
    [() => client.batchGetStandings({ boardId: 'main', userIds: 'ada' }), 'user_ids'],
    [() => client.listStandings({ boardId: 'main', pageSize: 2 ** 31 }), 'page_size'],
    [() => client.watch({ boardId: 'main', topN: 0.5 }).next(), 'top_n'],
    [() => client.entries({ boardId: 'main', kinds: ['all' as 'award'] }).next(), 'kinds'],
    [() => open({ timeoutMs: -1 }), 'timeoutMs'],
    [() => open({ target: 'https://score-service' }), 'target'],
    [() => open({ target: 'ipv4:localhost:1' }), 'target'],
  ];
  for (const [call, field] of wrong) {
    await assert.rejects(call(), (error) => {
      assert.ok(error instanceof laurel.InvalidRequestError, String(error));
      assert.equal(error.reason, 'INVALID_FIELD');
      assert.deepEqual(Object.keys(error.fields), [field]);
      return true;
    });
  }
});

test('a call ends with the reason of its signal, and a closed client with ClientClosedError', async () => {
  const client = await open();
  await script('GetStanding', { hang: true });
  const stop = new AbortController();
  const call = client.getStanding(READ, { signal: stop.signal });
  setTimeout(() => stop.abort(new Error('enough')), 50);
  await assert.rejects(call, /enough/);
  await assert.rejects(client.getStanding(READ, { signal: AbortSignal.abort(new Error('before')) }), /before/);
  const pending = client.getStanding(READ);
  setImmediate(() => void client.close());
  await assert.rejects(pending, laurel.ClientClosedError);
  await assert.rejects(client.ping(), laurel.ClientClosedError);
  assert.throws(() => client.certificateStatus(), laurel.ClientClosedError);
  await client.close();
});

test('certificate files that cannot be used are CredentialsError', async () => {
  const credentials = { caFile: '/nowhere/ca.pem', certificateFile: '/nowhere/tls.pem', keyFile: '/nowhere/key.pem' };
  await assert.rejects(open({ credentials }), { name: 'CredentialsError', reason: 'CREDENTIALS_UNUSABLE' });
});
