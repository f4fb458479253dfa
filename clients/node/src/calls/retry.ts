/**
 * When and after what pause something is tried again.
 *
 * Everything the service offers may be sent again: reads by nature, awards because the award id and the request id stay
 * the same. The caller's own abort is never answered with another try.
 */

import { setTimeout as sleep } from 'node:timers/promises';

import { LaterError, UnavailableError } from '../errors.js';
import type { ScoreClientError } from '../errors.js';

/** However long the service asks to wait, a watch is opened again after this time. */
const LONGEST_ASKED_PAUSE_MS = 30_000;
/** A call that fails with no more time left than this may be the last one. */
const LAST_MS = 200;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- any constructor of an error
type ErrorClass = abstract new (...args: any[]) => ScoreClientError;

export interface Retrying {
  /** The errors after which it is tried again. */
  readonly on: readonly ErrorClass[];
  /** How long all attempts may take together; Infinity for no end. */
  readonly withinMs: number;
  /** What ends a pause, and with it everything. */
  readonly signal: AbortSignal;
}

/**
 * Await `attempt()` until it ends with anything but the errors `on`.
 *
 * Between two attempts lies a random pause of at most 0.1 s, then 0.2 s and so on up to 2 s, on top of what the service
 * asked for. When the time is up the last error is thrown. The time is used to its end: where a pause would leave none
 * for another attempt, it is shorter.
 */
export async function retried<T>(attempt: () => Promise<T>, { on, withinMs, signal }: Retrying): Promise<T> {
  const started = performance.now();
  for (let failed = 0; ; failed += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!on.some((kind) => error instanceof kind)) throw error;
      const left = withinMs - (performance.now() - started);
      const pause = pauseAfter(error as ScoreClientError, failed, left);
      if (pause >= left) throw error;
      await pauseFor(pause, signal);
    }
  }
}

/** Await `call(ms)`, which may take so long, again while nothing answers, until the time is up. */
export async function retriedCalls<T>(
  call: (timeoutMs: number) => Promise<T>,
  { withinMs, callTimeoutMs, signal }: { withinMs: number; callTimeoutMs: number; signal: AbortSignal },
): Promise<T> {
  const deadline = performance.now() + withinMs;
  const attempt = async (): Promise<T> => await call(Math.min(callTimeoutMs, deadline - performance.now()));
  return await retried(attempt, { on: [UnavailableError], withinMs, signal });
}

/** Wait. Rejects with the reason of the signal. */
export async function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    throw signal.reason;
  }
}

function pauseAfter(error: ScoreClientError, failed: number, left: number): number {
  const told = error instanceof LaterError ? (error.retryAfterMs ?? 0) : 0;
  const asked = Math.min(told, LONGEST_ASKED_PAUSE_MS);
  const drawn = Math.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failed);
  const free = left - asked;
  // Not to the very end, so that there is time to answer, and at random, as every pause.
  return asked + (free > LAST_MS ? Math.min(drawn, free * (0.5 + 0.4 * Math.random())) : drawn);
}
