/** The awards of a player on a board, newest first, and taking one back. */

import { announce } from "../announcer.js";
import { freshId } from "../key.js";
import { find, say, slot, stamp } from "../dom.js";
import { count, gain, number } from "../format.js";
import { moment } from "./times.js";
import { describe, reasonOf, Work } from "./work.js";

const PAGE = 20;

/** @typedef {{awardId: string, userId: string, points: number, total: number, actionId: string, actionType: string, caller: string, recordedAt: string, periods: string[], reversal: any}} Award */

/** @param {{actionType: string, actionId: string}} award */
const actionOf = ({ actionType, actionId }) => `${actionType} ${actionId}`;

/** @param {any} reversal */
function takenBack({ recordedAt, reason, onBehalfOf, actor, finalPeriods }) {
  const kept = finalPeriods.length ? ` Still counts in ${finalPeriods.join(", ")}, which is final.` : "";
  return `Taken back ${moment(recordedAt)} by ${onBehalfOf || actor}: ${reason}${kept}`;
}

export class History {
  /** @type {import("../session.js").Session} */
  #session;
  #changed;
  #reading = new Work("history", "history-error");
  #reversing = new Work("reversal-form", "reversal-error");
  /** @type {HTMLDialogElement} */
  #dialog = find("reversal");
  #boardId = "";
  /** @type {{userId: string, username: string | null, places: {boardId: string, score: number}[]}} */
  #player = { userId: "", username: null, places: [] };
  #token = "";
  #edition = 0;
  /** @type {Award | null} */
  #award = null;
  /** Of the reversal that is asked for: kept until there is an answer, so that it is made once. */
  #reversalId = "";

  /** @param {import("../session.js").Session} session @param {() => void} changed */
  constructor(session, changed) {
    this.#session = session;
    this.#changed = changed;
    find("more").addEventListener("click", () => this.#more());
    find("keep").addEventListener("click", () => this.#dialog.close());
    find("reversal-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#reverse();
    });
  }

  close() {
    this.#edition += 1;
    find("history").replaceChildren();
    find("history-archived").hidden = true;
    if (this.#dialog.open) this.#dialog.close();
  }

  /** @param {string} boardId @param {any} player */
  open(boardId, player) {
    this.close();
    this.#boardId = boardId;
    this.#player = player;
    this.#token = "";
    this.#more();
  }

  async #more() {
    const edition = this.#edition;
    const query = new URLSearchParams({ boardId: this.#boardId, userId: this.#player.userId, limit: String(PAGE) });
    if (this.#token) query.set("pageToken", this.#token);
    try {
      const page = await this.#session.call("GET", `moderation/awards?${query}`);
      if (edition !== this.#edition) return;
      this.#reading.fail("");
      find("history").append(...page.awards.map((/** @type {Award} */ award) => this.#item(award)));
      this.#token = page.nextPageToken ?? "";
      find("history-archived").hidden = Boolean(this.#token) || !page.archivedRevision;
    } catch (problem) {
      if (edition === this.#edition) this.#reading.fail(describe(problem));
    }
    find("more").hidden = !this.#token;
    find("history-empty").hidden = find("history").childElementCount > 0 || Boolean(find("history-error").textContent);
  }

  /** @param {Award} award */
  #item(award) {
    const item = stamp("award-template");
    say(slot(item, "points"), gain(award.points));
    say(slot(item, "action"), actionOf(award));
    say(slot(item, "time"), moment(award.recordedAt));
    /** @type {HTMLTimeElement} */ (slot(item, "time")).dateTime = award.recordedAt;
    say(slot(item, "source"), `score ${number(award.total)} then · ${award.caller}`);
    item.classList.toggle("taken", Boolean(award.reversal));
    slot(item, "state").hidden = !award.reversal;
    if (award.reversal) say(slot(item, "state"), takenBack(award.reversal));
    const button = slot(item, "reverse");
    button.hidden = Boolean(award.reversal);
    button.setAttribute("aria-label", `Take back ${gain(award.points)}, ${actionOf(award)}`);
    button.addEventListener("click", () => this.#ask(award));
    return item;
  }

  /** @param {Award} award */
  #ask(award) {
    this.#award = award;
    this.#reversalId = freshId();
    /** @type {HTMLFormElement} */ (find("reversal-form")).reset();
    find("reversal-reason").removeAttribute("aria-invalid");
    this.#reversing.fail("");
    const name = this.#player.username ?? this.#player.userId;
    say(find("reversal-what"), `${count(award.points, "point")} of ${name} for ${actionOf(award)}, ${moment(award.recordedAt)}.`);
    say(find("reversal-preview"), "Working out what would change…");
    this.#dialog.showModal();
    find("reversal-title").focus();
    this.#preview(award);
  }

  /** Plans the reversal of this award alone. @param {Award} award */
  async #preview(award) {
    const after = new Date(Date.parse(award.recordedAt) + 1).toISOString();
    const filter = { userId: award.userId, actionId: award.actionId, recordedFrom: award.recordedAt, recordedUntil: after };
    const json = { boardId: this.#boardId, filter };
    const plan = await this.#session.call("POST", "moderation/reversals/plan", { json }).catch(() => null);
    if (award !== this.#award || !this.#dialog.open) return;
    const move = plan?.awards === 1 ? plan.moves.find((/** @type {any} */ { userId }) => userId === award.userId) : null;
    const place = this.#player.places.find(({ boardId }) => boardId === this.#boardId);
    const score = place?.score ?? award.total;
    const rank = move ? `, rank ${rankOf(move.rankBefore)} → ${rankOf(move.rankAfter)}` : "";
    say(find("reversal-preview"), `Score ${number(score)} → ${number(score - award.points)}${rank}. Final periods keep the points.`);
  }

  async #reverse() {
    const reason = reasonOf("reversal-reason", this.#reversing);
    const award = this.#award;
    if (!reason || !award) return;
    const json = { boardId: this.#boardId, awardId: award.awardId, reversalId: this.#reversalId, reason };
    const done = await this.#reversing.run(() => this.#session.call("POST", "moderation/reversals", { json }));
    if (!done) return;
    this.#dialog.close();
    announce(`${count(award.points, "point")} taken back.`);
    this.#changed();
    find("history-title").focus();
  }
}

/** @param {number | null} rank */
const rankOf = (rank) => (rank === null ? "none" : number(rank));
