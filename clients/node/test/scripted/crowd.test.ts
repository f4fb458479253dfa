import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Crowd } from '../../src/calls/crowd.ts';

/** How many went in calls before, how many have come at first and come in each nap, and how many go. */
const CASES: ReadonlyArray<readonly [number[], number, number[], number, string]> = [
  [[], 1, [9], 1, 'nobody is expected'],
  [[3], 1, [9], 1, 'nobody is expected after a few'],
  [[16], 1, [0, 2, 0, 0, 13], 16, 'as many as before are waited for'],
  [[16], 1, [2, 0, 3, 0, 1, 9], 7, 'but not for ever'],
  [[8], 8, [3, 1, 0, 9], 12, 'more than before are waited for while each nap brings some'],
  [[16], 16, [9], 16, 'enough have come'],
  [[16, 1], 1, [0, 4], 5, 'one alone does not mean that the others have left'],
  [[16, 1, 1, 1], 1, [9], 1, 'again and again it does'],
];

for (const [before, first, script, expected, why] of CASES) {
  test(`more are waited for while they are expected and come: ${why}`, async () => {
    let come = first;
    const naps = [...script];
    const crowd = new Crowd(async () => void (come += naps.shift() ?? 0));
    for (const count of before) crowd.note(count);
    await crowd.gather(() => come);
    assert.equal(come, expected);
  });
}
