/** The only place where a status of the wire becomes an error of this library. */

import { fromBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { durationMs } from '@bufbuild/protobuf/wkt';
import { status as Code } from '@grpc/grpc-js';
import type { StatusObject } from '@grpc/grpc-js';

import * as errors from '../errors.js';
import type { ScoreClientError } from '../errors.js';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../generated/google/rpc/error_details_pb.js';
import { StatusSchema } from '../generated/google/rpc/status_pb.js';
import type { Status } from '../generated/google/rpc/status_pb.js';
import type { AwardError } from '../generated/score_api/v1/score_service_pb.js';
import { ReversalSchema } from '../generated/score_api/v1/types_pb.js';
import type { Reversal } from '../types.js';
import { decodeReversal } from './decode.js';

const DOMAIN = 'laurel';
const DETAILS = 'grpc-status-details-bin';
const REVISION = /^[0-9]{1,19}$/;

interface Told {
  readonly reason: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly reversal: Reversal | null;
}

type Make = (told: Told) => ScoreClientError;

function plain(kind: new (reason: string, message: string) => ScoreClientError): Make {
  return ({ reason, message }) => new kind(reason, message);
}

function invalid(kind: typeof errors.InvalidRequestError): Make {
  return ({ reason, message, fields }) => new kind(reason, message, fields);
}

function later(kind: typeof errors.QuotaExceededError | typeof errors.UnavailableError): Make {
  return ({ reason, message, retryAfterMs }) => new kind(reason, message, retryAfterMs);
}

function archived({ reason, message, metadata: { revision = '' } }: Told): errors.AwardArchivedError {
  return new errors.AwardArchivedError(reason, message, REVISION.test(revision) ? BigInt(revision) : null);
}

const serviceFault = plain(errors.ServiceFaultError);

/** By code, then by reason; the empty reason stands for every other one, and for an answer without one. */
const ERRORS: Readonly<Partial<Record<Code, Readonly<Record<string, Make>>>>> = {
  [Code.INVALID_ARGUMENT]: {
    OCCURRED_AT_OUT_OF_RANGE: invalid(errors.OccurredAtOutOfRangeError),
    '': invalid(errors.InvalidRequestError),
  },
  [Code.UNAUTHENTICATED]: { '': plain(errors.NotAuthenticatedError) },
  [Code.PERMISSION_DENIED]: { '': plain(errors.NotAllowedError) },
  [Code.NOT_FOUND]: {
    BOARD_NOT_FOUND: plain(errors.BoardNotFoundError),
    AWARD_NOT_FOUND: plain(errors.AwardNotFoundError),
    STANDING_NOT_FOUND: plain(errors.StandingNotFoundError),
    PERIOD_UNKNOWN: plain(errors.PeriodUnknownError),
    '': plain(errors.NotFoundError),
  },
  [Code.FAILED_PRECONDITION]: {
    PERIOD_CLOSED: plain(errors.PeriodClosedError),
    PERIOD_OPEN: plain(errors.PeriodOpenError),
    PLAN_STALE: plain(errors.PlanStaleError),
    POSITION_UNKNOWN: plain(errors.PositionUnknownError),
  },
  [Code.ALREADY_EXISTS]: {
    AWARD_ARCHIVED: archived,
    AWARD_REVERSED: ({ reason, message, reversal }) => new errors.AwardReversedError(reason, message, reversal),
    '': plain(errors.AwardConflictError),
  },
  [Code.OUT_OF_RANGE]: {
    HISTORY_ARCHIVED: ({ reason, message, metadata }) =>
      new errors.HistoryArchivedError(reason, message, metadata['archived_position']),
    '': plain(errors.TotalOutOfRangeError),
  },
  [Code.RESOURCE_EXHAUSTED]: {
    QUOTA_EXCEEDED: later(errors.QuotaExceededError),
    // An evicted watcher, a server that sheds load, an answer over the size limit.
    '': later(errors.UnavailableError),
  },
  [Code.UNAVAILABLE]: { '': later(errors.UnavailableError) },
  [Code.DEADLINE_EXCEEDED]: { '': later(errors.UnavailableError) },
  // Never the caller's own cancellation, which ends with the reason of its signal.
  [Code.CANCELLED]: { '': later(errors.UnavailableError) },
};

/**
 * How `grpc-js` tells that a connection was lost under a call, as INTERNAL: where the session ends with an error, or a
 * stream is reset with a code that says nothing. Nothing is known of the call then, as of any lost connection.
 */
const LOST = /^Received RST_STREAM with code /;

/** Turn the status a call ended with into the error that says the same. */
export function fromStatus(ended: StatusObject): ScoreClientError {
  if (ended.code === Code.INTERNAL && LOST.test(ended.details)) {
    return new errors.UnavailableError('UNAVAILABLE', ended.details);
  }
  const details = readDetails(ended);
  const info = find(details, ErrorInfoSchema);
  const ours = info?.domain === DOMAIN ? info : undefined;
  const retry = find(details, RetryInfoSchema)?.retryDelay;
  const bad = find(details, BadRequestSchema)?.fieldViolations ?? [];
  return make(ended.code, ours?.reason ?? '', {
    message: ended.details,
    fields: Object.fromEntries(bad.map(({ field, description }) => [field, description])),
    retryAfterMs: retry ? Math.max(0, durationMs(retry)) : null,
    metadata: ours?.metadata ?? {},
    reversal: readReversal(details),
  });
}

/** Turn what is told of one award in a batch into the error that says the same. */
export function fromAwardError(error: AwardError): ScoreClientError {
  const { code, reason, message, fields, retryAfterSeconds, metadata } = error;
  const retryAfterMs = retryAfterSeconds === undefined ? null : Math.max(0, retryAfterSeconds * 1000);
  return make(code, reason, { message, fields, retryAfterMs, metadata, reversal: null });
}

function make(code: number, reason: string, told: Omit<Told, 'reason'>): ScoreClientError {
  const known = Code[code] === undefined ? Code.UNKNOWN : (code as Code);
  const byReason = ERRORS[known] ?? {};
  const found = Object.hasOwn(byReason, reason) ? byReason[reason] : byReason[''];
  return (found ?? serviceFault)({ ...told, reason: reason || (Code[known] as string) });
}

/** Details that contradict the status are worth nothing. */
function readDetails(ended: StatusObject): Status['details'] {
  const packed = ended.metadata.get(DETAILS)[0];
  if (!Buffer.isBuffer(packed)) return [];
  try {
    const told = fromBinary(StatusSchema, packed);
    return told.code === ended.code && told.message === ended.details ? told.details : [];
  } catch {
    return [];
  }
}

function find<Desc extends DescMessage>(details: Status['details'], schema: Desc): MessageShape<Desc> | undefined {
  const packed = details.find(({ typeUrl }) => typeUrl.endsWith(`/${schema.typeName}`));
  try {
    return packed && fromBinary(schema, packed.value);
  } catch {
    return undefined;
  }
}

function readReversal(details: Status['details']): Reversal | null {
  const message = find(details, ReversalSchema);
  try {
    return message ? decodeReversal(message) : null;
  } catch {
    return null;
  }
}
