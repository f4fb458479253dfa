/**
 * Makes awards, for the row `node` of `make bench`, from one client.
 *
 * node bench/awards.ts TARGET CA CERTIFICATE KEY AT_A_TIME
 *
 * Each line of its input says for how many seconds. It answers with a line of JSON: how many awards were made, and the
 * seconds that they took.
 */

import { createInterface } from 'node:readline';

import { ScoreClient } from 'laurel-score-client';

const [target, caFile, certificateFile, keyFile, atATime] = process.argv.slice(2);
if (!target || !caFile || !certificateFile || !keyFile || !atATime) {
  console.error('usage: node bench/awards.ts TARGET CA CERTIFICATE KEY AT_A_TIME');
  process.exit(2);
}

await using client = await ScoreClient.open(target, {
  credentials: { caFile, certificateFile, keyFile },
  timeoutMs: 60_000,
});

/** Keep so many awards under way for so long, and return how many were made. */
async function keepUnderWay(count: number, seconds: number): Promise<number> {
  const end = performance.now() + seconds * 1_000;
  let made = 0;
  const one = async (): Promise<void> => {
    while (performance.now() < end) {
      const userId = `player-${Math.floor(Math.random() * 1_000)}`;
      await client.award({ boardId: 'bench-node', userId, points: 10, actionType: 'bench', actionId: 'bench-0001' });
      made += 1;
    }
  };
  await Promise.all(Array.from({ length: count }, one));
  return made;
}

for await (const line of createInterface({ input: process.stdin })) {
  const started = performance.now();
  const awards = await keepUnderWay(Number(atATime), Number(line));
  console.log(JSON.stringify({ awards, seconds: (performance.now() - started) / 1_000 }));
}
