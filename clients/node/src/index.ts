/**
 * The typed client of the Laurel score service.
 *
 * Awards take effect exactly once, whatever is lost on the way; every failure is a `ScoreClientError`.
 */

export { ScoreClient } from './client.js';
export type { Award, ClientOptions, Read, Watch } from './client.js';
export type { CallOptions, Reasoned } from './calls/corrections.js';
export type { ClientCredentials } from './connection/credentials.js';
export {
  AwardArchivedError,
  AwardConflictError,
  AwardNotFoundError,
  AwardReversedError,
  BoardNotFoundError,
  ClientClosedError,
  CredentialsError,
  HistoryArchivedError,
  InvalidRequestError,
  LaterError,
  NotAllowedError,
  NotAuthenticatedError,
  NotFoundError,
  OccurredAtOutOfRangeError,
  PeriodClosedError,
  PeriodOpenError,
  PeriodUnknownError,
  PlanStaleError,
  PositionUnknownError,
  QuotaExceededError,
  ScoreClientError,
  ServiceFaultError,
  StandingNotFoundError,
  TotalOutOfRangeError,
  UnavailableError,
} from './errors.js';
export type * from './types.js';
