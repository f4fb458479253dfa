/** Wires the page: who is logged in decides which of the two views is shown. */

import { Arena } from "./arena.js";
import { find } from "./dom.js";
import { Entry } from "./entry.js";
import { Session } from "./session.js";
import { drawWreath, light } from "./wreath.js";

/** @type {Record<string, string>} */
const REASONS = {
  expired: "Your login has ended. Please log in again.",
  elsewhere: "You were logged out in another window.",
};

const session = new Session();
const entry = new Entry(session);
const arena = new Arena(session);

session.addEventListener("user", (event) => {
  const { user } = session;
  for (const id of ["session", "arena"]) find(id).hidden = !user;
  find("welcome").hidden = Boolean(user);
  if (user) {
    arena.open(user);
    find("standing-title").focus({ preventScroll: true });
  } else {
    arena.close();
    entry.show(REASONS[/** @type {CustomEvent} */ (event).detail.why]);
  }
});
find("logout").addEventListener("click", () => session.logout());

/** @type {SVGSVGElement} */
const wreath = find("welcome-wreath");
drawWreath(wreath);
requestAnimationFrame(() => light(wreath, 1));
session.resume();
