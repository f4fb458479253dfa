/**
 * How long a call waits for others who are on their way.
 *
 * Callers who were answered together come again together, over some milliseconds. A call that went with the first of them
 * would leave the rest to the next one: there would always be two small calls, not a large one.
 */

import { setTimeout as sleep } from 'node:timers/promises';

/** In a call of fewer nobody waits for others: they are not known to come. */
const FEW = 4;
/** Are worth a call. To wait for more would hold those back that have come. */
const ENOUGH = 16;
const NAP_MS = 1;
/** So nobody waits for longer than some milliseconds, however evenly others come. */
const NAPS_MAX = 5;

/** Those who come again and again, as far as the calls before tell. */
export class Crowd {
  readonly #sleep: (ms: number) => Promise<unknown>;
  #expected = 0;

  constructor(pause: (ms: number) => Promise<unknown> = sleep) {
    this.#sleep = pause;
  }

  /** Note how many went in a call. A few alone do not mean that the others have left. */
  note(count: number): void {
    this.#expected = Math.max(Math.min(count, ENOUGH), Math.floor(this.#expected / 2));
  }

  /** Wait until as many have come as are expected, and on while each nap brings more; `count` tells how many have come. */
  async gather(count: () => number): Promise<void> {
    if (this.#expected < FEW) return;
    for (let naps = 0; naps < NAPS_MAX && count() < ENOUGH; naps += 1) {
      const seen = count();
      await this.#sleep(NAP_MS);
      if (count() === seen && seen >= this.#expected) return;
    }
  }
}
