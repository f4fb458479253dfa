/**
 * The client: one object for all calls to the score service.
 *
 * Its methods may be called many times at once. A call takes its timeout at most, all tries together. What is sent is
 * judged by the service and not a second time here.
 */

import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';

import { create, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, DescMethodUnary, MessageShape } from '@bufbuild/protobuf';
// Node's own `randomUUIDv7` is not in every version from 20 on, and its ids of one millisecond are in no order.
import { v7 as orderedUUID } from 'uuid';

import { Awards } from './calls/awards.js';
import { CorrectionCalls } from './calls/corrections.js';
import type { CallOptions } from './calls/corrections.js';
import { ENTRIES_PER_MESSAGE, readEntries } from './calls/entries.js';
import { retriedCalls } from './calls/retry.js';
import { decode, pathOf, sendOnce } from './calls/unary.js';
import { watchEvents } from './calls/watch.js';
import { RenewedChannel } from './connection/channel.js';
import type { ClientCredentials } from './connection/credentials.js';
import { HEALTH_REQUEST, isServing } from './connection/server.js';
import { invalid, UnavailableError } from './errors.js';
import * as boards from './generated/score_api/v1/board_service_pb.js';
import * as leaderboards from './generated/score_api/v1/leaderboard_service_pb.js';
import { StreamEntriesRequestSchema } from './generated/score_api/v1/ledger_service_pb.js';
import * as scores from './generated/score_api/v1/score_service_pb.js';
import {
  decodeAward,
  decodeBoard,
  decodeBoardsView,
  decodePeriodResult,
  decodePeriodsView,
  decodeStandingsView,
  decodeStandingView,
} from './messages/decode.js';
import * as encode from './messages/encode.js';
import type {
  AwardResult,
  BoardsView,
  BoardView,
  CertificateStatus,
  Entry,
  EntryKind,
  PeriodKind,
  PeriodResult,
  PeriodsView,
  StandingsView,
  StandingView,
  WatchEvent,
} from './types.js';

const LONGEST_TIMEOUT_MS = 86_400_000;
const HEALTH_CHECK = '/grpc.health.v1.Health/Check';

export interface ClientOptions {
  /** The certificate files. They are read again when they change. */
  readonly credentials: ClientCredentials;
  /** How long a call may take, if it does not say otherwise. By default 5 s. */
  readonly timeoutMs?: number;
  /** How long one try of a call may take, before it is tried again within its timeout. By default 2 s. */
  readonly attemptTimeoutMs?: number;
  /**
   * How long a watch may receive nothing before it reconnects. By default 45 s: the service sends a sign of life every
   * 15 s.
   */
  readonly stallTimeoutMs?: number;
  /** The time between two looks at the certificate files. By default 5 s. */
  readonly certificateCheckIntervalMs?: number;
  /**
   * After which time a connection is replaced, though the files are the same. It bounds for how long the service's
   * certificate may have ended since it was checked. A connection to a server whose certificate has expired is closed
   * at the next look at the files. By default 30 min.
   */
  readonly connectionAgeMs?: number;
  /**
   * For how long a renewed certificate has been valid before it is used, while the old one is valid: for servers whose
   * clocks are behind. 0 uses it at once. By default 5 min.
   */
  readonly certificateActivationDelayMs?: number;
  /** The name the service's certificate must carry, if it is not the one in the target. */
  readonly serverName?: string;
}

/** Points for one action of one user. */
export interface Award {
  /** The board; made by its first award. Ids are 1 to 128 characters of `[A-Za-z0-9._:@-]`. */
  readonly boardId: string;
  /** Who gets the points. */
  readonly userId: string;
  /** 1 to 1,000,000, and not more than the service's policy allows the caller. */
  readonly points: bigint | number;
  /** The kind of action. */
  readonly actionType: string;
  readonly actionId: string;
  /**
   * Names the award on its board for ever, a UUID. By default a new one of version 7, which costs a long ledger less than
   * a random one.
   */
  readonly awardId?: string;
  /** Names this logical call, also in the service's log, a UUID. By default a new one. */
  readonly requestId?: string;
  /** A W3C trace id, 32 hexadecimal digits, for the service's log and ledger. */
  readonly traceId?: string;
  /**
   * When it happened: not in the future, and no longer ago than the service's policy allows the caller. It decides in
   * which periods of the board the award counts. By default the time at which the service records it.
   */
  readonly occurredAt?: Date;
}

/** What a read of standings takes. */
export interface Read {
  readonly boardId: string;
  /** The answer holds at this revision or a later one. Give that of an award to read your own write. */
  readonly minRevision?: bigint;
  /**
   * `all_time`, which is also what the empty text means; `day`, `week`, `month` or `season` for the current one;
   * `day:previous` and so on for the last one that is final; or an id such as `week:2026-W49`.
   */
  readonly period?: string;
}

export interface Watch {
  readonly boardId: string;
  /** How much of the top to tell, 1 to 100. By default 10. */
  readonly topN?: number;
  /** Where an earlier watch ended. The score changes since then follow the first snapshot. */
  readonly afterPosition?: string;
  /** Tell the score changes of every user. */
  readonly allScores?: boolean;
  /** Tell the score changes of these users, at most 1000. */
  readonly userIds?: Iterable<string>;
  /** Which standings to follow. A watch of a current period goes on with the next one, by a snapshot that names it. */
  readonly period?: string;
}

/** A client of the score service, open until it is closed. */
export class ScoreClient extends CorrectionCalls implements AsyncDisposable {
  readonly #channel: RenewedChannel;
  readonly #awards: Awards;
  readonly #timeoutMs: number;
  readonly #attemptTimeoutMs: number;
  readonly #stallTimeoutMs: number;

  private constructor(channel: RenewedChannel, timeouts: { call: number; attempt: number; stall: number }) {
    super();
    this.#channel = channel;
    this.#timeoutMs = timeouts.call;
    this.#attemptTimeoutMs = timeouts.attempt;
    this.#stallTimeoutMs = timeouts.stall;
    this.#awards = new Awards(channel, timeouts.attempt);
  }

  /**
   * Open a client; it connects in the background.
   *
   * @param target a gRPC name such as `dns:///score-service:50051`; calls go round all healthy servers behind it
   * @throws CredentialsError if the certificate files cannot be used
   * @throws InvalidRequestError if a time is not above 0 (the delay may be 0), or is more than a day
   */
  static async open(target: string, options: ClientOptions): Promise<ScoreClient> {
    const timeouts = {
      call: duration('timeoutMs', options.timeoutMs ?? 5_000),
      attempt: duration('attemptTimeoutMs', options.attemptTimeoutMs ?? 2_000),
      stall: duration('stallTimeoutMs', options.stallTimeoutMs ?? 45_000),
    };
    const delay = options.certificateActivationDelayMs ?? 300_000;
    const settings = {
      serverName: options.serverName,
      checkIntervalMs: duration('certificateCheckIntervalMs', options.certificateCheckIntervalMs ?? 5_000),
      connectionAgeMs: duration('connectionAgeMs', options.connectionAgeMs ?? 1_800_000),
      activationDelayMs: delay === 0 ? 0 : duration('certificateActivationDelayMs', delay),
    };
    const channel = await RenewedChannel.open(target, options.credentials, settings);
    setMaxListeners(0, channel.closing); // Each call under way listens.
    return new ScoreClient(channel, timeouts);
  }

  /** Close the client. Calls and watches still under way end with ClientClosedError. */
  async close(): Promise<void> {
    await this.#channel.close();
    await this.#awards.finish();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * Return when the certificate in use and its authority expire, and whether the files are in use. It reads no file:
   * export it as metrics, and alert before either ends or while there is a fault.
   */
  certificateStatus(): CertificateStatus {
    return this.#channel.status();
  }

  /**
   * Give a user points, exactly once for each (`boardId`, `awardId`).
   *
   * Awards asked for at the same time share a call to the service. All tries of one call carry the same ids, so that a
   * retry after a lost answer is told the first outcome. After an UnavailableError, send the award again with the same
   * two ids. A caller whose signal is aborted only stops waiting.
   *
   * @throws AwardArchivedError if the award was made before, and is archived
   * @throws AwardConflictError, TotalOutOfRangeError, PeriodClosedError, OccurredAtOutOfRangeError, QuotaExceededError,
   * InvalidRequestError, NotAuthenticatedError, NotAllowedError: the award was rejected
   * @throws UnavailableError, ServiceFaultError: the outcome is unknown
   */
  async award(award: Award, options: CallOptions = {}): Promise<AwardResult> {
    const request = create(scores.AwardPointsRequestSchema, {
      award: {
        awardId: encode.uuid('award.award_id', award.awardId ?? orderedUUID()),
        boardId: encode.text('award.board_id', award.boardId),
        userId: encode.text('award.user_id', award.userId),
        points: encode.int64('award.points', award.points),
        actionType: encode.text('award.action_type', award.actionType),
        actionId: encode.text('award.action_id', award.actionId),
        ...(award.occurredAt && { occurredAt: encode.instant('award.occurred_at', award.occurredAt) }),
      },
      requestId: encode.uuid('request_id', award.requestId ?? randomUUID()),
      traceId: encode.traceId(award.traceId),
    });
    const result = await this.#awards.send(request, this.#within(options), options.signal);
    return decodeAward(result);
  }

  /**
   * Return the first result of an award.
   *
   * @throws AwardNotFoundError; HistoryArchivedError if the award was made, and is archived
   */
  async getAward({ boardId, awardId }: { boardId: string; awardId: string }, options: CallOptions = {}): Promise<AwardResult> {
    const request = create(scores.GetAwardRequestSchema, {
      boardId: encode.text('board_id', boardId),
      awardId: encode.uuid('award_id', awardId),
    });
    return decodeAward((await this.call(scores.ScoreService.method.getAward, request, options)).result);
  }

  /**
   * Ask whether the service is there and ready. That costs it nothing but the answer.
   *
   * @throws NotAllowedError if the policy does not name the caller; UnavailableError if it is not there, or not ready
   */
  async ping(options: CallOptions = {}): Promise<void> {
    const answer = await this.#send(HEALTH_CHECK, HEALTH_REQUEST, options);
    if (!isServing(answer)) throw new UnavailableError('NOT_SERVING', 'The service is not ready.');
  }

  /**
   * Return one user's standing.
   *
   * @throws StandingNotFoundError, BoardNotFoundError, PeriodUnknownError
   */
  async getStanding(read: Read & { userId: string }, options: CallOptions = {}): Promise<StandingView> {
    const request = create(leaderboards.GetStandingRequestSchema, {
      ...reading(read),
      userId: encode.text('user_id', read.userId),
    });
    return decodeStandingView(await this.call(leaderboards.LeaderboardService.method.getStanding, request, options));
  }

  /**
   * Return the standings of 1 to 1000 users, in their order; users without an award are left out.
   *
   * @throws BoardNotFoundError, PeriodUnknownError
   */
  async batchGetStandings(read: Read & { userIds: Iterable<string> }, options: CallOptions = {}): Promise<StandingsView> {
    const request = create(leaderboards.BatchGetStandingsRequestSchema, {
      ...reading(read),
      userIds: encode.texts('user_ids', read.userIds),
    });
    const { batchGetStandings } = leaderboards.LeaderboardService.method;
    return decodeStandingsView(await this.call(batchGetStandings, request, options));
  }

  /**
   * Return a page of the board, best first; above 1000 standings a page means 1000.
   *
   * @throws BoardNotFoundError, PeriodUnknownError
   */
  async listStandings(
    read: Read & { pageSize?: number; pageToken?: string },
    options: CallOptions = {},
  ): Promise<StandingsView> {
    const request = create(leaderboards.ListStandingsRequestSchema, {
      ...reading(read),
      pageSize: encode.int32('page_size', read.pageSize ?? 50),
      pageToken: encode.text('page_token', read.pageToken ?? ''),
    });
    return decodeStandingsView(await this.call(leaderboards.LeaderboardService.method.listStandings, request, options));
  }

  /**
   * Return a user's standing between its neighbours, `radius` (0 to 100, by default 2) on each side.
   *
   * @throws StandingNotFoundError, BoardNotFoundError, PeriodUnknownError
   */
  async listStandingsAround(
    read: Read & { userId: string; radius?: number },
    options: CallOptions = {},
  ): Promise<StandingsView> {
    const request = create(leaderboards.ListStandingsAroundRequestSchema, {
      ...reading(read),
      userId: encode.text('user_id', read.userId),
      radius: encode.int32('radius', read.radius ?? 2),
    });
    const { listStandingsAround } = leaderboards.LeaderboardService.method;
    return decodeStandingsView(await this.call(listStandingsAround, request, options));
  }

  /**
   * Yield the top of the board, and then what changes, until the caller has enough.
   *
   * A broken stream is resumed after the last event that was handled, for as long as it takes. The snapshot it begins
   * with is passed on; with `reset`, the scores seen so far are of no worth any more.
   *
   * @throws BoardNotFoundError; PeriodUnknownError, also when there is no current period any more;
   * InvalidRequestError, NotAuthenticatedError, NotAllowedError: the watch was rejected
   */
  async *watch(watch: Watch, options: Pick<CallOptions, 'signal'> = {}): AsyncGenerator<WatchEvent, void, undefined> {
    const request = create(leaderboards.WatchLeaderboardRequestSchema, {
      boardId: encode.text('board_id', watch.boardId),
      topN: encode.int32('top_n', watch.topN ?? 10),
      allScores: watch.allScores ?? false,
      userIds: encode.texts('user_ids', watch.userIds ?? []),
      period: encode.text('period', watch.period ?? ''),
      ...(watch.afterPosition !== undefined && { afterPosition: encode.text('after_position', watch.afterPosition) }),
    });
    yield* watchEvents(this.#channel, request, this.#patience, this.#signal(options));
  }

  /**
   * Yield the entries of the board's ledger in order, and go on with new ones as they are made.
   *
   * Each comes once, and none is left out of the kinds that are asked for. A broken stream is resumed after the last
   * entry that was handled, for as long as it takes. Only what all synchronous standbys of the record have is handed
   * over, so that no failover takes it back.
   *
   * Keep the `position` of an entry once it has been handled, and go on from there another time: `afterPosition`, the
   * empty text for the start of the ledger. Readers of rare kinds on a board that is archived must keep the positions of
   * `onCheckpoint` as well: it is called where the ledger has gone on without such entries, once the ones before were
   * handled.
   *
   * @throws BoardNotFoundError; InvalidRequestError, NotAuthenticatedError, NotAllowedError: the request was rejected
   * @throws PositionUnknownError if the position is not of the board's ledger: the record was restored to an earlier
   * state. What was read after that state never happened.
   * @throws HistoryArchivedError if entries after the position are archived. It says where they may go on.
   */
  async *entries(
    { boardId, afterPosition, kinds }: { boardId: string; afterPosition?: string; kinds?: Iterable<EntryKind> },
    options: Pick<CallOptions, 'signal'> & { onCheckpoint?: (position: string) => void } = {},
  ): AsyncGenerator<Entry, void, undefined> {
    const request = create(StreamEntriesRequestSchema, {
      boardId: encode.text('board_id', boardId),
      afterPosition: encode.text('after_position', afterPosition ?? ''),
      kinds: encode.entryKinds('kinds', kinds ?? []),
      entriesPerMessage: ENTRIES_PER_MESSAGE,
    });
    const { onCheckpoint = () => undefined } = options;
    yield* readEntries(this.#channel, request, this.#patience, this.#signal(options), onCheckpoint);
  }

  /**
   * Return a board and its settings.
   *
   * @throws BoardNotFoundError
   */
  async getBoard({ boardId }: { boardId: string }, options: CallOptions = {}): Promise<BoardView> {
    const request = create(boards.GetBoardRequestSchema, { boardId: encode.text('board_id', boardId) });
    return decodeBoard((await this.call(boards.BoardService.method.getBoard, request, options)).board);
  }

  /** Return a page of the boards that the policy lets the caller see, in the order of their ids. */
  async listBoards(
    { pageSize, pageToken }: { pageSize?: number; pageToken?: string } = {},
    options: CallOptions = {},
  ): Promise<BoardsView> {
    const request = create(boards.ListBoardsRequestSchema, {
      pageSize: encode.int32('page_size', pageSize ?? 50),
      pageToken: encode.text('page_token', pageToken ?? ''),
    });
    return decodeBoardsView(await this.call(boards.BoardService.method.listBoards, request, options));
  }

  /**
   * Return a period with its best, 0 to 100 of them.
   *
   * @throws BoardNotFoundError, PeriodUnknownError
   */
  async getPeriod(
    { boardId, period, winners }: { boardId: string; period: string; winners?: number },
    options: CallOptions = {},
  ): Promise<PeriodResult> {
    const request = create(boards.GetPeriodRequestSchema, {
      boardId: encode.text('board_id', boardId),
      period: encode.text('period', period),
      winners: encode.int32('winners', winners ?? 0),
    });
    return decodePeriodResult((await this.call(boards.BoardService.method.getPeriod, request, options)).result);
  }

  /**
   * Return a page of the periods that anyone has points in, the last to end first; of one kind or of all, each with its
   * best, 0 to 100 of them.
   *
   * @throws BoardNotFoundError
   */
  async listPeriods(
    page: { boardId: string; kind?: PeriodKind; winners?: number; pageSize?: number; pageToken?: string },
    options: CallOptions = {},
  ): Promise<PeriodsView> {
    const request = create(boards.ListPeriodsRequestSchema, {
      boardId: encode.text('board_id', page.boardId),
      kind: encode.periodKind('kind', page.kind),
      winners: encode.int32('winners', page.winners ?? 0),
      pageSize: encode.int32('page_size', page.pageSize ?? 50),
      pageToken: encode.text('page_token', page.pageToken ?? ''),
    });
    return decodePeriodsView(await this.call(boards.BoardService.method.listPeriods, request, options));
  }

  protected async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageShape<I>,
    options: CallOptions,
  ): Promise<MessageShape<O>> {
    return decode(method.output, await this.#send(pathOf(method), toBinary(method.input, request), options));
  }

  async #send(path: string, body: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    const signal = this.#signal(options);
    const attempt = async (timeoutMs: number): Promise<Uint8Array> =>
      await sendOnce(this.#channel, { path, body, timeoutMs, signal });
    return await retriedCalls(attempt, {
      withinMs: this.#within(options),
      callTimeoutMs: this.#attemptTimeoutMs,
      signal,
    });
  }

  #within({ timeoutMs }: CallOptions): number {
    return timeoutMs === undefined ? this.#timeoutMs : duration('timeoutMs', timeoutMs);
  }

  /** What ends a call: the client, and the signal of the caller if there is one. */
  #signal({ signal }: CallOptions): AbortSignal {
    return signal ? AbortSignal.any([this.#channel.closing, signal]) : this.#channel.closing;
  }

  get #patience(): { firstMs: number; stallMs: number } {
    return { firstMs: this.#timeoutMs, stallMs: this.#stallTimeoutMs };
  }
}

function reading({ boardId, minRevision, period }: Read): { boardId: string; period: string; minRevision?: bigint } {
  return {
    boardId: encode.text('board_id', boardId),
    period: encode.text('period', period ?? ''),
    ...(minRevision !== undefined && { minRevision: encode.int64('min_revision', minRevision) }),
  };
}

function duration(field: string, value: number): number {
  if (typeof value === 'number' && value > 0 && value <= LONGEST_TIMEOUT_MS) return value;
  throw invalid({ [field]: `must be above 0 and at most ${LONGEST_TIMEOUT_MS} milliseconds` });
}
