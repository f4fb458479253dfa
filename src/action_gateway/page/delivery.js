/**
 * One answer, delivered until its outcome is known.
 *
 * An answer whose reply got lost is sent again with the same Idempotency-Key, so it counts once.
 * A token that turns out to be used already brings its first outcome along: those points are the player's.
 */

import { Problem } from "./api.js";
import { freshKey } from "./key.js";
import { settle } from "./patience.js";

/** @typedef {{pointsEarned: number, newTotalScore: number, newRank: number | null}} Award */

export class Delivery {
  #session;
  #actionToken;
  /** The answer whose outcome is unknown, and its key. */
  #open = { answer: "", key: "" };

  /** @param {import("./session.js").Session} session @param {string} actionToken */
  constructor(session, actionToken) {
    this.#session = session;
    this.#actionToken = actionToken;
  }

  /**
   * @param {string} answer
   * @param {() => void} onRetry called before it is sent again
   * @returns {Promise<Award>}
   * @throws {Problem} a rejection; or `unreachable`, `unavailable` when patience ended: the same answer may be sent again
   */
  async send(answer, onRetry) {
    const resent = this.#open.answer === answer && this.#open.key !== "";
    if (!resent) this.#open = { answer, key: freshKey() };
    return settle(() => this.#post(answer), onRetry);
  }

  /** @param {string} answer @returns {Promise<Award>} */
  async #post(answer) {
    const json = { actionToken: this.#actionToken, proof: { answer } };
    try {
      return await this.#session.call("POST", "actions/complete", { json, key: this.#open.key });
    } catch (error) {
      if (error instanceof Problem && error.code === "action_token_used" && error.body.award) return error.body.award;
      if (error instanceof Problem && !error.unsettled && error.code !== "rate_limited") this.#open.key = "";
      throw error;
    }
  }
}
