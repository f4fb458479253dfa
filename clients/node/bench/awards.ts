/**
 * Measures how many awards one client makes a second, and what each costs its process.
 *
 * node bench/awards.ts TARGET CA CERTIFICATE KEY [AT_A_TIME [SECONDS]]
 */

import { ScoreClient } from 'laurel-score-client';

const [target, caFile, certificateFile, keyFile, atATime = '1000', seconds = '10'] = process.argv.slice(2);
if (!target || !caFile || !certificateFile || !keyFile) {
  console.error('usage: node bench/awards.ts TARGET CA CERTIFICATE KEY [AT_A_TIME [SECONDS]]');
  process.exit(2);
}

await using client = await ScoreClient.open(target, {
  credentials: { caFile, certificateFile, keyFile },
  timeoutMs: 60_000,
});

/** Keep so many awards under way for so long, and return how many were made. */
async function keepUnderWay(count: number, ms: number): Promise<number> {
  const end = performance.now() + ms;
  let made = 0;
  const one = async (): Promise<void> => {
    while (performance.now() < end) {
      const userId = `player-${Math.floor(Math.random() * 1_000)}`;
      await client.award({ boardId: 'main', userId, points: 10, actionType: 'bench', actionId: 'bench-0001' });
      made += 1;
    }
  };
  await Promise.all(Array.from({ length: count }, one));
  return made;
}

await keepUnderWay(Number(atATime), 2_000);
const [started, cpu] = [performance.now(), process.cpuUsage()];
const made = await keepUnderWay(Number(atATime), Number(seconds) * 1_000);
const [took, used] = [performance.now() - started, process.cpuUsage(cpu)];
const rate = Math.round((made / took) * 1_000);
const cost = Math.round((used.user + used.system) / made);
console.log(`${rate} awards/s, ${atATime} at a time; ${cost} µs of CPU of the client for each`);
