/** From messages to the library's values. What the contract does not allow is a ServiceFaultError. */

import { durationMs, timestampMs } from '@bufbuild/protobuf/wkt';
import type { Duration, Timestamp } from '@bufbuild/protobuf/wkt';

import { malformed } from '../errors.js';
import { LatePolicy as WireLatePolicy } from '../generated/score_api/v1/board_service_pb.js';
import type * as boards from '../generated/score_api/v1/board_service_pb.js';
import { Visibility as WireVisibility } from '../generated/score_api/v1/correction_service_pb.js';
import type * as corrections from '../generated/score_api/v1/correction_service_pb.js';
import type * as leaderboards from '../generated/score_api/v1/leaderboard_service_pb.js';
import type * as ledger from '../generated/score_api/v1/ledger_service_pb.js';
import type * as scores from '../generated/score_api/v1/score_service_pb.js';
import {
  PeriodKind as WirePeriodKind,
  PeriodState as WirePeriodState,
  Source as WireSource,
} from '../generated/score_api/v1/types_pb.js';
import type * as wire from '../generated/score_api/v1/types_pb.js';
import type {
  AwardFilter,
  AwardResult,
  AwardsView,
  BoardsView,
  BoardView,
  Entry,
  LatePolicy,
  Period,
  PeriodKind,
  PeriodResult,
  PeriodState,
  PeriodsView,
  RecordedAward,
  Reversal,
  ReversalPlan,
  ReversalResult,
  Season,
  Source,
  Standing,
  StandingsView,
  StandingView,
  Visibility,
  VisibilityResult,
  WatchEvent,
} from '../types.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const PERIOD_KINDS = new Map<WirePeriodKind, PeriodKind>([
  [WirePeriodKind.DAY, 'day'],
  [WirePeriodKind.WEEK, 'week'],
  [WirePeriodKind.MONTH, 'month'],
  [WirePeriodKind.SEASON, 'season'],
]);
const PERIOD_STATES = new Map<WirePeriodState, PeriodState>([
  [WirePeriodState.OPEN, 'open'],
  [WirePeriodState.CLOSING, 'closing'],
  [WirePeriodState.REVIEW, 'review'],
  [WirePeriodState.FINAL, 'final'],
]);
const LATE_POLICIES = new Map<WireLatePolicy, LatePolicy>([
  [WireLatePolicy.CURRENT, 'current'],
  [WireLatePolicy.ALL_TIME, 'all_time'],
  [WireLatePolicy.REFUSE, 'refuse'],
]);
const VISIBILITIES = new Map<WireVisibility, Visibility>([
  [WireVisibility.VISIBLE, 'visible'],
  [WireVisibility.HIDDEN, 'hidden'],
  [WireVisibility.SHADOWED, 'shadowed'],
]);

export function decodeAward(message: scores.AwardResult | undefined): AwardResult {
  const { awardId, revision, position, points, total, rank, replayed, reversed } = present(message);
  return { awardId: uuid(awardId), revision, position, points, total, rank: rank ?? null, replayed, reversed };
}

export function decodeStandingView(message: leaderboards.GetStandingResponse): StandingView {
  return { standing: standing(present(message.standing)), ...at(message), period: period(message.period) };
}

export function decodeStandingsView(
  message:
    | leaderboards.BatchGetStandingsResponse
    | leaderboards.ListStandingsResponse
    | leaderboards.ListStandingsAroundResponse,
): StandingsView {
  return {
    standings: message.standings.map(standing),
    nextPageToken: 'nextPageToken' in message ? message.nextPageToken : '',
    ...at(message),
    period: period(message.period),
  };
}

/** Read one message of a watch. Of a kind not known yet, the position is all that counts. */
export function decodeEvent(response: leaderboards.WatchLeaderboardResponse): WatchEvent {
  const { message } = response;
  switch (message.case) {
    case 'snapshot': {
      const { top, reset, period: shown } = message.value;
      return { kind: 'snapshot', top: top.map(standing), reset, ...at(response), period: period(shown) };
    }
    case 'update': {
      const { top, topChanged, scores: changed } = message.value;
      const newTop = topChanged ? top.map(standing) : null;
      return { kind: 'update', top: newTop, scores: changed.map(standing), ...at(response) };
    }
    default:
      return { kind: 'checkpoint', ...at(response) };
  }
}

/** Read one entry; undefined for a checkpoint, and for a kind not known yet. */
export function decodeEntry(message: ledger.StreamEntriesResponse): Entry | undefined {
  const { entry, revision, position } = message;
  switch (entry.case) {
    case 'award':
      return { kind: 'award', revision, position, content: recordedAward(entry.value) };
    case 'reversal':
      return { kind: 'reversal', revision, position, content: decodeReversal(entry.value) };
    case 'visibility': {
      const { userId, visibility, reason, actor, onBehalfOf, recordedAt } = entry.value;
      const seenBy = known(VISIBILITIES, visibility);
      const content = { userId, visibility: seenBy, reason, actor, onBehalfOf, recordedAt: instant(recordedAt) };
      return { kind: 'visibility', revision, position, content };
    }
    case 'periodClosed': {
      const { digest, finalRevision, recordedAt } = entry.value;
      const closed = knownPeriod(present(entry.value.period));
      const content = { period: closed, digest, finalRevision, recordedAt: instant(recordedAt) };
      return { kind: 'period_closed', revision, position, content };
    }
    case 'settings': {
      const { board, actor, recordedAt } = entry.value;
      const content = { board: decodeBoard(board), actor, recordedAt: instant(recordedAt) };
      return { kind: 'settings', revision, position, content };
    }
    case 'archived': {
      const { archivedRevision, archivedPosition, awards, actor, recordedAt } = entry.value;
      const content = { archivedRevision, archivedPosition, awards, actor, recordedAt: instant(recordedAt) };
      return { kind: 'archived', revision, position, content };
    }
    default:
      return undefined;
  }
}

export function decodeReversal(message: wire.Reversal): Reversal {
  const { awardRevision, userId, points, total, revision, position, reason, actor, onBehalfOf } = message;
  return {
    reversalId: uuid(message.reversalId),
    awardId: uuid(message.awardId),
    awardRevision,
    userId,
    points,
    total,
    revision,
    position,
    reason,
    actor,
    onBehalfOf,
    recordedAt: instant(message.recordedAt),
    finalPeriods: message.finalPeriods,
  };
}

export function decodeReversalResult(message: corrections.ReverseAwardResponse): ReversalResult {
  const reversal = decodeReversal(present(message.reversal));
  return { reversal, rank: message.rank ?? null, replayed: message.replayed };
}

export function decodePlan(
  boardId: string,
  awardFilter: AwardFilter,
  message: corrections.ReverseAwardsResponse,
): ReversalPlan {
  const { awards, points, users, revision, planToken } = message;
  const moves = message.moves.map(({ userId, totalBefore, totalAfter, rankBefore, rankAfter }) => ({
    userId,
    totalBefore,
    totalAfter,
    rankBefore: rankBefore ?? null,
    rankAfter: rankAfter ?? null,
  }));
  return { boardId, awardFilter, awards, points, users, moves, revision, token: planToken };
}

export function decodeVisibility(message: corrections.SetUserVisibilityResponse): VisibilityResult {
  const { revision, position } = message;
  const before = known(VISIBILITIES, message.before);
  return { visibility: known(VISIBILITIES, message.visibility), before, revision, position };
}

export function decodeAwardsView(message: ledger.ListAwardsResponse): AwardsView {
  const { nextPageToken, archivedRevision } = message;
  return { awards: message.awards.map(recordedAward), nextPageToken, archivedRevision };
}

export function decodePeriodResult(message: boards.PeriodResult | undefined): PeriodResult {
  const result = present(message);
  const { digest, finalRevision, entryRevision, timeZone, zoneDataVersion, truncated, reversedAfter } = result;
  return {
    period: knownPeriod(present(result.period)),
    winners: result.winners.map(standing),
    digest,
    finalRevision,
    entryRevision,
    timeZone,
    zoneDataVersion,
    truncated,
    reversedAfter,
    reversalsAfter: result.reversalsAfter.map(decodeReversal),
  };
}

export function decodePeriodsView(message: boards.ListPeriodsResponse): PeriodsView {
  return { results: message.results.map(decodePeriodResult), nextPageToken: message.nextPageToken };
}

export function decodeBoard(message: boards.Board | undefined): BoardView {
  const board = present(message);
  const { boardId, timeZone, keep, settingsRevision, revision, position } = board;
  return {
    boardId,
    timeZone,
    periods: board.periods.map((kind) => known(PERIOD_KINDS, kind)),
    seasons: board.seasons.map(season),
    graceMs: duration(board.grace),
    late: known(LATE_POLICIES, board.late),
    keep,
    settingsRevision,
    revision,
    position,
  };
}

export function decodeBoardsView(message: boards.ListBoardsResponse): BoardsView {
  return { boards: message.boards.map(decodeBoard), nextPageToken: message.nextPageToken };
}

function standing(message: wire.Standing): Standing {
  const { userId, total, rank, reachedRevision, hidden } = message;
  return { userId, total, rank: rank ?? null, reachedRevision, hidden };
}

function at(message: { revision: bigint; position: string; source: WireSource }): {
  revision: bigint;
  position: string;
  source: Source;
} {
  // A store that this version does not know is not the record.
  const source = message.source === WireSource.RECORD ? 'record' : 'cache';
  return { revision: message.revision, position: message.position, source };
}

function period(message: wire.Period | undefined): Period | null {
  return message ? knownPeriod(message) : null;
}

function knownPeriod(message: wire.Period): Period {
  const { nextStartsAt, entrants } = message;
  return {
    periodId: message.id,
    kind: known(PERIOD_KINDS, message.kind),
    startsAt: instant(message.startsAt),
    endsAt: instant(message.endsAt),
    closesAt: instant(message.closesAt),
    state: known(PERIOD_STATES, message.state),
    nextStartsAt: nextStartsAt ? instant(nextStartsAt) : null,
    entrants,
  };
}

function season(message: boards.Season): Season {
  const { seasonId, startsAt, endsAt, review } = message;
  return { seasonId, startsAt: instant(startsAt), endsAt: instant(endsAt), reviewMs: duration(review) };
}

function recordedAward(message: ledger.RecordedAward): RecordedAward {
  const { revision, userId, points, total, actionType, actionId, caller, traceId, periods } = message;
  return {
    awardId: uuid(message.awardId),
    revision,
    userId,
    points,
    total,
    actionType,
    actionId,
    caller,
    traceId,
    recordedAt: instant(message.recordedAt),
    occurredAt: message.occurredAt ? instant(message.occurredAt) : null,
    periods,
    reversal: message.reversal ? decodeReversal(message.reversal) : null,
  };
}

function uuid(text: string): string {
  if (!UUID.test(text)) throw malformed('The answer names no award.');
  return text;
}

function instant(message: Timestamp | undefined): Date {
  const time = new Date(message ? timestampMs(message) : 0);
  if (Number.isNaN(time.getTime())) throw malformed('The answer names a time that does not exist.');
  return time;
}

function duration(message: Duration | undefined): number {
  return message ? durationMs(message) : 0;
}

function present<T>(message: T | undefined): T {
  if (message === undefined) throw malformed();
  return message;
}

function known<K, V>(values: ReadonlyMap<K, V>, key: K): V {
  const value = values.get(key);
  if (value === undefined) throw malformed('The answer has a value that is not known.');
  return value;
}
