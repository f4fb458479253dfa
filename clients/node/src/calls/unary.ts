/** A call of one method, with its message and its answer. */

import { fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, DescMethodUnary, MessageShape } from '@bufbuild/protobuf';

import type { RenewedChannel } from '../connection/channel.js';
import type { Request } from '../connection/server.js';
import { malformed, UnavailableError } from '../errors.js';

/** What is called, and how long it may take. */
export interface Attempt {
  readonly timeoutMs: number;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** The path of a method in HTTP. */
export function pathOf({ parent, name }: { parent: { typeName: string }; name: string }): string {
  return `/${parent.typeName}/${name}`;
}

/** Make one try of a call on a server in turn. */
export async function callOnce<I extends DescMessage, O extends DescMessage>(
  channel: RenewedChannel,
  method: DescMethodUnary<I, O>,
  request: MessageShape<I>,
  attempt: Attempt,
): Promise<MessageShape<O>> {
  const body = toBinary(method.input, request);
  return decode(method.output, await sendOnce(channel, { ...attempt, path: pathOf(method), body }));
}

/** Send bytes once to a server in turn, and return the bytes of the answer. */
export async function sendOnce(channel: RenewedChannel, request: Request & Attempt): Promise<Uint8Array> {
  const started = performance.now();
  const server = await channel.current.server(request.timeoutMs, request.signal);
  const timeoutMs = request.timeoutMs - (performance.now() - started);
  if (timeoutMs <= 0) throw new UnavailableError('DEADLINE_EXCEEDED', 'No time is left for the call.');
  return await server.call({ ...request, timeoutMs });
}

/** Read a message. */
export function decode<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes);
  } catch {
    throw malformed();
  }
}
