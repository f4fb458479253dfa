/**
 * The servers behind one target, with one reading of the certificate files.
 *
 * Calls are distributed over every healthy server. While none is healthy they go to any: it may still answer, or report
 * what is wrong. To a caller that the policy does not name, a server does not even report its health, so without this
 * such a caller would only learn that no server is available.
 */

import { UnavailableError } from '../errors.js';
import type { TlsFiles } from './certificates.js';
import { Server } from './server.js';
import type { Target } from './target.js';

/** The least time between two looks for the addresses of the servers. */
const RESOLUTION_PAUSE_MS = 1_000;
/** How long calls to a server may take that is no longer among the addresses. */
const GONE_GRACE_MS = 30_000;

export class Connection {
  readonly files: TlsFiles;
  readonly #target: Target;
  readonly #serverName: string | undefined;
  readonly #servers = new Map<string, Server>();
  readonly #waiting = new Set<() => void>();
  #turn = 0;
  #fault: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #resolvedAt = -Infinity;
  #closed = false;

  /** Connect, in the background. */
  constructor(target: Target, files: TlsFiles, serverName: string | undefined) {
    this.#target = target;
    this.files = files;
    this.#serverName = serverName;
    void this.#resolve();
  }

  /**
   * Return the server to make the next call on, once there is one. Rejects with UnavailableError if there is none after
   * so many milliseconds, or with the reason of the signal.
   */
  async server(withinMs: number, signal?: AbortSignal): Promise<Server> {
    const chosen = this.#choose();
    if (chosen) return chosen;
    return await this.#await(() => this.#choose(), withinMs, signal);
  }

  /** Wait until a server takes the credentials and is healthy. Rejects with UnavailableError if none does. */
  async ready(withinMs: number): Promise<void> {
    await this.#await(() => this.#healthy()[0], withinMs);
  }

  /** Whether a server has shown a certificate that has expired. */
  hasExpired(now: number): boolean {
    return [...this.#servers.values()].some((server) => server.hasExpired(now));
  }

  /** Take no more calls, and end those under way after a grace. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#wake();
    await Promise.all([...this.#servers.values()].map(async (server) => await server.close(graceMs)));
  }

  #healthy(): Server[] {
    return [...this.#servers.values()].filter((server) => server.health === 'healthy');
  }

  /** Return the next server in turn; undefined while it is not known yet which of them may be healthy. */
  #choose(): Server | undefined {
    const all = [...this.#servers.values()];
    const healthy = all.filter((server) => server.health === 'healthy');
    if (healthy.length === 0 && all.some((server) => server.health === 'unknown')) return undefined;
    const choice = healthy.length > 0 ? healthy : all;
    this.#turn += 1;
    return choice[this.#turn % choice.length];
  }

  async #await<T>(find: () => T | undefined, withinMs: number, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    return await new Promise<T>((resolve, reject) => {
      const look = (): void => {
        const found = find();
        if (found !== undefined) settle(() => resolve(found));
        else if (this.#closed) settle(() => reject(unavailable('The connection was closed during the call.')));
        else if (this.#fault !== undefined) settle(() => reject(unavailable(this.#fault as string)));
      };
      const giveUp = (): void => settle(() => reject(unavailable('No healthy server takes the credentials in time.')));
      const abort = (): void => settle(() => reject(signal?.reason));
      const timer = setTimeout(giveUp, withinMs);
      const settle = (end: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        this.#waiting.delete(look);
        end();
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.add(look);
      look();
    });
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look();
  }

  async #resolve(): Promise<void> {
    this.#resolvedAt = performance.now();
    try {
      const addresses = await this.#target.resolve();
      if (this.#closed) return;
      this.#fault = undefined;
      this.#use(addresses);
    } catch (error) {
      if (this.#closed) return;
      if (this.#servers.size === 0) this.#fault = `The target has no address: ${(error as Error).message}.`;
      this.#resolveAgain();
    }
    this.#wake();
  }

  #use(addresses: readonly string[]): void {
    for (const [address, server] of this.#servers) {
      if (addresses.includes(address)) continue;
      this.#servers.delete(address);
      void server.close(GONE_GRACE_MS);
    }
    const { host, authority } = this.#target;
    const names = [this.#serverName ?? host, this.#serverName ?? authority] as const;
    for (const address of addresses) {
      if (this.#servers.has(address)) continue;
      const server = new Server(address, this.files.pems, ...names, (health) => {
        if (health !== 'healthy') this.#resolveAgain();
        this.#wake();
      });
      this.#servers.set(address, server);
    }
  }

  /** Look for the servers again soon: one that does not answer may be at another address by now. */
  #resolveAgain(): void {
    if (this.#timer !== undefined || this.#closed) return;
    const pause = Math.max(0, this.#resolvedAt + RESOLUTION_PAUSE_MS - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#resolve();
    }, pause);
  }
}

function unavailable(message: string): UnavailableError {
  return new UnavailableError('UNAVAILABLE', message);
}
