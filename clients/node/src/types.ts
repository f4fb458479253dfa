/**
 * What the service answers, as plain values.
 *
 * A revision counts the entries of a board, and a position is a revision together with the history it belongs to.
 * Positions are opaque: keep them, compare them for equality, hand them back. A rank is 1 for the best, and null where
 * it is not known. Whole numbers of the ledger are `bigint`; instants are to the millisecond.
 */

/** Which store answered a read: the projection in Redis, or the record in PostgreSQL. */
export type Source = 'cache' | 'record';

/** How the periods of a board follow each other. */
export type PeriodKind = 'day' | 'week' | 'month' | 'season';

/** How far a period has come. In `review` no award counts in it any more, and corrections still do. */
export type PeriodState = 'open' | 'closing' | 'review' | 'final';

/** What becomes of an award that belongs to a period that is closed already. */
export type LatePolicy = 'current' | 'all_time' | 'refuse';

/** Who may see a user on a board. A shadowed user is hidden, and does not notice. */
export type Visibility = 'visible' | 'hidden' | 'shadowed';

/** A range of time in which a board counts from 0: from `startsAt` to before `endsAt`. */
export interface Period {
  /** `day:2026-11-30`, `week:2026-W49`, `month:2026-11` or `season:NAME`. */
  readonly periodId: string;
  readonly kind: PeriodKind;
  readonly startsAt: Date;
  readonly endsAt: Date;
  /** From here on no award counts in it: its end, and the grace of the board. */
  readonly closesAt: Date;
  readonly state: PeriodState;
  /** Where the next one of its kind starts; null where none is known. */
  readonly nextStartsAt: Date | null;
  /** How many users have points in it. */
  readonly entrants: bigint;
}

/** What an award did when it was first made. */
export interface AwardResult {
  readonly awardId: string;
  /** The award's number in the board's ledger. */
  readonly revision: bigint;
  /** The position of the commit that holds the award. */
  readonly position: string;
  readonly points: bigint;
  /** The user's total right after this award. */
  readonly total: bigint;
  /** The user's current rank. */
  readonly rank: bigint | null;
  /** True if another request made this award before. */
  readonly replayed: boolean;
  /** True if the award was taken back since. It is never made again. */
  readonly reversed: boolean;
}

/** One user's place on one board. */
export interface Standing {
  readonly userId: string;
  /** The sum of the user's awards, 0 to 2^53-1. */
  readonly total: bigint;
  /** Of equal totals, the one reached earlier is better. */
  readonly rank: bigint | null;
  /** The revision at which the user reached this total. */
  readonly reachedRevision: bigint;
  /** True for a user that no list has, and only the user may be shown it. */
  readonly hidden: boolean;
}

/** Where an answer holds, and which store gave it. */
interface At {
  readonly revision: bigint;
  readonly position: string;
  readonly source: Source;
}

/** One user's standing, and its period; null for all time. */
export interface StandingView extends At {
  readonly standing: Standing;
  readonly period: Period | null;
}

/** Several standings, best first or in the order of the users asked for. */
export interface StandingsView extends At {
  readonly standings: readonly Standing[];
  /** Where the next page starts; empty on the last page and where there are no pages. */
  readonly nextPageToken: string;
  readonly period: Period | null;
}

/** The whole top of a board: the first event of a watch, of each reconnect, and of each period. */
export interface Snapshot extends At {
  readonly kind: 'snapshot';
  readonly top: readonly Standing[];
  /** True if the position to resume from is of another history or too far back: forget every score you have. */
  readonly reset: boolean;
  /** The period that is shown. When it is another one than before, the watch has gone on with the next. */
  readonly period: Period | null;
}

/** What changed since the event before. */
export interface Update extends At {
  readonly kind: 'update';
  /** The whole top, best first, or null if none of it changed. */
  readonly top: readonly Standing[] | null;
  /** The newest standing of each user whose total changed, of the users asked for. */
  readonly scores: readonly Standing[];
}

/** A sign of life: nothing that was asked for has changed up to this position. */
export interface Checkpoint extends At {
  readonly kind: 'checkpoint';
}

export type WatchEvent = Snapshot | Update | Checkpoint;

/** An award that was taken back. */
export interface Reversal {
  readonly reversalId: string;
  readonly awardId: string;
  readonly awardRevision: bigint;
  readonly userId: string;
  readonly points: bigint;
  /** The user's total right after it; 0 if no award was left. */
  readonly total: bigint;
  readonly revision: bigint;
  /** The position of the commit that holds it; empty in lists. */
  readonly position: string;
  readonly reason: string;
  /** The SPIFFE id of the service that asked for it. */
  readonly actor: string;
  /** For whom it did so; empty if for itself. */
  readonly onBehalfOf: string;
  readonly recordedAt: Date;
  /** The periods whose result was final by then, and has the award still. */
  readonly finalPeriods: readonly string[];
}

/** What taking an award back did. */
export interface ReversalResult {
  readonly reversal: Reversal;
  /** The user's rank now. */
  readonly rank: bigint | null;
  /** True if it was made before. */
  readonly replayed: boolean;
}

/** Selects awards of a board. Each property that is given narrows it; one at least is. */
export interface AwardFilter {
  /** Made by this service: its SPIFFE id. */
  readonly caller?: string;
  readonly actionId?: string;
  readonly actionType?: string;
  readonly userId?: string;
  /** Recorded from this instant on. */
  readonly recordedFrom?: Date;
  /** Recorded before this instant. */
  readonly recordedUntil?: Date;
}

/** What a plan of reversals would do to one user. A rank is null where the user has none. */
export interface RankMove {
  readonly userId: string;
  readonly totalBefore: bigint;
  readonly totalAfter: bigint;
  readonly rankBefore: bigint | null;
  readonly rankAfter: bigint | null;
}

/** What taking back all awards of a filter would change. */
export interface ReversalPlan {
  readonly boardId: string;
  readonly awardFilter: AwardFilter;
  /** How many awards there are. Those that were reversed before are not counted. */
  readonly awards: bigint;
  readonly points: bigint;
  readonly users: bigint;
  /** Who is among the first 100 now or would be then, and whose rank or total would be another. */
  readonly moves: readonly RankMove[];
  /** The revision of the board up to which awards were selected. */
  readonly revision: bigint;
  /** What an apply needs. Opaque. */
  readonly token: string;
}

/** Who may see a user now. */
export interface VisibilityResult {
  readonly visibility: Visibility;
  /** As it was before this call. */
  readonly before: Visibility;
  /** The revision of the board that set it; 0 if it was never set. */
  readonly revision: bigint;
  readonly position: string;
}

/** An award as the ledger has it. */
export interface RecordedAward {
  readonly awardId: string;
  readonly revision: bigint;
  readonly userId: string;
  readonly points: bigint;
  /** The user's total right after it. */
  readonly total: bigint;
  readonly actionType: string;
  readonly actionId: string;
  /** The SPIFFE id of the service that made it. */
  readonly caller: string;
  /** A W3C trace id; empty where there is none. */
  readonly traceId: string;
  readonly recordedAt: Date;
  /** When it happened, where the caller said so. */
  readonly occurredAt: Date | null;
  /** The ids of the periods that it counts in. */
  readonly periods: readonly string[];
  /** The reversal that stands, if it was taken back. Always null in `entries()`, where it is an entry of its own. */
  readonly reversal: Reversal | null;
}

/** A page of awards, newest first; `nextPageToken` is empty on the last page. */
export interface AwardsView {
  readonly awards: readonly RecordedAward[];
  readonly nextPageToken: string;
  /** The awards up to this revision are archived, and on no page; 0 where none are. */
  readonly archivedRevision: bigint;
}

/** A period with its result, so far or for good. */
export interface PeriodResult {
  readonly period: Period;
  /** The best, in order, as many as were asked for. */
  readonly winners: readonly Standing[];
  /** SHA-256 of the final standings; empty until the period is final. */
  readonly digest: Uint8Array;
  /** The revision of the board at which the standings were final; 0 until then. */
  readonly finalRevision: bigint;
  /** The revision of the entry of the ledger that says so; 0 until then. */
  readonly entryRevision: bigint;
  readonly timeZone: string;
  /** The version of the zone data, such as `2026f`. */
  readonly zoneDataVersion: string;
  /** True if only the top of a final period is kept. */
  readonly truncated: boolean;
  /** How many awards were taken back after its result was final, which has them still. */
  readonly reversedAfter: bigint;
  /** The newest of these, at most 100. Of `getPeriod` alone. */
  readonly reversalsAfter: readonly Reversal[];
}

/** A page of periods, the last to end first; `nextPageToken` is empty on the last page. */
export interface PeriodsView {
  readonly results: readonly PeriodResult[];
  readonly nextPageToken: string;
}

/** A period with a name, and a start and an end of its own. The id of its period is `season:` and its name. */
export interface Season {
  readonly seasonId: string;
  readonly startsAt: Date;
  readonly endsAt: Date;
  /** How long corrections still count after it has closed for awards. */
  readonly reviewMs: number;
}

/** A board and its settings. */
export interface BoardView {
  readonly boardId: string;
  /** A name of the IANA zone data. */
  readonly timeZone: string;
  /** Which of day, week and month the board has. */
  readonly periods: readonly PeriodKind[];
  /** Its seasons, in the order of their starts. */
  readonly seasons: readonly Season[];
  /** How long after its end a period still takes awards that happened in it. */
  readonly graceMs: number;
  readonly late: LatePolicy;
  /** How many final periods of a kind are kept in full. */
  readonly keep: number;
  /** The revision of the board that set this; 0 if the settings were never changed. */
  readonly settingsRevision: bigint;
  readonly revision: bigint;
  readonly position: string;
}

/** A page of boards in the order of their ids; `nextPageToken` is empty on the last page. */
export interface BoardsView {
  readonly boards: readonly BoardView[];
  readonly nextPageToken: string;
}

/** Who may see a user from an entry on. */
export interface VisibilityChange {
  readonly userId: string;
  readonly visibility: Visibility;
  readonly reason: string;
  readonly actor: string;
  readonly onBehalfOf: string;
  readonly recordedAt: Date;
}

/** A period whose result is final. */
export interface PeriodClosed {
  readonly period: Period;
  /** SHA-256 of its final standings. */
  readonly digest: Uint8Array;
  readonly finalRevision: bigint;
  readonly recordedAt: Date;
}

/** What the settings of a board are from an entry on. */
export interface SettingsChange {
  readonly board: BoardView;
  /** Who set them: the SPIFFE id of a service, or a command. */
  readonly actor: string;
  readonly recordedAt: Date;
}

/** Awards that were archived: the service does not answer for them any more, but that they were made. */
export interface LedgerArchived {
  /** The awards up to this revision are archived. */
  readonly archivedRevision: bigint;
  /** The position of the same. A feed can be read from here on. */
  readonly archivedPosition: string;
  /** How many awards the ledger had up to there. */
  readonly awards: bigint;
  /** Who archived them: a command. */
  readonly actor: string;
  readonly recordedAt: Date;
}

/** What each kind of entry says. */
export interface EntryContents {
  readonly award: RecordedAward;
  readonly reversal: Reversal;
  readonly visibility: VisibilityChange;
  readonly period_closed: PeriodClosed;
  readonly settings: SettingsChange;
  readonly archived: LedgerArchived;
}

export type EntryKind = keyof EntryContents;

/** An entry of a board's ledger; its `kind` tells what its `content` is. */
export type Entry = {
  readonly [K in EntryKind]: {
    readonly kind: K;
    /** Its number on the board. Entries of all kinds together have every number from 1 on. */
    readonly revision: bigint;
    /** Where to go on once it has been handled. Opaque. */
    readonly position: string;
    readonly content: EntryContents[K];
  };
}[EntryKind];

/** What a client shows and trusts, as it is now. */
export interface CertificateStatus {
  /** When the certificate in use began. */
  readonly notBefore: Date;
  /** When it ends, or one of its chain. */
  readonly notAfter: Date;
  /**
   * When the authority ends that is needed of those that are trusted: the one that signed the client's own chain. If
   * none of them did, the earliest end of those that hold.
   */
  readonly authorityNotAfter: Date;
  /** Why the files as they were at the last look are not in use; null if they are. */
  readonly fault: string | null;
}
