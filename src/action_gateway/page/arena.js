/** What a player sees after logging in. It brings together what the socket and the calls say, for the views. */

import { announce } from "./announcer.js";
import { Actions } from "./actions.js";
import { Board } from "./board.js";
import { Challenge } from "./challenge.js";
import { find, say } from "./dom.js";
import { Live } from "./live.js";
import { ALL_TIME, Periods } from "./periods.js";
import { Standing } from "./standing.js";
import { collect } from "./ticket.js";

/** @typedef {import("./board.js").Entry} Entry */
/** @typedef {import("./periods.js").Period} Period */

/** The least time between two looks at the own neighbourhood, and how often it is looked at anyway, in milliseconds. */
const LOOK_MS = 3_000;
const LOOK_ANYWAY_MS = 45_000;
/** An answer that was asked for this long after the last news of the own score knows of it, in milliseconds. */
const KNOWN_MS = 2_000;
/** Everyone's page has something to read when a period ends: after the second for which the gateway shares its answers,
    and spread over some more, in milliseconds. */
const SETTLE_MS = 1_200;
const SPREAD_MS = 3_000;

/** @type {Record<string, string>} */
const CONNECTION = { connecting: "Connecting", live: "Live", reconnecting: "Reconnecting", offline: "Offline" };

/** @type {Record<string, string>} */
const SCORE = {
  [ALL_TIME]: "Your score",
  day: "Your score today",
  week: "Your score this week",
  month: "Your score this month",
  season: "Your score this season",
};

/** @param {Entry} one @param {Entry} other */
const byRank = (one, other) => (one.rank ?? Infinity) - (other.rank ?? Infinity);

export class Arena {
  #session;
  #live;
  #board = new Board();
  #standing = new Standing();
  #periods;
  #actions;
  #challenge;
  /** @type {Entry} */
  #me = { userId: "", username: "", score: 0, rank: null };
  /** @type {Entry[]} */
  #top = [];
  /** @type {Entry[]} */
  #around = [];
  #looked = 0;
  #told = 0;
  #look = 0;
  #turn = 0;
  #edition = 0;

  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.#session = session;
    this.#live = new Live(session);
    this.#challenge = new Challenge(session, (award) => this.#paid(award));
    this.#actions = new Actions(session, (action) => this.#do(action));
    this.#listen("state", (state) => this.#connection(state));
    this.#periods = new Periods(session);
    this.#periods.addEventListener("choice", () => this.#follow());
    this.#periods.addEventListener("end", () => this.#turnOver());
    this.#listen("gone", () => this.#periods.choose(ALL_TIME));
    this.#listen("period", ({ period }) => this.#begin(period));
    this.#listen("initial", ({ leaderboard, me, period }) => {
      this.#periods.show(period);
      this.#learn({ top: leaderboard, me });
    });
    this.#listen("update", ({ leaderboard }) => this.#learn({ top: leaderboard }));
    this.#listen("score", ({ newScore, newRank }) => this.#scored({ score: newScore, rank: newRank }));
    document.addEventListener("visibilitychange", () => this.#session.user && !document.hidden && this.#actions.load());
  }

  /** @param {import("./keep.js").User} user */
  open(user) {
    this.close();
    this.#me = { ...user, score: 0, rank: null };
    say(find("player"), user.username);
    this.#actions.load();
    this.#periods.load();
    this.#follow();
  }

  close() {
    clearTimeout(this.#turn);
    this.#live.stop();
    this.#challenge.close();
    this.#actions.clear();
    this.#periods.clear();
    this.#forget();
  }

  /** Follows what is chosen. */
  #follow() {
    this.#forget();
    this.#live.start(this.#periods.choice);
  }

  /** Forgets what was seen of the board. */
  #forget() {
    this.#edition += 1;
    clearTimeout(this.#look);
    this.#standing.clear(SCORE[this.#periods.choice]);
    this.#board.clear();
    this.#me = { ...this.#me, score: 0, rank: null };
    this.#top = [];
    this.#around = [];
  }

  /** Goes on with the next period, whose first state comes at once. @param {Period} period */
  #begin(period) {
    this.#forget();
    this.#periods.begin(period);
    this.#turnOver();
  }

  /** Reads what a period that has ended leaves behind, and which puzzles are there again. */
  #turnOver() {
    clearTimeout(this.#turn);
    this.#turn = window.setTimeout(() => {
      this.#periods.load();
      this.#actions.load();
    }, SETTLE_MS + Math.random() * SPREAD_MS);
  }

  /** @param {string} type @param {(detail: any) => void} listener */
  #listen(type, listener) {
    this.#live.addEventListener(type, (event) => listener(/** @type {CustomEvent} */ (event).detail));
  }

  /**
   * Takes in what is new. The player's own row in the top says their rank; without one it has to be looked up.
   * @param {{top?: Entry[], around?: Entry[], me?: {score: number, rank: number | null}}} news
   */
  #learn({ top = this.#top, around = this.#around, me }) {
    this.#top = top;
    this.#around = around;
    const own = top.find(({ userId }) => userId === this.#me.userId);
    const { score, rank } = me ?? own ?? this.#me;
    this.#me = { ...this.#me, score, rank };
    this.#show();
    if (!own && score > 0) this.#lookSoon(LOOK_MS);
  }

  /** @param {{score: number, rank: number | null}} me */
  #scored({ score, rank }) {
    this.#told = Date.now();
    this.#learn({ me: { score, rank } });
    this.#actions.load();
  }

  /** @param {import("./actions.js").Action} action */
  async #do(action) {
    if (action.kind !== "instant") return this.#challenge.open(action);
    this.#paid(await collect(this.#session, action.actionId));
  }

  /** @param {import("./ticket.js").Gain} gain */
  #paid({ newTotalScore, newRank }) {
    // What it is in a period, the socket tells.
    const isShown = this.#periods.choice === ALL_TIME && newTotalScore > this.#me.score;
    if (isShown) this.#me = { ...this.#me, score: newTotalScore, rank: newRank };
    this.#told = Date.now();
    this.#show();
    this.#actions.load();
  }

  #show() {
    const shown = new Set(this.#top.map(({ userId }) => userId));
    const around = this.#around.filter(({ userId, rank }) => !shown.has(userId) && Number(rank) > shown.size);
    const below = [...around.filter(({ userId }) => userId !== this.#me.userId), this.#me].sort(byRank);
    this.#standing.show(this.#me, [...this.#top, ...around]);
    this.#board.render(this.#top, shown.has(this.#me.userId) ? [] : below, this.#me.userId);
  }

  /**
   * Looks at the neighbourhood not too often, and now and then anyway: who moves below the top is not told to everyone.
   * @param {number} after milliseconds since the last look
   */
  #lookSoon(after) {
    clearTimeout(this.#look);
    const due = Math.max(0, this.#looked + after - Date.now());
    this.#look = window.setTimeout(() => this.#lookAround(), due * (1 + Math.random() / 4));
  }

  async #lookAround() {
    const edition = this.#edition;
    const asked = (this.#looked = Date.now());
    const path = `leaderboard/me?radius=1&period=${this.#periods.choice}`;
    const seen = await this.#session.call("GET", path).catch(() => null);
    if (edition !== this.#edition) return;
    const isNew = seen && (seen.me.score >= this.#me.score || asked - this.#told > KNOWN_MS);
    if (isNew) this.#learn({ around: seen.entries, me: seen.me });
    if (!this.#top.some(({ userId }) => userId === this.#me.userId)) this.#lookSoon(LOOK_ANYWAY_MS);
  }

  /** A network that lets no socket through still shows the board, if not as fast. */
  async #poll() {
    const edition = this.#edition;
    const path = `leaderboard?limit=10&period=${this.#periods.choice}`;
    const page = await this.#session.call("GET", path).catch(() => null);
    if (page && edition === this.#edition) this.#learn({ top: page.entries });
  }

  /** @param {string} state */
  #connection(state) {
    const word = find("connection-word");
    if (state === "live" && word.textContent !== CONNECTION.connecting) announce("Live again.");
    if (state === "offline") announce("Offline. The board is not moving.");
    find("connection").dataset.state = state;
    say(word, CONNECTION[state]);
    if (state === "offline") this.#poll();
  }
}
