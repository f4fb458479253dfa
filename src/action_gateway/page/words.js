/** What went wrong, in plain words. The server's own words are shown where they say more than a code can. */

import { duration } from "./format.js";

/** @typedef {import("./api.js").Problem} Problem */

/** @type {Record<string, string | ((problem: Problem) => string)>} */
const WORDS = {
  unreachable: "No answer from Laurel. Check your connection and try again.",
  unavailable: "Laurel is catching its breath. Try again in a moment.",
  rate_limited: ({ retryAfter }) => `That was a lot at once. Try again in ${duration(retryAfter ?? 60)}.`,
  bad_credentials: "This username and password do not go together.",
  bad_refresh_token: "Your login has ended. Please log in again.",
  score_service_denied: "Laurel is not set up for this. Please tell who runs it.",
  moderator_only: "This is for moderators.",
  player_not_found: "There is no such player.",
  award_reversed: "This award was taken back before, by another reversal.",
  plan_stale: "The board has changed since this plan was made. Plan again.",
  username_taken: "Somebody has this name already. Try another.",
  period_unknown: "The board does not count in these times any more.",
  action_not_found: "This is no longer there.",
  action_already_completed: "You have done this one already.",
  action_token_expired: "Time is up for this try. Start again when you like.",
  action_token_spent: "That was the last attempt. Start again when you like.",
  action_token_foreign: "This try was started by somebody else. Start it again.",
  bad_action_token: "This try cannot be continued. Start it again.",
  bad_ticket: "This could not be counted. Collect it again.",
  ticket_expired: "That took too long. Collect it again.",
  ticket_data_mismatch: "This could not be counted. Collect it again.",
  too_fast: "Quicker than anyone can be. Wait a second, then send it again; this did not use up an attempt.",
};

/** @param {unknown} problem */
export function explain(problem) {
  const { code = "", status = 0, body = {} } = /** @type {any} */ (problem);
  const words = WORDS[code];
  if (typeof words === "function") return words(/** @type {Problem} */ (problem));
  if (words) return words;
  if (status >= 500) return String(WORDS.unavailable);
  return typeof body.detail === "string" && body.detail ? body.detail : "Something went wrong. Please try again.";
}
