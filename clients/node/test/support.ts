/** What all tests use: clients, the servers and proxies that the fixtures run, and waiting. */

import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import { after } from 'node:test';

import { ScoreClient } from 'laurel-score-client';
import type { ClientCredentials, ClientOptions } from 'laurel-score-client';

/** A step of a scripted server, see `tests/clients/node/steps.py`. */
export type Step = Readonly<Record<string, unknown>>;

/** A call as a scripted server saw it. */
export interface Received {
  // The message as JSON.
  readonly request: any;
  readonly metadata: Readonly<Record<string, string>>;
  readonly identity: string;
  readonly peer: string;
  readonly secondsLeft: number | null;
}

export type Identity = 'backend' | 'gateway' | 'renewed' | 'reader' | 'metered' | 'stranger' | 'foreign';

export function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: these tests are run by pytest`);
  return value;
}

export function credentialsOf(identity: Identity = 'backend'): ClientCredentials {
  const [caFile = '', certificateFile = '', keyFile = ''] = variable(`LAUREL_${identity.toUpperCase()}`).split(':');
  return { caFile, certificateFile, keyFile };
}

/** Open a client of the target that closes with the block, or with `close()`. */
export async function open(options: Partial<ClientOptions> & { target?: string } = {}): Promise<ScoreClient> {
  const { target = variable('LAUREL_TARGET'), ...others } = options;
  return await ScoreClient.open(target, { credentials: credentialsOf(), timeoutMs: 20_000, ...others });
}

let control: { socket: Socket; lines: Interface } | undefined;
let asked: Promise<unknown> = Promise.resolve();

/** Ask the fixtures of this file for something, once they have answered what was asked before. */
export async function ask<T = null>(what: string, details: Readonly<Record<string, unknown>> = {}): Promise<T> {
  const answer = asked.then(async () => await exchange(JSON.stringify({ do: what, ...details })));
  asked = answer.catch(() => undefined);
  const told = JSON.parse(await answer) as { result: T; fault?: string };
  if (told.fault !== undefined) throw new Error(told.fault);
  return told.result;
}

async function exchange(line: string): Promise<string> {
  if (!control) {
    const socket = connect(Number(variable('LAUREL_CONTROL')), '127.0.0.1');
    control = { socket, lines: createInterface(socket) };
  }
  const answer = once(control.lines, 'line');
  control.socket.write(`${line}\n`);
  return (await answer)[0];
}

after(() => control?.socket.destroy());

export async function script(method: string, ...steps: Step[]): Promise<void> {
  await ask('script', { method, steps });
}

/** Return the calls of a method since they were last forgotten, once there are so many. */
export async function calls(method: string, count = 0): Promise<Received[]> {
  return await ask<Received[]>('calls', { method, count });
}

/** Wait until something holds. */
export async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Not within a minute: ${holds.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Take so many of what is yielded, and stop. */
export async function take<T>(count: number, from: AsyncIterable<T>): Promise<T[]> {
  const taken: T[] = [];
  for await (const one of from) {
    taken.push(one);
    if (taken.length === count) break;
  }
  return taken;
}

let actions = 0;

/** Make a good award of its own, with some of it changed. */
export function someAward(changes: { boardId?: string; userId?: string; points?: number; awardId?: string } = {}): {
  boardId: string;
  userId: string;
  points: number;
  actionType: string;
  actionId: string;
  awardId?: string;
} {
  actions += 1;
  return { boardId: 'main', userId: 'ada', points: 10, actionType: 'puzzle', actionId: `puzzle_${actions}`, ...changes };
}
