/**
 * The leaderboard's socket, kept open: it authenticates by its first message, again before the access token expires,
 * and reconnects with backoff and jitter. Every connection begins with `initial`, so nothing shown is missed.
 *
 * Events: `state` (detail: "connecting", "live", "reconnecting" or "offline"); `initial`, `update`, `score` and `period`
 * (detail: the message's data), the last of them before another `initial`; `gone` when there is no such period.
 */

import { address, Problem } from "./api.js";

const FIRST_DELAY_MS = 500;
const LAST_DELAY_MS = 30_000;
/** A connection that lived this long starts the backoff anew. */
const STEADY_MS = 10_000;
/** The time a connection has to become live, in milliseconds. */
const PATIENCE_MS = 10_000;
/** A clock tick this late means that the device slept: the socket may be dead without knowing. */
const SLEPT_MS = 90_000;
const TICK_MS = 5_000;
/** After this many failures in a row the word is "offline", though it goes on trying. */
const FAILURES_OFFLINE = 4;

const TOKEN_REJECTED = 4401;
const ORIGIN_REJECTED = 4403;
const PERIOD_UNKNOWN = 4404;
const OVERLOADED = 1013;

const EVENTS = new Map([
  ["leaderboard:initial", "initial"],
  ["leaderboard:update", "update"],
  ["score:update", "score"],
  ["leaderboard:period", "period"],
]);

/** @param {string} accessToken */
function greeting(accessToken) {
  return JSON.stringify({ type: "auth", accessToken });
}

/** @param {string} text @returns {{event?: unknown, data?: any}} */
function parsed(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

export class Live extends EventTarget {
  /** @type {import("./session.js").Session} */
  #session;
  /** @type {WebSocket | null} */
  #socket = null;
  #state = "";
  #running = false;
  #period = "";
  #attempt = 0;
  #failures = 0;
  #rejected = false;
  #liveSince = 0;
  #timer = 0;
  #tick = 0;
  #ticked = 0;

  /** @param {import("./session.js").Session} session */
  constructor(session) {
    super();
    this.#session = session;
    session.addEventListener("token", (event) => this.#reauthenticate(/** @type {CustomEvent} */ (event).detail));
    window.addEventListener("online", () => this.#hurry());
    window.addEventListener("offline", () => this.#lost(0));
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#hurry());
  }

  /** @param {string} period what to follow: `all_time`, `day` and so on */
  start(period) {
    this.stop();
    this.#period = period;
    this.#running = true;
    this.#ticked = Date.now();
    this.#tick = window.setInterval(() => this.#watchClock(), TICK_MS);
    this.#become("connecting");
    this.#connect();
  }

  stop() {
    this.#running = false;
    this.#failures = 0;
    clearTimeout(this.#timer);
    clearInterval(this.#tick);
    this.#drop();
  }

  async #connect() {
    this.#drop();
    const attempt = this.#attempt;
    try {
      const accessToken = await (this.#rejected ? this.#session.renew() : this.#session.token());
      if (attempt === this.#attempt) this.#open(accessToken);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (attempt === this.#attempt) this.#lost(0);
    }
  }

  /** @param {string} accessToken */
  #open(accessToken) {
    const url = address(`leaderboard/ws?period=${this.#period}`);
    const socket = new WebSocket(url.href.replace(/^http/, "ws"));
    this.#socket = socket;
    this.#timer = window.setTimeout(() => this.#lost(0), PATIENCE_MS);
    socket.addEventListener("open", () => socket.send(greeting(accessToken)));
    socket.addEventListener("message", ({ data }) => socket === this.#socket && this.#receive(parsed(data)));
    socket.addEventListener("close", ({ code }) => socket === this.#socket && this.#lost(code));
  }

  /** Extends an open connection with the token that was just renewed. @param {string} accessToken */
  #reauthenticate(accessToken) {
    if (this.#state === "live" && this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(greeting(accessToken));
  }

  /** @param {{event?: unknown, data?: any}} message */
  #receive({ event, data }) {
    const type = EVENTS.get(String(event));
    if (!type) return;
    // It comes again on an open connection when a period ends.
    if (type === "initial" && this.#state !== "live") {
      clearTimeout(this.#timer);
      this.#liveSince = Date.now();
      this.#rejected = false;
      this.#become("live");
    }
    this.dispatchEvent(new CustomEvent(type, { detail: data }));
  }

  /** @param {number} code of the close; 0 when this side gave up */
  #lost(code) {
    if (!this.#running) return;
    this.#drop();
    if (this.#liveSince && Date.now() - this.#liveSince > STEADY_MS) this.#failures = 0;
    this.#liveSince = 0;
    this.#rejected = code === TOKEN_REJECTED;
    this.#timer = window.setTimeout(() => this.#connect(), this.#delay(code));
    this.#become(navigator.onLine === false || this.#failures > FAILURES_OFFLINE ? "offline" : "reconnecting");
    if (code === PERIOD_UNKNOWN) this.dispatchEvent(new Event("gone"));
  }

  /** @param {number} code @returns {number} milliseconds */
  #delay(code) {
    if (code === ORIGIN_REJECTED) return LAST_DELAY_MS * (1 + Math.random());
    if (code === OVERLOADED) this.#failures += 2;
    const most = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures);
    this.#failures += 1;
    return most * (0.5 + Math.random() / 2);
  }

  /** Connects now instead of later, when something suggests that it may work. */
  #hurry() {
    if (!this.#running || this.#state === "live" || this.#state === "connecting") return;
    this.#failures = 0;
    this.#connect();
  }

  #watchClock() {
    const late = Date.now() - this.#ticked - TICK_MS;
    this.#ticked = Date.now();
    if (late > SLEPT_MS && this.#state === "live") this.#lost(0);
  }

  /** Ends the attempt or connection under way, if any. */
  #drop() {
    this.#attempt += 1;
    const socket = this.#socket;
    this.#socket = null;
    clearTimeout(this.#timer);
    socket?.close();
  }

  /** @param {string} state */
  #become(state) {
    this.#state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
