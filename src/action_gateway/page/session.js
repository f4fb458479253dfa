/**
 * Who is logged in, and an access token that is good right now.
 *
 * The refresh token rotates: each is used once, by one tab. Tabs take turns under a Web Lock and read the kept token only
 * inside it. Without Web Locks two tabs may send the same token at once; the gateway then gives both the same successor.
 *
 * A token is sent with an Idempotency-Key, which is kept with it until there is an answer. A client that sends both again,
 * after the device has slept or in a new tab, gets the successor that got lost.
 *
 * Events: `user` when somebody else (or nobody: `detail.why`) is logged in, `token` (detail: the access token) when it
 * was renewed.
 */

import { call, Problem } from "./api.js";
import * as keep from "./keep.js";
import { freshKey } from "./key.js";

const LOCK = "laurel.refresh";
/** A token is renewed somewhere between these shares of its life, so that many pages do not come at once. */
const [EARLIEST, LATEST] = [0.6, 0.75];
/** A token with less than this share of its life left is not sent any more: it might expire on the way. */
const LAST_SHARE = 0.1;

/** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
function alone(work) {
  return navigator.locks ? navigator.locks.request(LOCK, work) : work();
}

/** @param {keep.Login} login @returns {string} the key to renew it with, which is kept before it is sent */
function refreshKey(login) {
  const key = login.refreshKey ?? freshKey();
  keep.write({ ...login, refreshKey: key });
  return key;
}

export class Session extends EventTarget {
  /** @type {keep.User | null} */
  user = null;
  /** @type {{token: string, usableUntil: number} | null} */
  #access = null;
  /** @type {Promise<string> | null} */
  #renewal = null;
  #alarm = 0;

  /** Takes up the login kept from an earlier visit, and follows the other tabs. */
  resume() {
    keep.onChangeElsewhere(() => this.#follow());
    this.#become(keep.read()?.user ?? null);
  }

  /** @param {string} username @param {string} password */
  async login(username, password) {
    const pair = await call("POST", "auth/login", { json: { username, password } });
    keep.write({ refreshToken: pair.refreshToken, user: pair.user });
    this.#become(pair.user, { pair });
  }

  /** @param {string} username @param {string} password */
  async register(username, password) {
    await call("POST", "auth/register", { json: { username, password } });
  }

  /** Forgets the login here at once; the server is told when it can be reached. */
  async logout() {
    const login = keep.read();
    keep.write(null);
    this.#become(null);
    if (!login) return;
    const json = { refreshToken: login.refreshToken };
    await call("POST", "auth/logout", { json, keepalive: true }).catch(() => {});
  }

  /** Deletes the account. Where there was no answer, the same again is right. @param {string} password */
  async leave(password) {
    await this.call("DELETE", "account", { json: { password } });
    keep.write(null);
    this.#become(null, { why: "deleted" });
  }

  /**
   * @returns {Promise<string>} an access token that is good now
   * @throws {Problem} `bad_refresh_token` when the login has ended, `unreachable` and the like without an answer
   */
  async token() {
    if (this.#access && Date.now() < this.#access.usableUntil) return this.#access.token;
    return this.renew();
  }

  /** A new access token, by one call however many ask. @returns {Promise<string>} */
  renew() {
    this.#renewal ??= alone(() => this.#rotate()).finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  /**
   * A call as the user who is logged in. A token that the server no longer takes is renewed once.
   * @param {string} method @param {string} path @param {{json?: object, key?: string}} [options]
   */
  async call(method, path, options = {}) {
    const token = await this.token();
    try {
      return await call(method, path, { ...options, token });
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== "unauthenticated") throw error;
      return call(method, path, { ...options, token: await this.renew() });
    }
  }

  /** @returns {Promise<string>} */
  async #rotate() {
    const login = keep.read();
    if (!login) return this.#end("elsewhere");
    try {
      const json = { refreshToken: login.refreshToken };
      const pair = await call("POST", "auth/refresh", { json, key: refreshKey(login) });
      return this.#renewed(login, pair);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      const newer = keep.read();
      if (newer && newer.refreshToken !== login.refreshToken) return this.#rotate();
      keep.write(null);
      return this.#end("expired");
    }
  }

  /** @param {keep.Login} login the one that was sent @param {any} pair @returns {string | Promise<string>} */
  #renewed(login, pair) {
    const kept = keep.read();
    if (!kept) return this.#end("elsewhere");
    if (kept.user.userId !== login.user.userId) return this.#rotate();
    if (kept.refreshToken === login.refreshToken) keep.write({ refreshToken: pair.refreshToken, user: login.user });
    this.#admit(pair);
    this.dispatchEvent(new CustomEvent("token", { detail: pair.accessToken }));
    return pair.accessToken;
  }

  /** @param {{accessToken: string, expiresIn: number}} pair */
  #admit({ accessToken, expiresIn }) {
    const life = expiresIn * 1000;
    this.#access = { token: accessToken, usableUntil: Date.now() + life * (1 - LAST_SHARE) };
    clearTimeout(this.#alarm);
    const share = EARLIEST + (LATEST - EARLIEST) * Math.random();
    this.#alarm = window.setTimeout(() => this.renew().catch(() => {}), life * share);
  }

  /** @param {string} why @returns {never} */
  #end(why) {
    if (this.user) this.#become(null, { why });
    throw new Problem(401, { code: "bad_refresh_token" });
  }

  #follow() {
    const user = keep.read()?.user ?? null;
    if (user?.userId !== this.user?.userId) this.#become(user, { why: "elsewhere" });
  }

  /** @param {keep.User | null} user @param {{why?: string, pair?: {accessToken: string, expiresIn: number}}} [how] */
  #become(user, { why, pair } = {}) {
    if (user?.userId !== this.user?.userId) this.#access = null;
    if (pair) this.#admit(pair);
    if (!user) clearTimeout(this.#alarm);
    this.user = user;
    this.dispatchEvent(new CustomEvent("user", { detail: { why } }));
  }
}
