/**
 * A stream of the service that is opened again whenever it has broken.
 *
 * It is read from the moment it is opened, into a buffer. A buffer that is full ends the stream: what was received is
 * handed over, and the next stream begins behind it. So a reader that is slow costs no memory without bound, and never
 * holds up the calls beside it on the connection.
 *
 * Every failure ends the stream. The next read opens another one, which makes a read safe to retry.
 */

import type { RenewedChannel } from '../connection/channel.js';
import type { Connection } from '../connection/connection.js';
import { QuotaExceededError, ServiceFaultError, UnavailableError } from '../errors.js';
import type { ScoreClientError } from '../errors.js';
import { fromStatus } from '../messages/status.js';
import { status as Code } from '@grpc/grpc-js';
import type { StatusObject } from '@grpc/grpc-js';

/** The errors after which a stream is opened again. */
export const PASSING = [UnavailableError, QuotaExceededError, ServiceFaultError];

/** What is held of a stream at most, plus one message. */
const BUFFER_BYTES = 1 << 20;

/** How long to wait: for the first message, and for any other. */
export interface Patience {
  readonly firstMs: number;
  readonly stallMs: number;
}

/** Reads messages, each from a new stream if the last one broke. */
export class ReopenedStream {
  readonly #channel: RenewedChannel;
  readonly #path: string;
  readonly #request: () => Uint8Array;
  readonly #patience: Patience;
  readonly #signal: AbortSignal;
  #connection: Connection | undefined;
  #stream: BufferedStream | undefined;

  /** @param request makes what opens a stream, as of what has been handled by then */
  constructor(
    channel: RenewedChannel,
    path: string,
    request: () => Uint8Array,
    patience: Patience,
    signal: AbortSignal,
  ) {
    this.#channel = channel;
    this.#path = path;
    this.#request = request;
    this.#patience = patience;
    this.#signal = signal;
  }

  /**
   * Return the next message. Rejects with UnavailableError if the stream has ended, or nothing came for too long, with
   * what it has ended with, or with the reason of the signal.
   */
  async read(): Promise<Uint8Array> {
    try {
      return await this.#read();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** End the stream, if it is open. */
  close(): void {
    this.#stream?.cancel();
    this.#stream = undefined;
  }

  async #read(): Promise<Uint8Array> {
    this.#signal.throwIfAborted();
    const connection = this.#channel.current;
    if (this.#stream?.isSpent(connection !== this.#connection)) this.close();
    if (this.#stream) return await this.#stream.next(this.#patience.stallMs, this.#signal);
    this.#connection = connection;
    const started = performance.now();
    const server = await connection.server(this.#patience.firstMs, this.#signal);
    const request = { path: this.#path, body: this.#request() };
    this.#stream = new BufferedStream((listener) => server.stream(request, listener));
    return await this.#stream.next(this.#patience.firstMs - (performance.now() - started), this.#signal);
  }
}

interface Listener {
  onMessage(message: Buffer): void;
  onEnd(status: StatusObject): void;
}

/** One stream, and what has come of it. */
class BufferedStream {
  readonly #cancel: () => void;
  readonly #messages: Buffer[] = [];
  #bytes = 0;
  #isFull = false;
  #ended: ScoreClientError | undefined;
  #wake: () => void = () => undefined;

  constructor(open: (listener: Listener) => () => void) {
    this.#cancel = open({
      onMessage: (message) => this.#take(message),
      onEnd: (status) => this.#end(status),
    });
  }

  /** Whether nothing more is to be had of it that was received already. One that is replaced brings nothing new. */
  isSpent(isReplaced: boolean): boolean {
    return this.#messages.length === 0 && (this.#isFull || isReplaced);
  }

  async next(withinMs: number, signal: AbortSignal): Promise<Buffer> {
    if (this.#messages.length === 0 && !this.#ended) await this.#news(withinMs, signal);
    const message = this.#messages.shift();
    if (message) {
      this.#bytes -= message.length;
      return message;
    }
    throw this.#ended ?? new UnavailableError('STALLED', `The stream brought nothing for ${Math.round(withinMs)} ms.`);
  }

  cancel(): void {
    this.#cancel();
  }

  #take(message: Buffer): void {
    if (this.#isFull) return; // It came after the stream was cancelled, and comes again with the next one.
    this.#messages.push(message);
    this.#bytes += message.length;
    if (this.#bytes > BUFFER_BYTES) {
      this.#isFull = true;
      this.#cancel();
    }
    this.#wake();
  }

  #end(status: StatusObject): void {
    const inPeace = status.code === Code.OK;
    this.#ended = inPeace ? new UnavailableError('STREAM_ENDED', 'The service ended the stream.') : fromStatus(status);
    this.#wake();
  }

  async #news(withinMs: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const settle = (end: () => void): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        this.#wake = () => undefined;
        end();
      };
      const abort = (): void => settle(() => reject(signal.reason));
      const timer = setTimeout(() => settle(resolve), withinMs);
      signal.addEventListener('abort', abort, { once: true });
      this.#wake = () => settle(resolve);
    });
  }
}
