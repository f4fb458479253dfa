/**
 * One server behind the target: its gRPC channel, its health, and the certificate that it showed.
 *
 * gRPC for Node distributes calls over servers, but does not look at their health: of gRPC's proposal A17 it has
 * nothing (`grpc-js` 1.14). So each server has a channel of its own here, with a health watch on it.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { checkServerIdentity } from 'node:tls';

import { Client, credentials as grpcCredentials, Metadata, status as Code } from '@grpc/grpc-js';
import type { ClientOptions, ClientUnaryCall, StatusObject } from '@grpc/grpc-js';

import { fromStatus } from '../messages/status.js';
import type { Pems } from './certificates.js';
import { isAddress } from './target.js';

const HEALTH_WATCH = '/grpc.health.v1.Health/Watch';
const HEALTH_NAME = 'score_api.v1.ScoreService';
/** A HealthCheckRequest with its field `service`, and a HealthCheckResponse with its field `status`: SERVING. */
export const HEALTH_REQUEST = Buffer.concat([Buffer.from([0x0a, HEALTH_NAME.length]), Buffer.from(HEALTH_NAME)]);
const HEALTHY = Buffer.from([0x08, 0x01]);

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;

const OPTIONS: ClientOptions = {
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  // A server that restarts is found within a second or two.
  'grpc.initial_reconnect_backoff_ms': FIRST_PAUSE_MS,
  'grpc.max_reconnect_backoff_ms': LONGEST_PAUSE_MS,
  // `https_proxy` and `http_proxy` are for the way out. gRPC takes them for every target otherwise.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  // A connection that is replaced must not come back from the pool.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_send_message_length': 1 << 20,
  'grpc.max_receive_message_length': 4 << 20,
};

/** How a server stands: not known yet, or as its health watch says. One that cannot be reached is not healthy. */
export type Health = 'unknown' | 'healthy' | 'unhealthy';

/** What to call, with what, and for how long. */
export interface Request {
  readonly path: string;
  readonly body: Uint8Array;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** What a server stream brings. */
export interface StreamListener {
  onMessage(message: Buffer): void;
  onEnd(status: StatusObject): void;
}

export function isServing(answer: Uint8Array): boolean {
  return HEALTHY.equals(answer);
}

export class Server {
  readonly #client: Client;
  readonly #onHealth: (health: Health) => void;
  readonly #calls = new Set<ClientUnaryCall>();
  #health: Health = 'unknown';
  #pauseMs = FIRST_PAUSE_MS;
  #timer: NodeJS.Timeout | undefined;
  #stopHealth: (() => void) | undefined;
  #closed = false;
  /** When the certificate ends that the server showed; undefined before it has shown one. */
  #certificateEnd: number | undefined;

  /**
   * @param address a target of gRPC with this server alone
   * @param host the name its certificate must carry
   * @param authority what calls name as their authority
   * @param onHealth called when the health is told, also when it is the same as before
   */
  constructor(address: string, pems: Pems, host: string, authority: string, onHealth: (health: Health) => void) {
    this.#onHealth = onHealth;
    const credentials = grpcCredentials.createSsl(pems.authorities, pems.key, pems.certificate, {
      checkServerIdentity: (name, shown) => {
        const fault = checkServerIdentity(name, shown);
        if (fault === undefined) this.#certificateEnd = Date.parse(shown.valid_to);
        return fault;
      },
    });
    this.#client = new Client(address, credentials, {
      ...OPTIONS,
      'grpc.default_authority': authority,
      ...(!isAddress(host) && { 'grpc.ssl_target_name_override': host }),
    });
    this.#watchHealth();
  }

  get health(): Health {
    return this.#health;
  }

  /** Whether the certificate that it showed has expired since. */
  hasExpired(now: number): boolean {
    return this.#certificateEnd !== undefined && now > this.#certificateEnd;
  }

  /** Make a call, and return the answer. Rejects with what the call ended with, or the reason of the signal. */
  async call({ path, body, metadata = {}, timeoutMs, signal }: Request): Promise<Buffer> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = promiseParts<Buffer>();
    const options = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
    const call = this.#client.makeUnaryRequest(
      path,
      asBuffer,
      same,
      body,
      toMetadata(metadata),
      options,
      (error, answer) => (error ? reject(fromStatus(error)) : resolve(answer as Buffer)),
    );
    const abort = (): void => {
      reject(signal?.reason);
      call.cancel();
    };
    signal?.addEventListener('abort', abort, { once: true });
    this.#track(call);
    try {
      return await promise;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Open a server stream, and read it from now on. Returns what ends it. */
  stream({ path, body }: Request, { onMessage, onEnd }: StreamListener): () => void {
    const call = this.#client.makeServerStreamRequest(path, asBuffer, same, body);
    call.on('error', () => undefined); // The status says the same.
    call.on('status', onEnd);
    // Reading begins here and never pauses: a stream that ends with an error drops what was not read, and one that is
    // not read holds up the calls beside it on the connection.
    call.on('data', onMessage);
    this.#track(call);
    return () => call.cancel();
  }

  /** Take no more calls, and end those under way after a grace. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#client.close();
    this.#stopHealth?.();
    if (graceMs > 0 && this.#calls.size > 0) await sleep(graceMs, undefined, { ref: false });
    for (const call of this.#calls) call.cancel();
  }

  #track(call: ClientUnaryCall): void {
    this.#calls.add(call);
    call.on('status', () => this.#calls.delete(call));
  }

  #watchHealth(): void {
    this.#stopHealth = this.stream({ path: HEALTH_WATCH, body: HEALTH_REQUEST }, {
      onMessage: (message) => {
        this.#pauseMs = FIRST_PAUSE_MS;
        this.#become(isServing(message) ? 'healthy' : 'unhealthy');
      },
      onEnd: ({ code }) => {
        if (this.#closed) return;
        // A server without the health service is healthy while it can be reached.
        this.#become(code === Code.UNIMPLEMENTED ? 'healthy' : 'unhealthy');
        this.#timer = setTimeout(() => this.#watchHealth(), this.#pauseMs * (0.8 + 0.4 * Math.random()));
        this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 1.6);
      },
    });
  }

  #become(health: Health): void {
    this.#health = health;
    this.#onHealth(health);
  }
}

function promiseParts<T>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (reason: unknown) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

function toMetadata(values: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(values)) metadata.set(name, value);
  return metadata;
}

function asBuffer(body: Uint8Array): Buffer {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}

function same(message: Buffer): Buffer {
  return message;
}
