/** Sends a request until its outcome is known, or patience ends. */

import { Problem } from "./api.js";

const WAITS_MS = [800, 2_000, 4_000];
const LONGEST_WAIT_MS = 10_000;

/** @param {number} milliseconds */
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * @template Outcome
 * @param {() => Promise<Outcome>} send what takes effect once, however often it is sent
 * @param {() => void} [onRetry] called before it is sent again
 * @returns {Promise<Outcome>}
 * @throws {Problem} a rejection; or `unreachable`, `unavailable` when patience ended
 */
export async function settle(send, onRetry = () => {}) {
  for (const wait of [...WAITS_MS, 0]) {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof Problem) || !error.unsettled || !wait) throw error;
      onRetry();
      await sleep(Math.min(LONGEST_WAIT_MS, Math.max(wait, (error.retryAfter ?? 0) * 1000)));
    }
  }
  throw new Error("unreachable: the last round returns or throws");
}
