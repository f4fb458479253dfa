/**
 * What a screen reader is told on its own: the own score and rank, once they have settled.
 * The last sentence wins, so a lively board does not talk over itself.
 */

import { find, say } from "./dom.js";

const SETTLE_MS = 1_200;
let timer = 0;

/** @param {string} sentence */
export function announce(sentence) {
  clearTimeout(timer);
  timer = window.setTimeout(() => say(find("announcer"), sentence), SETTLE_MS);
}
