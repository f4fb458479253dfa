/**
 * The entries of a board, across all the streams that it takes to read them.
 *
 * A stream that breaks is opened again after the last entry that was handled, so each comes once, and none is missed.
 */

import { toBinary } from '@bufbuild/protobuf';

import type { RenewedChannel } from '../connection/channel.js';
import { malformed } from '../errors.js';
import {
  LedgerService,
  StreamEntriesRequestSchema,
  StreamEntriesResponseSchema,
} from '../generated/score_api/v1/ledger_service_pb.js';
import type { StreamEntriesRequest, StreamEntriesResponse } from '../generated/score_api/v1/ledger_service_pb.js';
import { decodeEntry } from '../messages/decode.js';
import type { Entry } from '../types.js';
import { PASSING, ReopenedStream } from './reopened.js';
import type { Patience } from './reopened.js';
import { retried } from './retry.js';
import { decode, pathOf } from './unary.js';

/** A message costs both sides as much as ten entries do. */
export const ENTRIES_PER_MESSAGE = 250;

/** What a message has, and where it ends. */
interface Page {
  readonly entries: readonly Entry[];
  readonly position: string;
  readonly revision: bigint;
}

/** Yield the entries, for as long as the stream may be opened again. */
export async function* readEntries(
  channel: RenewedChannel,
  request: StreamEntriesRequest,
  patience: Patience,
  signal: AbortSignal,
  onCheckpoint: (position: string) => void,
): AsyncGenerator<Entry, void, undefined> {
  const path = pathOf(LedgerService.method.streamEntries);
  const open = (): Uint8Array => toBinary(StreamEntriesRequestSchema, request);
  const stream = new ReopenedStream(channel, path, open, patience, signal);
  let revision = 0n;
  const next = async (): Promise<Page> => {
    const bytes = await stream.read();
    try {
      return readPage(decode(StreamEntriesResponseSchema, bytes), revision);
    } catch (error) {
      stream.close();
      throw error;
    }
  };
  try {
    while (true) {
      const page = await retried(next, { on: PASSING, withinMs: Infinity, signal });
      if (page.entries.length === 0) onCheckpoint(page.position);
      yield* page.entries;
      request.afterPosition = page.position;
      revision = page.revision;
    }
  } finally {
    stream.close();
  }
}

function readPage(message: StreamEntriesResponse, after: bigint): Page {
  const parts = [message, ...message.following];
  const entries: Entry[] = [];
  let revision = after;
  for (const part of parts) {
    const entry = decodeEntry(part);
    if (!entry) continue;
    if (entry.revision <= revision) throw malformed('An entry came again, or out of order.');
    revision = entry.revision;
    entries.push(entry);
  }
  const last = parts[parts.length - 1] as StreamEntriesResponse;
  return { entries, position: last.position, revision: last.revision };
}
