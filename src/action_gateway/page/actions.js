/**
 * The list of puzzles and instant actions, and which of them the player has done.
 *
 * Reading it again keeps the cards that are there, and the focus.
 */

import { Problem } from "./api.js";
import { arrange, find, notice, say, slot, stamp } from "./dom.js";
import { gain } from "./format.js";
import { explain } from "./words.js";

/**
 * @typedef {{actionId: string, kind: string, title: string, prompt: string, points: number, repeat: string, completed: boolean}} Action
 */

/** @type {Record<string, string>} */
const REPEAT = { once: "Once", daily: "Every day", unlimited: "Any time" };
/** @type {Record<string, {act: string, done: string}>} */
const KIND = {
  puzzle: { act: "Solve", done: "Solved" },
  instant: { act: "Collect", done: "Collected" },
};
const RETRY_S = 4;

export class Actions {
  /** @type {import("./session.js").Session} */
  #session;
  /** @type {(action: Action) => Promise<void>} */
  #begin;
  /** @type {HTMLElement} */
  #list = find("actions");
  /** @type {Map<string, HTMLElement>} */
  #cards = new Map();
  /** @type {Promise<void> | null} */
  #loading = null;
  #edition = 0;
  #timer = 0;

  /** @param {import("./session.js").Session} session @param {(action: Action) => Promise<void>} begin begins one */
  constructor(session, begin) {
    this.#session = session;
    this.#begin = begin;
  }

  /** Reads the list, and again until it could be read. */
  load() {
    this.#loading ??= this.#read().finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  clear() {
    this.#edition += 1;
    this.#loading = null;
    clearTimeout(this.#timer);
    this.#cards.clear();
    this.#list.replaceChildren();
    notice(find("play-notice"), "");
  }

  async #read() {
    clearTimeout(this.#timer);
    const edition = this.#edition;
    try {
      const { actions } = await this.#session.call("GET", "actions");
      if (edition === this.#edition) this.#render(actions);
    } catch (problem) {
      if (edition === this.#edition) this.#failed(problem);
    }
  }

  /** @param {unknown} problem */
  #failed(problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (!this.#cards.size) notice(find("play-notice"), explain(problem));
    const seconds = (problem.retryAfter ?? RETRY_S) * (1 + Math.random() / 2);
    this.#timer = window.setTimeout(() => this.load(), seconds * 1000);
  }

  /** @param {Action[]} actions */
  #render(actions) {
    const focused = /** @type {HTMLElement} */ (document.activeElement);
    notice(find("play-notice"), actions.length ? "" : "There are no puzzles yet.");
    const ordered = [...actions.filter(({ completed }) => !completed), ...actions.filter(({ completed }) => completed)];
    const cards = ordered.map((action) => this.#card(action));
    this.#cards = new Map(ordered.map(({ actionId }, index) => [actionId, cards[index]]));
    arrange(this.#list, cards);
    this.#list.setAttribute("aria-busy", "false");
    this.#refocus(focused);
  }

  /** A card that is moved loses the focus, and so does a button that goes. @param {HTMLElement} focused before that */
  #refocus(focused) {
    const card = focused.closest(".action");
    if (card) (focused.hidden ? slot(card, "title") : focused).focus({ preventScroll: true });
  }

  /** @param {Action} action */
  #card(action) {
    const card = this.#cards.get(action.actionId) ?? stamp("action-template");
    const { act, done } = KIND[action.kind] ?? KIND.puzzle;
    const button = slot(card, "solve");
    card.classList.toggle("is-completed", action.completed);
    say(slot(card, "repeat"), REPEAT[action.repeat] ?? REPEAT.once);
    say(slot(card, "title"), action.title);
    say(slot(card, "teaser"), action.prompt);
    say(slot(card, "points"), gain(action.points));
    say(slot(card, "completed"), action.completed ? done + (action.repeat === "daily" ? " today" : "") : "");
    say(button, act);
    button.setAttribute("aria-label", `${act} ${action.title}`);
    button.hidden = action.completed;
    button.onclick = () => this.#start(card, action);
    return card;
  }

  /** @param {HTMLElement} card @param {Action} action */
  async #start(card, action) {
    if (card.ariaBusy === "true") return;
    card.ariaBusy = "true";
    say(slot(card, "error"), "");
    try {
      await this.#begin(action);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      say(slot(card, "error"), explain(problem));
      if (problem.code.startsWith("action_")) this.load();
    } finally {
      card.ariaBusy = "false";
    }
  }
}
