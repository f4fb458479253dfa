/**
 * Awards on their way out: concurrent ones share a call.
 *
 * Invariants:
 * - Where no call is under way, an award goes at once, with those that are asked for in the same turn of the event loop.
 *   Awards asked for meanwhile gather and go together in the next call: when the one under way has ended, or beside it
 *   once they are many or it takes long. A call waits for a few milliseconds only where many were in the one before, for
 *   those who are on their way.
 * - The outcome of an award in a shared call reaches its caller only.
 * - A caller that gives up only stops waiting.
 * - A call that a server had no room for keeps its slot for a while, so that awards which wait do not ask at once
 *   instead. Where all slots are kept so, the server gets no call.
 * - An award is tried again while nothing is known of it, with the same ids each time.
 */

import { randomBytes } from 'node:crypto';

import { create } from '@bufbuild/protobuf';

import type { RenewedChannel } from '../connection/channel.js';
import {
  malformed,
  NotAllowedError,
  NotAuthenticatedError,
  QuotaExceededError,
  ScoreClientError,
  UnavailableError,
} from '../errors.js';
import { BatchAwardPointsRequestSchema, ScoreService } from '../generated/score_api/v1/score_service_pb.js';
import type { AwardPointsRequest, AwardResult, BatchAwardPointsItem } from '../generated/score_api/v1/score_service_pb.js';
import { fromAwardError } from '../messages/status.js';
import { Crowd } from './crowd.js';
import { retriedCalls, pauseFor } from './retry.js';
import { callOnce } from './unary.js';

/** Calls under way. With one alone, everything would stand still behind a server that does not answer. */
const CALLS_MAX = 2;
/** Awards that are worth a call beside another one. A call costs both sides as much as some ten awards. */
const CROWD = 50;
/** After this time a call takes long, and does not keep others from going beside it. */
const LONG_CALL_MS = 50;
const BATCH_MAX = 500;
/** Awards under way together for each of those calls where every award needs a call of its own. */
const ALONE_MAX = 50;
/** The service takes no more boards in one call. */
const BOARDS_MAX = 16;
/** Why a server rejects an award that it has no room for. It has not taken it in. */
const OVERLOADED = 'OVERLOADED';
const PAUSE_MAX_MS = 5_000;
/** Why a caller is rejected now whose attempt a moment ago may have been accepted. */
const PASSING = ['QUOTA_EXCEEDED', 'CERTIFICATE_EXPIRED'];

/** An award, and how its caller is told of its outcome. */
class Waiting {
  readonly request: AwardPointsRequest;
  readonly #resolve: (result: AwardResult) => void;
  readonly #reject: (error: unknown) => void;
  #isDone = false;

  constructor(request: AwardPointsRequest, resolve: (result: AwardResult) => void, reject: (error: unknown) => void) {
    this.request = request;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  settle(result: AwardResult | ScoreClientError): void {
    if (result instanceof ScoreClientError) this.giveUp(result);
    else if (!this.#isDone) {
      this.#isDone = true;
      this.#resolve(result);
    }
  }

  giveUp(reason: unknown): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#reject(reason);
  }
}

/** The awards of one client. */
export class Awards {
  readonly #channel: RenewedChannel;
  readonly #callTimeoutMs: number;
  /** Those under way, and whether each takes long. */
  readonly #calls = new Map<Promise<void>, { isLong: boolean }>();
  readonly #crowd = new Crowd();
  #waiting: Waiting[] = [];
  #batchesRejected = false;
  #rejectedInARow = 0;

  constructor(channel: RenewedChannel, callTimeoutMs: number) {
    this.#channel = channel;
    this.#callTimeoutMs = callTimeoutMs;
  }

  /**
   * Send an award, with others if there are any, again while the service is unavailable. Rejects with UnavailableError
   * if no outcome is known in time, with what was answered instead of a result, or with the reason of the signal.
   *
   * @param signal of the caller. When the client closes, awards end with their call, without a listener of each: a signal
   * with many is slow.
   */
  async send(request: AwardPointsRequest, withinMs: number, signal?: AbortSignal): Promise<AwardResult> {
    let isUnknown = false;
    const attempt = async (timeoutMs: number): Promise<AwardResult> => {
      try {
        return await this.#sendOnce(request, timeoutMs, signal);
      } catch (error) {
        if (error instanceof UnavailableError) isUnknown ||= error.reason !== OVERLOADED;
        else if (isUnknown && isPassing(error)) throw asUnknown(error);
        throw error;
      }
    };
    const { closing } = this.#channel;
    return await retriedCalls(attempt, {
      withinMs,
      callTimeoutMs: this.#callTimeoutMs,
      signal: signal ? AbortSignal.any([closing, signal]) : closing,
    });
  }

  /** Wait until every call has ended. */
  async finish(): Promise<void> {
    while (this.#calls.size > 0) await Promise.all(this.#calls.keys());
  }

  async #sendOnce(request: AwardPointsRequest, withinMs: number, signal?: AbortSignal): Promise<AwardResult> {
    signal?.throwIfAborted();
    let tidy = (): void => undefined;
    const result = new Promise<AwardResult>((resolve, reject) => {
      const waiting = new Waiting(request, resolve, reject);
      const late = (): void => {
        waiting.giveUp(new UnavailableError('DEADLINE_EXCEEDED', `No answer within ${Math.round(withinMs)} ms.`));
      };
      const abort = (): void => waiting.giveUp(signal?.reason);
      const timer = setTimeout(late, withinMs);
      signal?.addEventListener('abort', abort, { once: true });
      tidy = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
      };
      this.#waiting.push(waiting);
    });
    this.#fillCalls();
    try {
      return await result;
    } finally {
      tidy();
    }
  }

  #fillCalls(): void {
    if (this.#waiting.length === 0 || !this.#isCallDue()) return;
    const state = { isLong: false };
    const timer = setTimeout(() => {
      state.isLong = true;
      this.#fillCalls();
    }, LONG_CALL_MS);
    const call = this.#call().finally(() => {
      clearTimeout(timer);
      this.#calls.delete(call);
      this.#fillCalls();
    });
    this.#calls.set(call, state);
  }

  #isCallDue(): boolean {
    if (this.#calls.size === 0) return true;
    if (this.#calls.size >= CALLS_MAX) return false;
    return this.#waiting.length >= CROWD || [...this.#calls.values()].some(({ isLong }) => isLong);
  }

  async #call(): Promise<void> {
    await new Promise(setImmediate);
    await this.#crowd.gather(() => this.#waiting.length);
    const batch = this.#nextBatch();
    this.#crowd.note(batch.length);
    if (batch.length > 1 && !this.#batchesRejected) {
      await this.#keepSlot(await this.#sendTogether(batch));
    } else {
      const pauses = await Promise.all(batch.map(async (waiting) => await this.#sendAlone(waiting)));
      await this.#keepSlot(Math.max(0, ...pauses));
    }
  }

  /**
   * Keep the slot of this call for half to all of the time that the server asked for. One rejection after an answer
   * costs nothing: of several servers, one may be full and the others not.
   */
  async #keepSlot(ms: number): Promise<void> {
    this.#rejectedInARow = ms > 0 ? this.#rejectedInARow + 1 : 0;
    if (this.#rejectedInARow <= 1) return;
    // Others were asked for the same pause at the same time.
    const share = 0.5 + 0.5 * Math.random();
    await pauseFor(share * Math.min(ms, PAUSE_MAX_MS), this.#channel.closing).catch(() => undefined);
  }

  /** Take what goes into one call, in the order asked, leaving out those who have given up. */
  #nextBatch(): Waiting[] {
    const batch: Waiting[] = [];
    const boards = new Set<string>();
    const most = this.#batchesRejected ? ALONE_MAX : BATCH_MAX;
    let taken = 0;
    for (const waiting of this.#waiting) {
      boards.add(waiting.request.award?.boardId ?? '');
      if (batch.length >= most || boards.size > BOARDS_MAX) break;
      taken += 1;
      if (!waiting.isDone) batch.push(waiting);
    }
    this.#waiting = this.#waiting.slice(taken);
    return batch;
  }

  /** Send one award; return for how many milliseconds the server wants to be left alone. */
  async #sendAlone(waiting: Waiting): Promise<number> {
    const { request } = waiting;
    try {
      const attempt = { timeoutMs: this.#callTimeoutMs, metadata: metadataOf(request) };
      const { result } = await callOnce(this.#channel, ScoreService.method.awardPoints, request, attempt);
      waiting.settle(result ?? malformed());
      return 0;
    } catch (error) {
      waiting.giveUp(error);
      return askedPause(error);
    }
  }

  /** Send awards in one call; return the same. */
  async #sendTogether(batch: readonly Waiting[]): Promise<number> {
    const request = create(BatchAwardPointsRequestSchema, { requests: batch.map((waiting) => waiting.request) });
    try {
      const attempt = { timeoutMs: this.#callTimeoutMs };
      const { items } = await callOnce(this.#channel, ScoreService.method.batchAwardPoints, request, attempt);
      // An award that the answer leaves out gets an error that says so.
      batch.forEach((waiting, place) => waiting.settle(resultOf(items[place])));
      return 0;
    } catch (error) {
      if (isRejectionOfBatches(error)) {
        this.#batchesRejected = true;
        this.#waiting = [...batch, ...this.#waiting];
        return 0;
      }
      for (const waiting of batch) waiting.giveUp(error);
      return askedPause(error);
    }
  }
}

/** Whether a rejection does not say whether an earlier try has made the award: the caller is checked first. */
function isPassing(error: unknown): error is QuotaExceededError | NotAuthenticatedError {
  const isOfCaller = error instanceof QuotaExceededError || error instanceof NotAuthenticatedError;
  return isOfCaller && PASSING.includes(error.reason);
}

function asUnknown(error: QuotaExceededError | NotAuthenticatedError): UnavailableError {
  return new UnavailableError(error.reason, error.message, 'retryAfterMs' in error ? error.retryAfterMs : null);
}

/** For how long a server that has no room for any call wants to be left alone. */
function askedPause(error: unknown): number {
  return error instanceof UnavailableError && error.reason === OVERLOADED ? (error.retryAfterMs ?? 0) : 0;
}

function resultOf(item: BatchAwardPointsItem | undefined): AwardResult | ScoreClientError {
  if (item?.item.case === 'result') return item.item.value;
  if (item?.item.case === 'error') return fromAwardError(item.item.value);
  return malformed();
}

/** Whether batches are what the policy does not allow, or what an older service does not know. */
function isRejectionOfBatches(error: unknown): boolean {
  return error instanceof NotAllowedError || (error instanceof ScoreClientError && error.reason === 'UNIMPLEMENTED');
}

/** Name the request and the trace of a call that is about one award. */
function metadataOf({ requestId, traceId }: AwardPointsRequest): Record<string, string> {
  const traced = traceId && { traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` };
  return { 'x-request-id': requestId, ...(traced || {}) };
}
