/**
 * One HTTP call: JSON in, JSON out, and every way it can fail as a `Problem`.
 *
 * A call that got no answer in time has the code `unreachable`: whether the server acted on it is unknown.
 */

const BASE = new URL("api/v1/", document.baseURI);
const PATIENCE_MS = 12_000;

export class Problem extends Error {
  /**
   * @param {number} status the HTTP status; 0 without an answer
   * @param {Record<string, any>} body the problem document
   * @param {number | null} retryAfter seconds
   */
  constructor(status, body, retryAfter = null) {
    super(body.detail ?? body.title ?? body.code);
    this.status = status;
    this.code = String(body.code ?? "");
    this.body = body;
    this.retryAfter = retryAfter;
  }

  /** True when the same request may still succeed, and what became of this one is not known. */
  get unsettled() {
    return this.status === 0 || this.status >= 500;
  }
}

/** @param {Response} response */
function retryAfter(response) {
  const seconds = Number(response.headers.get("retry-after") ?? NaN);
  return Number.isFinite(seconds) ? Math.max(1, Math.ceil(seconds)) : null;
}

/** @param {Response} response */
async function body(response) {
  const document = response.status === 204 ? null : await response.json();
  if (response.ok) return document;
  throw new Problem(response.status, document ?? {}, retryAfter(response));
}

/** @param {string} path relative to the API */
export function address(path) {
  return new URL(path, BASE);
}

/**
 * How far the server's clock is ahead of this one, in milliseconds, as of its last answer.
 * A deadline that the server names is right on a device whose clock is not.
 */
export let clockSkew = 0;

/**
 * @param {string} method
 * @param {string} path relative to the API
 * @param {{token?: string, json?: object, key?: string, keepalive?: boolean}} [options] `key`: the Idempotency-Key
 * @returns {Promise<any>} the answer's JSON; null where there is none
 * @throws {Problem}
 */
export async function call(method, path, { token, json, key, keepalive = false } = {}) {
  const headers = new Headers({ accept: "application/json" });
  if (token) headers.set("authorization", `Bearer ${token}`);
  if (json) headers.set("content-type", "application/json");
  if (key) headers.set("idempotency-key", key);
  /** @type {RequestInit} */
  const request = { method, headers, keepalive, cache: "no-store", credentials: "omit" };
  if (json) request.body = JSON.stringify(json);
  try {
    const response = await fetch(address(path), { ...request, signal: AbortSignal.timeout(PATIENCE_MS) });
    const said = Date.parse(response.headers.get("date") ?? "");
    if (Number.isFinite(said)) clockSkew = said - Date.now();
    return await body(response);
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem(0, { code: "unreachable", title: "no answer" });
  }
}
