/** The player's own score and rank, always in sight, and the small celebration when points arrive. */

import { announce } from "./announcer.js";
import { nameOf } from "./board.js";
import { find, say } from "./dom.js";
import { compact, count, gain, number } from "./format.js";
import { countUp, rise, shower } from "./motion.js";
import { drawWreath, earned, light } from "./wreath.js";

/** @typedef {import("./board.js").Entry} Entry */

/** Keeps a name of any script from turning the sentence around it. @param {string} name */
const isolated = (name) => `\u2068${name}\u2069`;

/** @param {Entry} me @param {Entry[]} others ranked entries, the nearest among them */
function chase(me, others) {
  if (me.rank === null) return me.score ? "Your points count. No rank is shown now." : "Solve a puzzle to enter the board.";
  const ahead = others.find(({ rank }) => rank === Number(me.rank) - 1);
  if (ahead) return `${count(ahead.score - me.score + 1, "point")} to pass ${isolated(nameOf(ahead))}`;
  if (me.rank !== 1) return "";
  const behind = others.find(({ rank }) => rank === 2);
  const lead = behind && `, ${count(me.score - behind.score, "point")} ahead of ${isolated(nameOf(behind))}`;
  return `First place${lead ?? ""}`;
}

export class Standing {
  /** @type {SVGSVGElement} */
  #wreath = find("standing-wreath");
  /** @type {Entry | null} */
  #shown = null;

  constructor() {
    drawWreath(this.#wreath);
  }

  /** @param {Entry} me @param {Entry[]} others */
  show(me, others) {
    const before = this.#shown;
    this.#shown = me;
    say(find("own-rank"), me.rank === null ? "–" : compact(me.rank));
    find("own-rank").dataset.length = String(find("own-rank").textContent?.length);
    say(find("chase"), chase(me, others));
    light(this.#wreath, earned(me.rank));
    document.title = me.rank === null ? "Laurel" : `#${number(me.rank)} · Laurel`;
    if (before?.score !== me.score) this.#count(before?.score ?? me.score, me.score);
    if (before && me.score > before.score) this.#celebrate(me.score - before.score);
    if (before && (before.score !== me.score || before.rank !== me.rank)) this.#tell(me);
  }

  /** Forgets what is shown. @param {string} [label] of the score that is shown next */
  clear(label) {
    this.#shown = null;
    if (label) say(find("own-label"), label);
    say(find("own-score"), "–");
    say(find("own-rank"), "–");
    say(find("chase"), "");
    light(this.#wreath, 0);
    document.title = "Laurel";
  }

  /** @param {number} from @param {number} to */
  #count(from, to) {
    find("own-score").title = number(to);
    countUp(find("own-score"), from, to, compact);
  }

  /** @param {number} points */
  #celebrate(points) {
    rise(find("standing"), gain(points));
    if (!document.querySelector("dialog[open]")) shower(this.#wreath, document.body);
  }

  /** @param {Entry} me */
  #tell(me) {
    announce(`You have ${count(me.score, "point")}${me.rank === null ? "" : `, rank ${number(me.rank)}`}.`);
  }
}
