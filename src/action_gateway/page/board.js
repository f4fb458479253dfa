/** The leaderboard: the first three on a podium, the rest below, and the player's neighbours from further down. */

import { arrange, find, say, slot, stamp } from "./dom.js";
import { compact, number } from "./format.js";
import { flash, glide } from "./motion.js";
import { drawWreath, light } from "./wreath.js";

/** @typedef {{rank: number | null, userId: string, username: string | null, score: number}} Entry */

const PODIUM = 3;

/** @param {Entry} entry the name to show; players of other services are known by their id alone */
export const nameOf = ({ username, userId }) => username ?? userId;

/** @param {string} name @returns {string} its first letter, whatever the script */
const initialOf = (name) => [...new Intl.Segmenter().segment(name)][0]?.segment.toLocaleUpperCase() ?? "?";

export class Board {
  /** @type {HTMLElement} */
  #list = find("board");
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();
  #gap = this.#filler("gap");
  #steps = Array.from({ length: PODIUM }, (_, index) => this.#step(index + 1));

  /**
   * @param {Entry[]} top from the first place on
   * @param {Entry[]} below the player and their neighbours, where the player is not in the top
   * @param {string} own the player's userId
   */
  render(top, below, own) {
    glide(
      () => [...this.#rows.values()],
      () => this.#arrange(top, below, own),
    );
    find("board-empty").hidden = top.length > 0 || below.some(({ rank }) => rank !== null);
  }

  clear() {
    this.#rows.clear();
    this.#list.replaceChildren();
  }

  /** @param {Entry[]} top @param {Entry[]} below @param {string} own */
  #arrange(top, below, own) {
    const parted = below.length > 0 && below[0].rank !== top.length + 1;
    const entries = [...top, ...below];
    const rows = entries.map((entry, index) => this.#row(entry, index < top.length ? index + 1 : 0));
    for (const [index, { userId }] of entries.entries()) this.#mark(rows[index], userId === own);
    this.#rows = new Map(entries.map(({ userId }, index) => [userId, rows[index]]));
    const fillers = [...this.#steps.slice(top.length), ...(parted ? [this.#gap] : [])];
    arrange(this.#list, [...rows.slice(0, top.length), ...fillers, ...rows.slice(top.length)]);
  }

  /** @param {Entry} entry @param {number} place on the board from the top; 0 below it */
  #row(entry, place) {
    const row = this.#rows.get(entry.userId) ?? stamp("row-template");
    const name = nameOf(entry);
    row.dataset.place = String(place);
    say(slot(row, "rank"), entry.rank === null ? (place ? number(place) : "–") : number(entry.rank));
    say(slot(row, "name"), name);
    slot(row, "name").title = name;
    say(slot(row, "initial"), initialOf(name));
    this.#score(row, entry.score);
    if (place === 1) this.#crown(row);
    return row;
  }

  /** @param {HTMLElement} row @param {boolean} own */
  #mark(row, own) {
    row.classList.toggle("own", own);
    if (own) row.setAttribute("aria-current", "true");
    slot(row, "you").hidden = !own;
  }

  /** @param {HTMLElement} row @param {number} score */
  #score(row, score) {
    const cell = slot(row, "score");
    const before = Number(row.dataset.score ?? score);
    row.dataset.score = String(score);
    say(cell, compact(score));
    cell.title = number(score);
    if (score > before) flash(cell);
  }

  /** @param {HTMLElement} row */
  #crown(row) {
    const crest = row.querySelector(".crest");
    if (!crest || crest.querySelector("svg")) return;
    const wreath = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    drawWreath(wreath);
    light(wreath, 1);
    crest.prepend(wreath);
  }

  /** @param {string} kind @returns {HTMLElement} an item that is only seen */
  #filler(kind) {
    const item = document.createElement("li");
    item.className = kind;
    item.setAttribute("aria-hidden", "true");
    return item;
  }

  /** @param {number} place of the podium that nobody stands on yet */
  #step(place) {
    const step = this.#filler("row vacant");
    step.dataset.place = String(place);
    const label = document.createElement("p");
    label.className = "place";
    label.textContent = number(place);
    step.append(label);
    return step;
  }
}
