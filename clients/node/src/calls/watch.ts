/**
 * One watch of a board, across all the streams it takes.
 *
 * A watch resumes from the position of the last event it can vouch for, and that was handled: the one before the event
 * that is asked for next. After a reconnect that resumes, the snapshot tells the top of now, while the score changes up
 * to now come after it: until they have come, it resumes from the old position.
 */

import { toBinary } from '@bufbuild/protobuf';

import type { RenewedChannel } from '../connection/channel.js';
import {
  LeaderboardService,
  WatchLeaderboardRequestSchema,
  WatchLeaderboardResponseSchema,
} from '../generated/score_api/v1/leaderboard_service_pb.js';
import type { WatchLeaderboardRequest } from '../generated/score_api/v1/leaderboard_service_pb.js';
import { decodeEvent } from '../messages/decode.js';
import type { WatchEvent } from '../types.js';
import { PASSING, ReopenedStream } from './reopened.js';
import type { Patience } from './reopened.js';
import { retried } from './retry.js';
import { decode, pathOf } from './unary.js';

/** Yield the events, for as long as a broken watch may be resumed. */
export async function* watchEvents(
  channel: RenewedChannel,
  request: WatchLeaderboardRequest,
  patience: Patience,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent, void, undefined> {
  let resumes = false;
  const open = (): Uint8Array => {
    resumes = request.afterPosition !== undefined;
    return toBinary(WatchLeaderboardRequestSchema, request);
  };
  const path = pathOf(LeaderboardService.method.watchLeaderboard);
  const stream = new ReopenedStream(channel, path, open, patience, signal);
  const next = async (): Promise<WatchEvent> => {
    const bytes = await stream.read();
    try {
      return decodeEvent(decode(WatchLeaderboardResponseSchema, bytes));
    } catch (error) {
      stream.close();
      throw error;
    }
  };
  try {
    while (true) {
      const event = await retried(next, { on: PASSING, withinMs: Infinity, signal });
      yield event;
      const scoresFollow = resumes && event.kind === 'snapshot' && !event.reset;
      if (!scoresFollow) request.afterPosition = event.position;
      resumes = true; // A later snapshot is of another period, and what changed in it follows.
    }
  } finally {
    stream.close();
  }
}
