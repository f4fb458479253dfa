/**
 * The dialog in which a puzzle is solved.
 *
 *     ANSWERING ── right ──▶ triumph
 *        │  ▲─ wrong, too fast, unsettled, rate limited (after a countdown)
 *        └──▶ OVER (time up, no attempts left): the button starts the puzzle again
 *
 * A `#round` is one start of a puzzle; what comes back for an earlier round is not shown any more.
 */

import { clockSkew, Problem } from "./api.js";
import { Delivery } from "./delivery.js";
import { find, say } from "./dom.js";
import { count, duration, gain, number, time } from "./format.js";
import { shake, shower, still } from "./motion.js";
import { explain } from "./words.js";
import { drawWreath, light } from "./wreath.js";

/** @typedef {import("./actions.js").Action} Action */
/** @typedef {import("./delivery.js").Award} Award */

const LAST_MINUTE_MS = 60_000;
/** Rejections after which a try cannot be continued. */
const FINAL = new Set([
  "action_token_expired",
  "action_token_spent",
  "action_token_foreign",
  "bad_action_token",
  "action_already_completed",
  "action_not_found",
]);

export class Challenge {
  #session;
  #onPaid;
  /** @type {HTMLDialogElement} */
  #dialog = find("challenge");
  /** @type {HTMLInputElement} */
  #answer = find("answer");
  /** @type {SVGSVGElement} */
  #wreath = find("triumph-wreath");
  /** @type {Action | null} */
  #action = null;
  /** @type {Delivery | null} */
  #delivery = null;
  #round = 0;
  #busy = false;
  #over = false;
  #deadline = 0;
  #waitUntil = 0;
  #tick = 0;

  /** @param {import("./session.js").Session} session @param {(award: Award) => void} onPaid */
  constructor(session, onPaid) {
    this.#session = session;
    this.#onPaid = onPaid;
    drawWreath(this.#wreath);
    find("puzzle").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    for (const id of ["leave", "done"]) find(id).addEventListener("click", () => this.#dialog.close());
    find("again").addEventListener("click", () => this.#restart());
    this.#dialog.addEventListener("close", () => this.#closed());
  }

  /** Starts a puzzle and opens the dialog. @param {Action} action @throws {Problem} when it cannot be started */
  async open(action) {
    const round = (this.#round += 1);
    const again = this.#dialog.open;
    const started = await this.#session.call("POST", "actions/start", { json: { actionId: action.actionId } });
    if (round !== this.#round || (again && !this.#dialog.open)) return;
    this.#action = action;
    this.#delivery = new Delivery(this.#session, started.actionToken);
    this.#deadline = Date.parse(started.expiresAt) - clockSkew;
    this.#present(started.actionDetails);
  }

  close() {
    this.#round += 1;
    if (this.#dialog.open) this.#dialog.close();
  }

  /** @param {{title: string, prompt: string, points: number}} details as of this start */
  #present({ title, prompt, points }) {
    this.#over = false;
    this.#waitUntil = 0;
    say(find("challenge-title"), title);
    say(find("prompt"), prompt);
    say(find("challenge-points"), count(points, "point"));
    this.#reveal("puzzle");
    this.#answer.value = "";
    this.#judge("");
    this.#work(false);
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#answer.focus();
    this.#burn();
  }

  async #submit() {
    if (this.#busy || this.#waitUntil > Date.now()) return;
    if (this.#over) return this.#restart();
    const answer = this.#answer.value.trim();
    if (!answer) return this.#reject("Type an answer first.");
    const round = this.#round;
    this.#work(true);
    try {
      const award = await this.#delivery?.send(answer, () => {
        if (this.#shows(round)) this.#judge("No answer yet. Sending it again…");
      });
      if (award) this.#paid(award, round);
    } catch (problem) {
      if (this.#shows(round)) this.#failed(problem);
    }
  }

  /** @param {number} round @returns {boolean} whether the dialog is still about it */
  #shows(round) {
    return round === this.#round && this.#dialog.open;
  }

  async #restart() {
    this.#work(true);
    try {
      if (this.#action) await this.open(this.#action);
    } catch (problem) {
      this.#over = true;
      this.#reveal("puzzle");
      this.#failed(problem);
    }
  }

  /** @param {Award} award @param {number} round */
  #paid(award, round) {
    this.#onPaid(award);
    if (!this.#shows(round)) return;
    this.#work(false);
    clearInterval(this.#tick);
    this.#celebrate(award);
  }

  /** @param {Award} award */
  #celebrate({ pointsEarned, newTotalScore, newRank }) {
    this.#reveal("triumph");
    say(find("gain"), gain(pointsEarned));
    find("gain").dataset.length = String(find("gain").textContent?.length);
    say(find("triumph-title"), "Well done");
    const rank = newRank === null ? "" : `, which is rank ${number(newRank)}`;
    const total = `You now have ${count(newTotalScore, "point")}${rank}.`;
    say(find("triumph-text"), `${count(pointsEarned, "point")} for you. ${total}`);
    find("again").hidden = this.#action?.repeat !== "unlimited";
    light(this.#wreath, 1);
    shower(this.#wreath, this.#dialog);
    find("triumph-title").focus();
  }

  /** @param {"puzzle" | "triumph"} side */
  #reveal(side) {
    for (const id of ["puzzle", "triumph"]) find(id).hidden = id !== side;
    find("fuse").hidden = side !== "puzzle" || still();
  }

  /** @param {unknown} problem */
  #failed(problem) {
    if (!(problem instanceof Problem)) throw problem;
    this.#over ||= FINAL.has(problem.code) || problem.body.attemptsLeft === 0;
    if (problem.code === "rate_limited") this.#waitUntil = Date.now() + (problem.retryAfter ?? 60) * 1000;
    this.#work(false);
    this.#reject(this.#verdict(problem));
  }

  /** @param {Problem} problem */
  #verdict(problem) {
    const { attemptsLeft } = problem.body;
    if (attemptsLeft > 0) return `Not quite. ${count(attemptsLeft, "attempt")} left.`;
    if (attemptsLeft === 0) return "Not quite, and that was the last attempt. Start again when you like.";
    return problem.unsettled ? `${explain(problem)} However often you send an answer, it counts once.` : explain(problem);
  }

  /** @param {string} verdict */
  #reject(verdict) {
    this.#judge(verdict);
    shake(this.#answer);
    if (this.#over) return find("send").focus();
    this.#answer.focus();
    this.#answer.select();
  }

  /** @param {string} verdict */
  #judge(verdict) {
    say(find("verdict"), verdict);
    this.#answer.setAttribute("aria-invalid", String(Boolean(verdict) && !this.#busy));
  }

  /** @param {boolean} busy */
  #work(busy) {
    this.#busy = busy;
    find("puzzle").setAttribute("aria-busy", String(busy));
    this.#label();
  }

  #label() {
    const wait = Math.ceil((this.#waitUntil - Date.now()) / 1000);
    const words = this.#over ? "Start again" : "Send answer";
    say(find("send"), this.#busy ? "One moment…" : wait > 0 ? `Wait ${duration(wait)}` : words);
    find("send").setAttribute("aria-disabled", String(this.#busy || wait > 0));
    this.#answer.readOnly = this.#busy || this.#over;
  }

  /** Shows how long this try stays open, and ends it then. */
  #burn() {
    const left = this.#deadline - Date.now();
    const fuse = find("fuse");
    for (const animation of fuse.getAnimations()) animation.cancel();
    const frames = [{ transform: "scaleX(1)" }, { transform: "scaleX(0)" }];
    fuse.animate(frames, { duration: Math.max(0, left), fill: "forwards" });
    clearInterval(this.#tick);
    this.#tick = window.setInterval(() => this.#elapse(), 1_000);
    this.#elapse();
  }

  #elapse() {
    const left = this.#deadline - Date.now();
    const soon = left < LAST_MINUTE_MS;
    const words = soon ? `${duration(Math.ceil(left / 1000))} left` : `Open until ${time(this.#deadline)}`;
    say(find("until"), left <= 0 ? "Time is up" : words);
    if (left <= 0 && !this.#busy && !this.#over) this.#failed(new Problem(400, { code: "action_token_expired" }));
    this.#label();
  }

  /** The event comes after the fact: by then the dialog may be open for the next round. */
  #closed() {
    if (this.#dialog.open) return;
    clearInterval(this.#tick);
    light(this.#wreath, 0);
    this.#returnFocus();
  }

  /** The dialog gives the focus back to the button that opened it; a solved puzzle may have none any more. */
  #returnFocus() {
    const { activeElement } = document;
    const lost = !activeElement || activeElement === document.body || this.#dialog.contains(activeElement);
    if (lost) find("play-title").focus({ preventScroll: true });
  }
}
