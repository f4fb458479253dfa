import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, test } from 'node:test';

import * as laurel from 'laurel-score-client';

import { credentialsOf, open, someAward } from '../support.ts';

let revision = 0n;

before(async () => {
  await using client = await open();
  for (const [userId, points] of [['ada', 30], ['bob', 20], ['cid', 10]] as const) {
    ({ revision } = await client.award(someAward({ userId, points })));
  }
});

test('a standing is read at the revision of an award', async () => {
  await using client = await open();
  const view = await client.getStanding({ boardId: 'main', userId: 'bob', minRevision: revision });
  assert.deepEqual(view.standing, { userId: 'bob', total: 20n, rank: 2n, reachedRevision: 2n, hidden: false });
  assert.equal(view.revision, revision);
  assert.equal(view.period, null);
});

test('standings are read in pages, around a user and by name', async () => {
  await using client = await open();
  const page = { boardId: 'main', minRevision: revision };
  const first = await client.listStandings({ ...page, pageSize: 2 });
  const second = await client.listStandings({ ...page, pageSize: 2, pageToken: first.nextPageToken });
  assert.deepEqual([first, second].map((view) => view.standings.map(({ userId }) => userId)), [['ada', 'bob'], ['cid']]);
  assert.equal(second.nextPageToken, '');
  const around = await client.listStandingsAround({ ...page, userId: 'bob', radius: 1 });
  assert.deepEqual(around.standings.map(({ rank }) => rank), [1n, 2n, 3n]);
  const named = await client.batchGetStandings({ ...page, userIds: new Set(['cid', 'nobody', 'ada']) });
  assert.deepEqual(named.standings.map(({ userId }) => userId), ['cid', 'ada']);
});

test('what does not exist is told apart', async () => {
  await using client = await open();
  const reads: [() => Promise<unknown>, new (...parts: never[]) => laurel.NotFoundError][] = [
    [() => client.getStanding({ boardId: 'main', userId: 'nobody' }), laurel.StandingNotFoundError],
    [() => client.getStanding({ boardId: 'season-none', userId: 'ada' }), laurel.BoardNotFoundError],
    [() => client.getStanding({ boardId: 'main', userId: 'ada', period: 'week' }), laurel.PeriodUnknownError],
    [() => client.getAward({ boardId: 'main', awardId: randomUUID() }), laurel.AwardNotFoundError],
  ];
  for (const [read, kind] of reads) {
    await assert.rejects(read(), (error) => error instanceof kind && error instanceof laurel.NotFoundError);
  }
});

test('a board tells its settings, and a board without periods has none', async () => {
  await using client = await open();
  const board = await client.getBoard({ boardId: 'main' });
  assert.equal(board.timeZone, 'UTC');
  assert.equal(board.graceMs, 600_000);
  assert.deepEqual(board.periods, []);
  assert.equal(board.late, 'current');
  const { boards } = await client.listBoards();
  assert.deepEqual(boards.map(({ boardId }) => boardId), ['main']);
  assert.deepEqual(await client.listPeriods({ boardId: 'main' }), { results: [], nextPageToken: '' });
  await assert.rejects(client.getPeriod({ boardId: 'main', period: 'day' }), laurel.PeriodUnknownError);
});

test('a caller that may read one method alone may not read another', async () => {
  await using client = await open({ credentials: credentialsOf('reader') });
  await client.getStanding({ boardId: 'main', userId: 'ada' });
  await assert.rejects(client.listStandings({ boardId: 'main' }), laurel.NotAllowedError);
});

test('a ping is answered', async () => {
  await using client = await open();
  await client.ping();
});
