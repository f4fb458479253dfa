/** The adapter of this client for the conformance kit, see `docs/clients.md`. */

import { createInterface } from 'node:readline';

import { InvalidRequestError, LaterError, QuotaExceededError, ScoreClient } from 'laurel-score-client';
import { ScoreClientError, ServiceFaultError, UnavailableError } from 'laurel-score-client';
import type { Entry, Standing, WatchEvent } from 'laurel-score-client';

// What a line of JSON has.
type Asked = any;

let client: ScoreClient | undefined;
let stream: AsyncGenerator<WatchEvent | Entry, void, undefined> | undefined;

function opened(): ScoreClient {
  if (!client) throw new Error('no client is open');
  return client;
}

const commands: Readonly<Record<string, (asked: Asked) => Promise<unknown>>> = {
  async open(asked) {
    client = await ScoreClient.open(asked.target, {
      credentials: { caFile: asked.ca_file, certificateFile: asked.certificate_file, keyFile: asked.key_file },
      timeoutMs: asked.timeout_seconds * 1_000,
      attemptTimeoutMs: asked.attempt_seconds * 1_000,
      stallTimeoutMs: asked.stall_seconds * 1_000,
      certificateCheckIntervalMs: asked.certificate_check_seconds * 1_000,
      certificateActivationDelayMs: 0,
      serverName: asked.server_name,
    });
  },
  async close() {
    await stop();
    await client?.close();
    client = undefined;
  },
  async award({ award }) {
    const { board_id, user_id, points, action_type, action_id, award_id, request_id } = award;
    return await opened().award({
      boardId: board_id,
      userId: user_id,
      points,
      actionType: action_type,
      actionId: action_id,
      ...(award_id && { awardId: award_id }),
      ...(request_id && { requestId: request_id }),
    });
  },
  async award_many({ awards }) {
    return { answers: await Promise.all(awards.map(async (award: Asked) => await answer('award', { award }))) };
  },
  async top({ board_id }) {
    return await opened().listStandings({ boardId: board_id });
  },
  async watch({ board_id, after_position }) {
    await stop();
    const position = after_position === null ? {} : { afterPosition: after_position };
    stream = opened().watch({ boardId: board_id, allScores: true, ...position });
  },
  async entries({ board_id, after_position }) {
    await stop();
    stream = opened().entries({ boardId: board_id, afterPosition: after_position ?? '' });
  },
  async next() {
    const next = await stream?.next();
    if (!next?.value) throw new Error('there is no stream');
    return told(next.value);
  },
  stop,
};

async function stop(): Promise<void> {
  await stream?.return();
  stream = undefined;
}

function told(event: WatchEvent | Entry): object {
  const { revision, position } = event;
  switch (event.kind) {
    case 'snapshot':
      return { revision, position, snapshot: { top: event.top, reset: event.reset } };
    case 'update':
      return { revision, position, update: { top: event.top, scores: event.scores satisfies readonly Standing[] } };
    default:
      return { revision, position, [event.kind]: {} };
  }
}

async function answer(name: string, asked: Asked): Promise<object> {
  try {
    const command = commands[name];
    return command ? { result: (await command(asked)) ?? {} } : { unsupported: name };
  } catch (error) {
    if (!(error instanceof ScoreClientError)) throw error;
    const retryAfterMs = error instanceof LaterError ? error.retryAfterMs : null;
    return {
      error: {
        kind: kindOf(error),
        reason: error.reason,
        retry_after_seconds: retryAfterMs === null ? null : retryAfterMs / 1_000,
        fields: error instanceof InvalidRequestError ? error.fields : {},
      },
    };
  }
}

function kindOf(error: ScoreClientError): string {
  if (error instanceof UnavailableError || error instanceof ServiceFaultError) return 'unknown';
  return error instanceof QuotaExceededError ? 'later' : 'rejected';
}

for await (const line of createInterface(process.stdin)) {
  const { do: name, ...asked } = JSON.parse(line);
  // Whole numbers of 64 bits as texts, as in ProtoJSON; what the contract has no name for is passed over.
  const text = JSON.stringify(await answer(name, asked), (_, value) => (typeof value === 'bigint' ? `${value}` : value));
  process.stdout.write(`${text}\n`);
}
await answer('close', {});
