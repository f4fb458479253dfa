/**
 * What a call can end with other than its answer.
 *
 * Every failure of this library is a {@link ScoreClientError}, except that a call whose `AbortSignal` is aborted ends
 * with the reason of the signal.
 */

import type { Reversal } from './types.js';

/** The root of all errors of this library. */
export class ScoreClientError extends Error {
  /** A stable word for programs: the contract's reason, or the name of the gRPC status where there was none. */
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.name = new.target.name;
    this.reason = reason;
  }
}

/** The request is not as the contract says. Nothing was done, and a retry would end the same. */
export class InvalidRequestError extends ScoreClientError {
  /** What is wrong with each field at fault, by the name that the contract gives it. */
  readonly fields: Readonly<Record<string, string>>;

  constructor(reason: string, message: string, fields: Readonly<Record<string, string>> = {}) {
    super(reason, message);
    this.fields = fields;
  }
}

/** The time of the award is in the future, or longer ago than the policy allows. It was not made. */
export class OccurredAtOutOfRangeError extends InvalidRequestError {}

/** The client's certificate does not carry exactly one SPIFFE URI. */
export class NotAuthenticatedError extends ScoreClientError {}

/** The service's policy does not allow this caller this method, board or size. */
export class NotAllowedError extends ScoreClientError {}

/** What was asked for does not exist. */
export class NotFoundError extends ScoreClientError {}

/** No award was ever made on this board. */
export class BoardNotFoundError extends NotFoundError {}

/** The board has no award with this id. */
export class AwardNotFoundError extends NotFoundError {}

/** The user has no award on this board. */
export class StandingNotFoundError extends NotFoundError {}

/** The board has no such period, or it has not begun. */
export class PeriodUnknownError extends NotFoundError {}

/** A period that the award belongs to is closed, and the board refuses late awards. It was not made. */
export class PeriodClosedError extends ScoreClientError {}

/** The settings would alter a period that is open. The message says from when they can hold. */
export class PeriodOpenError extends ScoreClientError {}

/** The award id was used before with another user, action or points. The first award stands. */
export class AwardConflictError extends ScoreClientError {}

/**
 * The award was made before, and is archived: its points were given, and are not given again. Nothing else is known of
 * it, so also not whether the id was used for the same.
 */
export class AwardArchivedError extends ScoreClientError {
  /** The award's number in the board's ledger; null if the answer did not carry it. */
  readonly revision: bigint | null;

  constructor(reason: string, message: string, revision: bigint | null = null) {
    super(reason, message);
    this.revision = revision;
  }
}

/** Another reversal of this award stands, or the reversal id was used for another award. */
export class AwardReversedError extends ScoreClientError {
  /** The reversal that stands; null if the answer did not carry it. */
  readonly reversal: Reversal | null;

  constructor(reason: string, message: string, reversal: Reversal | null = null) {
    super(reason, message);
    this.reversal = reversal;
  }
}

/** The plan is not of this filter, or settings or history of the board are others by now. Plan again. */
export class PlanStaleError extends ScoreClientError {}

/** The position is not of the board's ledger, which was restored to an earlier state. */
export class PositionUnknownError extends ScoreClientError {}

/** What was asked for is archived, and the service does not have it any more. */
export class HistoryArchivedError extends ScoreClientError {
  /**
   * The position after which the service has all entries; empty if the answer did not carry it. A feed may go on there
   * once its reader has what is before it from elsewhere.
   */
  readonly archivedPosition: string;

  constructor(reason: string, message: string, archivedPosition = '') {
    super(reason, message);
    this.archivedPosition = archivedPosition;
  }
}

/** The award would take the user's total past 2^53-1. It was not made. */
export class TotalOutOfRangeError extends ScoreClientError {}

/** A failure after which the service may say when to try again. */
export abstract class LaterError extends ScoreClientError {
  /** Milliseconds to wait before the next try, or null if the service did not say. */
  readonly retryAfterMs: number | null;

  constructor(reason: string, message: string, retryAfterMs: number | null = null) {
    super(reason, message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** The caller's quota is used up. Nothing was done; try again after `retryAfterMs`. */
export class QuotaExceededError extends LaterError {}

/**
 * No answer within the time, also not by trying again. Whether an award was made is unknown: ask for it, or send it
 * again with the same award id and the same request id.
 */
export class UnavailableError extends LaterError {}

/** The service failed in a way it should not, or its answer makes no sense. Whether an award was made is unknown. */
export class ServiceFaultError extends ScoreClientError {}

/** The certificate files are missing, cannot be read, or do not belong together. */
export class CredentialsError extends ScoreClientError {}

/** The client was used after it was closed. */
export class ClientClosedError extends ScoreClientError {}

/** Reject a request for what is wrong with its fields. */
export function invalid(fields: Readonly<Record<string, string>>): InvalidRequestError {
  const text = Object.entries(fields)
    .map(([field, fault]) => `${field} ${fault}`)
    .join('; ');
  return new InvalidRequestError('INVALID_FIELD', text, fields);
}

/** Reject an answer that the contract does not allow. */
export function malformed(message = 'The answer is not what the contract says.'): ServiceFaultError {
  return new ServiceFaultError('MALFORMED_ANSWER', message);
}
