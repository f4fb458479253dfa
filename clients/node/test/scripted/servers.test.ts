import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import * as laurel from 'laurel-score-client';

import { ask, credentialsOf, eventually, open, variable } from '../support.ts';
import type { Received } from '../support.ts';

const STANDING = { answer: { standing: { userId: 'ada' } } };
const READ = { boardId: 'main', userId: 'ada' };

beforeEach(async () => {
  for (const server of [0, 1]) {
    await ask('forget', { server });
    await ask('healthy', { server, healthy: true });
    await ask('script', { server, method: 'GetStanding', steps: [STANDING] });
  }
});

async function openBoth(options = {}): Promise<laurel.ScoreClient> {
  return await open({ target: variable('LAUREL_TARGETS'), serverName: 'localhost', ...options });
}

async function counts(): Promise<number[]> {
  const seen = [0, 1].map(async (server) => await ask<Received[]>('calls', { server, method: 'GetStanding' }));
  return (await Promise.all(seen)).map((received) => received.length);
}

async function untilBothAreUsed(client: laurel.ScoreClient): Promise<void> {
  const [first = 0, second = 0] = await counts();
  await eventually(async () => {
    await client.getStanding(READ);
    const [one = 0, other = 0] = await counts();
    return one > first && other > second;
  });
}

test('calls go round all healthy servers', async () => {
  await using client = await openBoth();
  await untilBothAreUsed(client);
  const [first = 0, second = 0] = await counts();
  for (let count = 0; count < 10; count += 1) await client.getStanding(READ);
  assert.deepEqual(await counts(), [first + 5, second + 5]);
});

test('a server that is not healthy gets no calls until it is', async () => {
  await using client = await openBoth();
  await untilBothAreUsed(client);
  await ask('healthy', { server: 0, healthy: false });
  await eventually(async () => {
    const [before] = await counts();
    for (let count = 0; count < 4; count += 1) await client.getStanding(READ);
    return before === (await counts())[0];
  });
  await ask('healthy', { server: 0, healthy: true });
  await untilBothAreUsed(client);
});

test('while none is healthy, calls go to any, which may say what is wrong', async () => {
  for (const server of [0, 1]) await ask('healthy', { server, healthy: false });
  await using client = await openBoth();
  assert.equal((await client.getStanding(READ)).standing.userId, 'ada');
});

test('calls go on while a server is gone, and it is found when it is back', async () => {
  await using client = await openBoth();
  await untilBothAreUsed(client);
  await ask('stop', { server: 1 });
  for (let count = 0; count < 10; count += 1) await client.getStanding(READ);
  await ask('start', { server: 1 });
  await untilBothAreUsed(client);
});

test('a service that is not there is UnavailableError, and is found when it starts', async () => {
  await using client = await open();
  await ask('stop');
  await assert.rejects(client.getStanding(READ, { timeoutMs: 400 }), laurel.UnavailableError);
  const call = client.getStanding(READ);
  await ask('start');
  await call;
});

test('a name that does not exist is UnavailableError', async () => {
  await using client = await open({ target: 'dns:///laurel.invalid:50051' });
  await assert.rejects(client.ping({ timeoutMs: 400 }), laurel.UnavailableError);
});

test('a connection is replaced when it is old, and calls go on', async () => {
  await using client = await open({ connectionAgeMs: 50, certificateCheckIntervalMs: 20, credentials: credentialsOf() });
  const peers = new Set<string>();
  await eventually(async () => {
    await client.getStanding(READ);
    const received = await ask<Received[]>('calls', { method: 'GetStanding' });
    peers.add(received.at(-1)?.peer ?? '');
    return peers.size >= 3;
  });
});
