/**
 * An instant action: performed for a ticket, which is redeemed until its outcome is known.
 *
 * A ticket whose reply got lost is shown again. If it turns out to be used already, its first outcome is the player's.
 */

import { call, Problem } from "./api.js";
import { settle } from "./patience.js";

/** @typedef {{newTotalScore: number, newRank: number | null}} Gain */

/**
 * @param {import("./session.js").Session} session
 * @param {string} actionId
 * @returns {Promise<Gain>}
 * @throws {Problem}
 */
export async function collect(session, actionId) {
  const perform = () => session.call("POST", "actions/perform", { json: { actionId } });
  // A ticket whose reply got lost is worth nothing to anybody, so another one may be asked for.
  const { token, result } = await settle(perform);
  return settle(() => redeem(token, result));
}

/** @param {string} token @param {object} data @returns {Promise<Gain>} */
async function redeem(token, data) {
  try {
    return await call("POST", "score/update", { token, json: { data } });
  } catch (error) {
    if (error instanceof Problem && error.code === "ticket_used" && error.body.award) return error.body.award;
    throw error;
  }
}
