/**
 * From the library's values to what messages carry.
 *
 * What the service can judge, it judges; only what no message can carry fails here.
 */

import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Timestamp } from '@bufbuild/protobuf/wkt';

import { invalid } from '../errors.js';
import { EntryKind as WireEntryKind } from '../generated/score_api/v1/ledger_service_pb.js';
import { PeriodKind as WirePeriodKind } from '../generated/score_api/v1/types_pb.js';
import { Visibility as WireVisibility } from '../generated/score_api/v1/correction_service_pb.js';
import type { AwardFilter, EntryKind, PeriodKind, Visibility } from '../types.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/;
const INT32_MAX = 2 ** 31 - 1;
const INT64_MAX = 2n ** 63n - 1n;
// Of google.protobuf.Timestamp: the years 1 to 9999.
const INSTANT_MIN = Date.parse('0001-01-01T00:00:00Z');
const INSTANT_MAX = Date.parse('9999-12-31T23:59:59.999Z');

const VISIBILITIES: Readonly<Record<Visibility, WireVisibility>> = {
  visible: WireVisibility.VISIBLE,
  hidden: WireVisibility.HIDDEN,
  shadowed: WireVisibility.SHADOWED,
};
const PERIOD_KINDS: Readonly<Record<PeriodKind, WirePeriodKind>> = {
  day: WirePeriodKind.DAY,
  week: WirePeriodKind.WEEK,
  month: WirePeriodKind.MONTH,
  season: WirePeriodKind.SEASON,
};
const ENTRY_KINDS: Readonly<Record<EntryKind, WireEntryKind>> = {
  award: WireEntryKind.AWARD,
  reversal: WireEntryKind.REVERSAL,
  visibility: WireEntryKind.VISIBILITY,
  period_closed: WireEntryKind.PERIOD_CLOSED,
  settings: WireEntryKind.SETTINGS,
  archived: WireEntryKind.ARCHIVED,
};

/** Take a text that UTF-8 can carry. */
export function text(field: string, value: string): string {
  if (typeof value !== 'string') throw invalid({ [field]: `must be a string, not ${typeof value}` });
  if (!value.isWellFormed()) throw invalid({ [field]: 'cannot be sent: it is not well-formed Unicode' });
  return value;
}

/** Take several texts; a single one would pass for as many as it has letters. */
export function texts(field: string, values: Iterable<string>): string[] {
  return collection(field, values).map((value) => text(field, value));
}

/** Take a number that an int32 can carry. */
export function int32(field: string, value: number): number {
  if (!Number.isInteger(value) || value < -INT32_MAX - 1 || value > INT32_MAX) {
    throw invalid({ [field]: 'must be a whole number of 32 bits' });
  }
  return value;
}

/** Take a number that an int64 can carry; a `number` as long as it is exact. */
export function int64(field: string, value: bigint | number): bigint {
  if (typeof value === 'bigint' && value <= INT64_MAX && value >= -INT64_MAX - 1n) return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  throw invalid({ [field]: 'must be a whole number of 64 bits, a bigint where it is not a safe integer' });
}

/** Write a UUID the way the contract wants it. */
export function uuid(field: string, value: string): string {
  if (typeof value !== 'string' || !UUID.test(value)) throw invalid({ [field]: 'must be a UUID' });
  return value.toLowerCase();
}

/** Write a trace id the way the contract wants it; the empty text for none. */
export function traceId(value: string | undefined): string {
  if (value === undefined) return '';
  if (typeof value !== 'string' || !TRACE_ID.test(value)) {
    throw invalid({ trace_id: 'must be 32 lower-case hexadecimal digits, not all zero' });
  }
  return value;
}

/** Write an instant. */
export function instant(field: string, value: Date): Timestamp {
  const time = value instanceof Date ? value.getTime() : NaN;
  if (!(time >= INSTANT_MIN && time <= INSTANT_MAX)) throw invalid({ [field]: 'must be a Date of the years 1 to 9999' });
  return timestampFromMs(time);
}

/** Write who may see a user. */
export function visibility(field: string, value: Visibility): WireVisibility {
  return known(field, VISIBILITIES, value);
}

/** Write a kind of periods; the unspecified one for all. */
export function periodKind(field: string, value: PeriodKind | undefined): WirePeriodKind {
  return value === undefined ? WirePeriodKind.UNSPECIFIED : known(field, PERIOD_KINDS, value);
}

/** Write kinds of entries. */
export function entryKinds(field: string, values: Iterable<EntryKind>): WireEntryKind[] {
  return collection(field, values).map((value) => known(field, ENTRY_KINDS, value));
}

/** Write which awards are selected. */
export function awardFilter(filter: AwardFilter): {
  caller: string;
  actionId: string;
  actionType: string;
  userId: string;
  recordedFrom?: Timestamp;
  recordedUntil?: Timestamp;
} {
  const { recordedFrom, recordedUntil } = filter;
  return {
    caller: text('filter.caller', filter.caller ?? ''),
    actionId: text('filter.action_id', filter.actionId ?? ''),
    actionType: text('filter.action_type', filter.actionType ?? ''),
    userId: text('filter.user_id', filter.userId ?? ''),
    ...(recordedFrom && { recordedFrom: instant('filter.recorded_from', recordedFrom) }),
    ...(recordedUntil && { recordedUntil: instant('filter.recorded_until', recordedUntil) }),
  };
}

function collection<T>(field: string, values: Iterable<T>): T[] {
  if (typeof values === 'string' || typeof values?.[Symbol.iterator] !== 'function') {
    throw invalid({ [field]: 'must be a collection' });
  }
  return [...values];
}

function known<K extends string, V>(field: string, table: Readonly<Record<K, V>>, key: K): V {
  if (!Object.hasOwn(table, key)) throw invalid({ [field]: `must be one of ${Object.keys(table).join(', ')}` });
  return table[key];
}
