/** Wires the page: who is logged in decides which of the two views is shown. */

import { Account } from "./account.js";
import { Arena } from "./arena.js";
import { find } from "./dom.js";
import { Entry } from "./entry.js";
import { Session } from "./session.js";
import { drawWreath, light } from "./wreath.js";

/** @type {Record<string, string>} */
const REASONS = {
  expired: "Your login has ended. Please log in again.",
  elsewhere: "You were logged out in another window.",
  deleted: "Your account is deleted. Thank you for playing.",
};

const session = new Session();
const entry = new Entry(session);
const arena = new Arena(session);
const account = new Account(session);

/** False until the first view is up: the focus stays where the browser puts it then, and moves with the view later. */
let moving = false;

session.addEventListener("user", (event) => {
  const { user } = session;
  for (const id of ["session", "arena"]) find(id).hidden = !user;
  find("welcome").hidden = Boolean(user);
  if (user) {
    arena.open(user);
  } else {
    arena.close();
    account.close();
    entry.show(REASONS[/** @type {CustomEvent} */ (event).detail.why]);
  }
  if (moving) find(user ? "standing-title" : "entry-title").focus({ preventScroll: true });
  moving = true;
});
find("logout").addEventListener("click", () => session.logout());

/** @type {SVGSVGElement} */
const wreath = find("welcome-wreath");
drawWreath(wreath);
requestAnimationFrame(() => light(wreath, 1));
session.resume();
