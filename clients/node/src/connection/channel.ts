/**
 * The connection in use, and its replacement when the certificate files change or it is old.
 *
 * gRPC for Node cannot renew the certificate of a channel in a way that a server has accepted first. So a new connection
 * is made beside the old one and takes over once a server has accepted it, while calls on the old one finish within a
 * grace. Files that cannot be used, or that no server accepts, never take over.
 *
 * TLS checks the service's certificate when a connection is made, and not again. So a connection is closed when the
 * certificate of a server has expired. It also has an age at which it is replaced though nothing has changed, by one
 * that no server has accepted yet if need be: the authority is checked again then.
 */

import { setTimeout as sleep } from 'node:timers/promises';

import { ClientClosedError, ScoreClientError, UnavailableError } from '../errors.js';
import type { CertificateStatus } from '../types.js';
import type { TlsFiles } from './certificates.js';
import { Connection } from './connection.js';
import { fingerprint, load } from './credentials.js';
import type { ClientCredentials, Reading } from './credentials.js';
import { parseTarget } from './target.js';
import type { Target } from './target.js';

/** How long a new connection may take before it is given up until the next look at the files. */
const CONNECT_TIMEOUT_MS = 5_000;
/**
 * How long calls on a replaced connection may take. Longer than the service's checkpoints are apart, so that a watch
 * moves over between two messages.
 */
const RETIREMENT_GRACE_MS = 30_000;

export interface ChannelSettings {
  readonly serverName: string | undefined;
  readonly checkIntervalMs: number;
  readonly connectionAgeMs: number;
  readonly activationDelayMs: number;
}

export class RenewedChannel {
  readonly #target: Target;
  readonly #credentials: ClientCredentials;
  readonly #settings: ChannelSettings;
  readonly #closing = new AbortController();
  #latest: Reading;
  #current: Connection;
  #connectedAt = performance.now();
  #fault: string | null = null;

  private constructor(target: Target, credentials: ClientCredentials, reading: Reading, settings: ChannelSettings) {
    this.#target = target;
    this.#credentials = credentials;
    this.#settings = settings;
    this.#latest = reading;
    this.#current = this.#connect(reading.files);
    void this.#followFiles();
  }

  /** Make the first connection, in the background. Rejects with CredentialsError if the files cannot be used. */
  static async open(target: string, credentials: ClientCredentials, settings: ChannelSettings): Promise<RenewedChannel> {
    return new RenewedChannel(parseTarget(target), credentials, await load(credentials), settings);
  }

  /** The connection to make the next call on. Throws ClientClosedError if there is none any more. */
  get current(): Connection {
    if (this.closing.aborted) throw this.closing.reason;
    return this.#current;
  }

  /** Aborted with a ClientClosedError when the channel closes. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Return the certificate files in use. */
  status(): CertificateStatus {
    const { files } = this.current;
    const { notBefore, notAfter } = files;
    return { notBefore, notAfter, authorityNotAfter: files.authorityNotAfter(Date.now()), fault: this.#fault };
  }

  /** Close the connection. Calls under way end at once. */
  async close(): Promise<void> {
    if (this.closing.aborted) return;
    this.#closing.abort(new ClientClosedError('CLIENT_CLOSED', 'The client is closed.'));
    await this.#current.close(0);
  }

  #connect(files: TlsFiles): Connection {
    return new Connection(this.#target, files, this.#settings.serverName);
  }

  async #followFiles(): Promise<void> {
    while (true) {
      try {
        await sleep(this.#settings.checkIntervalMs, undefined, { signal: this.closing, ref: false });
      } catch {
        return;
      }
      try {
        await this.#renew();
        this.#fault = null;
      } catch (error) {
        // Whatever it is, the files must go on being looked at.
        if (this.closing.aborted) return;
        const told = error instanceof ScoreClientError;
        this.#fault = told ? `${error.reason}: ${error.message}` : 'The certificate files could not be looked at.';
      }
    }
  }

  async #renew(): Promise<void> {
    const now = Date.now();
    const used = this.#current.files;
    const due = used.followedBy((await this.#loadLatest()).files, this.#settings.activationDelayMs, now);
    const age = performance.now() - this.#connectedAt;
    if (due !== used) {
      await this.#replace(due);
    } else if (this.#current.hasExpired(now)) {
      this.#takeOver(this.#connect(due), 0);
    } else if (age > this.#settings.connectionAgeMs + RETIREMENT_GRACE_MS) {
      this.#takeOver(this.#connect(due), RETIREMENT_GRACE_MS);
    } else if (age > this.#settings.connectionAgeMs) {
      // Where no server answers, no other connection is better yet.
      await this.#replace(due).catch((error: unknown) => {
        if (!(error instanceof UnavailableError)) throw error;
      });
    }
  }

  async #loadLatest(): Promise<Reading> {
    if ((await fingerprint(this.#credentials)) !== this.#latest.fingerprint) {
      this.#latest = await load(this.#credentials);
    }
    return this.#latest;
  }

  async #replace(files: TlsFiles): Promise<void> {
    const connection = this.#connect(files);
    try {
      await connection.ready(CONNECT_TIMEOUT_MS);
    } catch (error) {
      await connection.close(0);
      throw error;
    }
    this.#takeOver(connection, RETIREMENT_GRACE_MS);
  }

  #takeOver(connection: Connection, graceMs: number): void {
    if (this.closing.aborted) {
      void connection.close(0);
      return;
    }
    void this.#current.close(graceMs);
    this.#current = connection;
    this.#connectedAt = performance.now();
  }
}
