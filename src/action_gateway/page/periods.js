/**
 * The times in which the board counts from 0: a tab for each that it has, how long the chosen one lasts, and who won the
 * one before. Which there are, where they end and what they are called, the server says; the page knows no calendar.
 *
 * Events: `choice` when another tab was chosen, `end` when any of the current ones has ended, or they could not be read:
 * it is time to `load` again.
 */

import { announce } from "./announcer.js";
import { clockSkew } from "./api.js";
import { nameOf } from "./board.js";
import { arrange, find, notice, say, slot, stamp } from "./dom.js";
import { compact, day, month, number, remaining, time } from "./format.js";

/** @typedef {import("./board.js").Entry} Entry */
/**
 * @typedef {{id: string, kind: string, startsAt: string, endsAt: string, closesAt: string, state: string,
 *   nextStartsAt: string | null}} Period
 */
/** @typedef {Period & {entrants: number, podium: Entry[]}} Result */

export const ALL_TIME = "all_time";

/** @type {Record<string, {tab: string, next: string, before: string}>} in the order of the tabs */
const KINDS = {
  day: { tab: "Today", next: "A new day has begun.", before: "Yesterday" },
  week: { tab: "This week", next: "A new week has begun.", before: "Last week" },
  month: { tab: "This month", next: "A new month has begun.", before: "Last month" },
  season: { tab: "This season", next: "A new season has begun.", before: "" },
};
const TICK_MS = 1_000;
const RETRY_MS = 4_000;
/** How much later than the server's instant a period is looked for again: clocks differ a little. */
const LATE_MS = 1_000;
/** The longest that browsers wait is less than a month. */
const LONGEST_MS = 86_400_000;

/** @param {string} instant @returns {number} milliseconds until then by the server's clock */
const until = (instant) => Date.parse(instant) - Date.now() - clockSkew;

/** @param {Period} period @returns {string} what people call it */
function title({ id, kind }) {
  const name = id.slice(id.indexOf(":") + 1);
  if (kind === "day") return day(name);
  if (kind === "week") return `Week ${number(Number(name.slice(-2)))}, ${name.slice(0, 4)}`;
  return kind === "month" ? month(name) : `Season ${name}`;
}

/** @param {Result} result @returns {string} how far its result has come */
function verdict({ state, closesAt }) {
  if (state === "final") return "Final result";
  return state === "review" ? "The result is being reviewed" : `Counting until ${time(Date.parse(closesAt))}`;
}

export class Periods extends EventTarget {
  choice = ALL_TIME;
  #session;
  /** @type {HTMLElement} */
  #list = find("tabs");
  /** @type {Map<string, HTMLElement>} */
  #tabs = new Map();
  /** @type {Period | null} */
  #shown = null;
  /** @type {Result[]} of the kind that is shown, the last to end first */
  #results = [];
  #edition = 0;
  #tick = 0;
  #alarm = 0;

  /** @param {import("./session.js").Session} session */
  constructor(session) {
    super();
    this.#session = session;
    this.#list.addEventListener("keydown", (event) => this.#walk(event));
  }

  /** Reads which periods there are now, and who won the one before; again until it could be read. */
  async load() {
    const edition = this.#edition;
    const [all, past] = await Promise.all([this.#read("limit=1"), this.#readBefore()]);
    if (edition !== this.#edition) return;
    if (all) this.#offer(all.current);
    else this.#wakeAfter(RETRY_MS * (1 + Math.random() / 2));
    if (past) this.#results = past.periods;
    this.#crown();
  }

  /** @param {string} choice */
  choose(choice) {
    if (choice === this.choice) return;
    this.#edition += 1;
    this.choice = choice;
    this.#results = [];
    this.#mark();
    this.show(null);
    this.dispatchEvent(new Event("choice"));
    this.load();
  }

  /** Shows how long the chosen one lasts. @param {Period | null} period null for all time */
  show(period) {
    this.#shown = period;
    clearInterval(this.#tick);
    find("clock").hidden = !period;
    this.#crown();
    if (!period) return;
    say(find("clock-name"), title(period));
    find("clock-left").title = new Date(period.endsAt).toLocaleString();
    this.#count();
    this.#tick = window.setInterval(() => this.#count(), TICK_MS);
  }

  /** Goes on with the next one. @param {Period} period */
  begin(period) {
    this.show(period);
    announce(KINDS[period.kind].next);
  }

  clear() {
    this.#edition += 1;
    this.choice = ALL_TIME;
    this.#results = [];
    clearTimeout(this.#alarm);
    this.#offer([]);
    this.show(null);
  }

  /** @param {string} query @returns {Promise<{current: Period[], periods: Result[]} | null>} null where it fails */
  #read(query) {
    return this.#session.call("GET", `leaderboard/periods?${query}`).catch(() => null);
  }

  #readBefore() {
    return this.choice === ALL_TIME ? null : this.#read(`kind=${this.choice}&limit=2`);
  }

  /** @param {Period[]} current */
  #offer(current) {
    const kinds = Object.keys(KINDS).filter((kind) => current.some((period) => period.kind === kind));
    const choices = kinds.length ? [ALL_TIME, ...kinds] : [];
    const tabs = choices.map((choice) => this.#tab(choice));
    this.#tabs = new Map(choices.map((choice, index) => [choice, tabs[index]]));
    arrange(this.#list, tabs);
    this.#list.hidden = !tabs.length;
    if (!choices.includes(this.choice)) this.choose(ALL_TIME);
    this.#mark();
    this.#wake(current);
  }

  /** @param {string} choice */
  #tab(choice) {
    const tab = this.#tabs.get(choice) ?? stamp("tab-template");
    tab.id = `tab-${choice}`;
    say(tab, KINDS[choice]?.tab ?? "All time");
    tab.onclick = () => this.choose(choice);
    return tab;
  }

  #mark() {
    for (const [choice, tab] of this.#tabs) {
      tab.ariaSelected = String(choice === this.choice);
      tab.tabIndex = choice === this.choice ? 0 : -1;
    }
    const panel = find("panel");
    if (this.#tabs.size) {
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", `tab-${this.choice}`);
    } else {
      panel.removeAttribute("role");
      panel.removeAttribute("aria-labelledby");
    }
  }

  /** Moves between the tabs with the arrow keys, as the pattern has it. @param {KeyboardEvent} event */
  #walk(event) {
    const tabs = [...this.#tabs.values()];
    const index = tabs.indexOf(/** @type {HTMLElement} */ (event.target));
    const steps = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: tabs.length - 1 };
    const next = steps[/** @type {keyof typeof steps} */ (event.key)];
    if (index < 0 || next === undefined) return;
    event.preventDefault();
    tabs[(next + tabs.length) % tabs.length].focus();
  }

  #count() {
    const period = /** @type {Period} */ (this.#shown);
    const left = until(period.endsAt);
    const isOver = period.state !== "open" || left <= 0;
    say(find("clock-left"), isOver ? "has ended" : `ends in ${remaining(left)}`);
  }

  /** Says when the next of the current ones has ended. @param {Period[]} current */
  #wake(current) {
    clearTimeout(this.#alarm);
    if (!current.length) return;
    const next = Math.min(...current.map(({ endsAt }) => until(endsAt)));
    this.#wakeAfter(Math.max(0, Math.min(LONGEST_MS, next)) + LATE_MS);
  }

  /** @param {number} milliseconds */
  #wakeAfter(milliseconds) {
    clearTimeout(this.#alarm);
    this.#alarm = window.setTimeout(() => this.dispatchEvent(new Event("end")), milliseconds);
  }

  /** Shows the podium of the one before the shown one. */
  #crown() {
    const shown = this.#shown;
    const before = shown && this.#results.find(({ endsAt }) => Date.parse(endsAt) <= Date.parse(shown.startsAt));
    find("before").hidden = !before?.podium.length;
    if (!shown || !before) return;
    const isNext = Date.parse(before.endsAt) === Date.parse(shown.startsAt);
    say(find("before-title"), (isNext && KINDS[before.kind].before) || title(before));
    notice(find("before-state"), verdict(before));
    arrange(find("winners"), before.podium.map((entry) => this.#winner(entry)));
  }

  /** @param {Entry} entry */
  #winner(entry) {
    const item = stamp("winner-template");
    say(slot(item, "rank"), entry.rank === null ? "–" : number(entry.rank));
    say(slot(item, "name"), nameOf(entry));
    slot(item, "name").title = nameOf(entry);
    say(slot(item, "score"), compact(entry.score));
    slot(item, "score").title = number(entry.score);
    return item;
  }
}
