/** Wires the page for moderators: who is logged in, and whether they may moderate, decides what is shown. */

import { find, say } from "../dom.js";
import { Entry } from "../entry.js";
import { Session } from "../session.js";
import { explain } from "../words.js";
import { Bulk } from "./bulk.js";
import { Person } from "./person.js";
import { Queue } from "./queue.js";

/** @type {Record<string, string>} */
const REASONS = {
  expired: "Your login has ended. Please log in again.",
  elsewhere: "You were logged out in another window.",
  deleted: "Your account is deleted.",
};
const NOT_ONE = "Only moderators get in here. Who runs this Laurel gives the role to an account.";

const session = new Session();
const entry = new Entry(session);
const person = new Person(session);
const queue = new Queue(session, (userId) => person.look({ userId }));
const bulk = new Bulk(session, () => person.refresh());

/** @param {"entry" | "closed" | "desk"} view */
function show(view) {
  for (const id of ["entry", "closed", "desk"]) find(id).hidden = id !== view;
  find(`${view}-title`).focus({ preventScroll: true });
}

/** Asks whether the account may moderate: the gateway looks it up at each call. */
async function open() {
  const { user } = session;
  try {
    const { boards } = await session.call("GET", "moderation/boards");
    if (session.user !== user) return;
    person.open(boards);
    bulk.open(boards);
    queue.load();
    show("desk");
  } catch (problem) {
    if (!session.user) return;
    const { code } = /** @type {any} */ (problem);
    say(find("closed-text"), code === "moderator_only" ? NOT_ONE : explain(problem));
    show("closed");
  }
}

session.addEventListener("user", (event) => {
  const { user } = session;
  find("session").hidden = !user;
  say(find("player"), user?.username ?? "");
  person.close();
  queue.close();
  bulk.close();
  if (user) {
    open();
  } else {
    entry.show(REASONS[/** @type {CustomEvent} */ (event).detail.why]);
    show("entry");
  }
});
find("logout").addEventListener("click", () => session.logout());
find("retry").addEventListener("click", open);
session.resume();
