/** Taking back all awards that a filter selects: a plan first, and then its apply, step by step. */

import { announce } from "../announcer.js";
import { nameOf } from "../board.js";
import { find, say, slot, stamp } from "../dom.js";
import { count, number } from "../format.js";
import { reasonOf, Work } from "./work.js";

const TEXTS = ["userId", "actionId", "actionType", "caller"];
const TIMES = ["recordedFrom", "recordedUntil"];

/** @param {string} name @returns {HTMLInputElement} */
const field = (name) => find(`bulk-${name}`);

/** @returns {Record<string, string>} what is filled in */
function read() {
  const texts = TEXTS.map((name) => [name, field(name).value.trim()]);
  // The field has the time of this device, and no zone.
  const times = TIMES.map((name) => [name, field(name).value && new Date(field(name).value).toISOString()]);
  return Object.fromEntries([...texts, ...times].filter(([, value]) => value));
}

/** @param {number | null} rank */
const rankOf = (rank) => (rank === null ? "none" : number(rank));

/** @param {any} move */
function item(move) {
  const node = stamp("move-template");
  say(slot(node, "who"), nameOf(move));
  say(slot(node, "score"), `score ${number(move.totalBefore)} → ${number(move.totalAfter)}`);
  say(slot(node, "rank"), `rank ${rankOf(move.rankBefore)} → ${rankOf(move.rankAfter)}`);
  return node;
}

export class Bulk {
  /** @type {import("../session.js").Session} */
  #session;
  #changed;
  #planning = new Work("bulk", "bulk-error");
  #applying = new Work("plan", "plan-error");
  /** @type {any} */
  #plan = null;

  /** @param {import("../session.js").Session} session @param {() => void} changed */
  constructor(session, changed) {
    this.#session = session;
    this.#changed = changed;
    find("bulk").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#make();
    });
    // A plan is of what was filled in when it was made.
    find("bulk").addEventListener("input", () => this.#forget());
    find("plan").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#apply();
    });
  }

  /** @param {string[]} boards */
  open(boards) {
    this.close();
    find("bulk-board").replaceChildren(...boards.map((board) => new Option(board, board)));
  }

  close() {
    /** @type {HTMLFormElement} */ (find("bulk")).reset();
    this.#planning.fail("");
    this.#forget();
  }

  #forget() {
    this.#plan = null;
    find("plan").hidden = true;
  }

  async #make() {
    const filter = read();
    if (!Object.keys(filter).length) return this.#planning.fail("Fill in one field at least.");
    this.#forget();
    const json = { boardId: /** @type {HTMLSelectElement} */ (find("bulk-board")).value, filter };
    const made = await this.#planning.run(async () => {
      this.#plan = { ...json, ...(await this.#session.call("POST", "moderation/reversals/plan", { json })) };
    });
    if (made) this.#show();
  }

  #show() {
    const { awards, points, users, moves } = this.#plan;
    const what = `${count(awards, "award")} of ${count(users, "player")}, ${count(points, "point")} in all.`;
    say(find("plan-sum"), awards ? `${what} What would change among the first 100:` : "Nothing is selected that still stands.");
    find("moves").replaceChildren(...moves.map(item));
    /** @type {HTMLFormElement} */ (find("plan")).reset();
    this.#applying.fail("");
    say(find("apply"), `Take back ${count(awards, "award")}`);
    this.#offer(awards > 0);
    find("plan").hidden = false;
    find("plan-title").focus();
  }

  /** @param {boolean} canApply */
  #offer(canApply) {
    for (const id of ["plan-why", "apply"]) find(id).hidden = !canApply;
    find("plan-progress").hidden = true;
  }

  async #apply() {
    const reason = reasonOf("plan-reason", this.#applying);
    if (!reason || !this.#plan) return;
    const { boardId, filter, planToken, awards } = this.#plan;
    const json = { boardId, filter, planToken, reason };
    const done = await this.#applying.run(() => this.#goOn(json, awards));
    if (!done) return;
    announce(`${count(awards, "award")} taken back.`);
    say(find("plan-sum"), `${count(awards, "award")} taken back.`);
    find("moves").replaceChildren();
    this.#offer(false);
    find("plan-title").focus();
    this.#changed();
  }

  /** Applies the plan until all of it is done. @param {object} json @param {number} awards */
  async #goOn(json, awards) {
    /** @type {HTMLProgressElement} */
    const progress = find("plan-progress");
    progress.max = awards;
    progress.value = 0;
    progress.hidden = false;
    for (let done = false; !done; ) {
      const step = await this.#session.call("POST", "moderation/reversals/apply", { json });
      progress.value = Math.max(progress.value, step.reversed);
      done = step.done;
    }
  }
}
