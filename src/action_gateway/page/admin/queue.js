/** What there is to suspect of players, the newest first. */

import { find, say, slot, stamp } from "../dom.js";
import { count } from "../format.js";
import { moment } from "./times.js";
import { Work } from "./work.js";

/** @typedef {{userId: string, username: string, signal: string, firstAt: string, lastAt: string, count: number}} Suspicion */

/** @type {Record<string, string>} */
const SIGNALS = {
  wrong_answer: "Wrong answers",
  attempts_spent: "Answers without attempts left",
  too_fast: "Faster than anyone can be",
  token_reused: "Used a token again that was paid for",
  token_foreign: "Used somebody else's token",
  token_forged: "A forged action token",
  access_token_forged: "A forged access token",
  refresh_reused: "A copied login",
  bad_credentials: "Wrong passwords",
  rate_limited: "Too much at once",
  points_surge: "A surge of points",
};

/**
 * @param {string} list the id of where they go
 * @param {Suspicion[]} suspicions
 * @param {{named?: boolean, look?: (one: Suspicion) => void, dismiss?: (one: Suspicion) => void}} how
 */
export function fill(list, suspicions, { named = true, look, dismiss } = {}) {
  find(list).replaceChildren(...suspicions.map((one) => item(one, { named, look, dismiss })));
}

/** @param {Suspicion} one @param {{named: boolean, look?: (one: Suspicion) => void, dismiss?: (one: Suspicion) => void}} how */
function item(one, { named, look, dismiss }) {
  const node = stamp("suspicion-template");
  const what = SIGNALS[one.signal] ?? one.signal;
  say(slot(node, "what"), what);
  say(slot(node, "who"), named ? one.username : "");
  const since = one.count > 1 ? `, since ${moment(one.firstAt)}` : "";
  say(slot(node, "when"), `${count(one.count, "time")}, last ${moment(one.lastAt)}${since}`);
  wire(slot(node, "look"), look, one, `Look up ${one.username}`);
  wire(slot(node, "dismiss"), dismiss, one, `Dismiss: ${what}, ${one.username}`);
  return node;
}

/** @param {HTMLElement} button @param {((one: Suspicion) => void) | undefined} act @param {Suspicion} one @param {string} label */
function wire(button, act, one, label) {
  button.hidden = !act;
  button.setAttribute("aria-label", label);
  if (act) button.addEventListener("click", () => act(one));
}

export class Queue {
  /** @type {import("../session.js").Session} */
  #session;
  #look;
  #work = new Work("queue", "queue-error");

  /** @param {import("../session.js").Session} session @param {(userId: string) => void} look */
  constructor(session, look) {
    this.#session = session;
    this.#look = look;
    find("reload").addEventListener("click", () => this.load());
  }

  close() {
    find("queue").replaceChildren();
    find("queue-empty").hidden = true;
  }

  async load() {
    await this.#work.run(async () => {
      const { suspicions } = await this.#session.call("GET", "moderation/suspicions");
      fill("queue", suspicions, {
        look: ({ userId }) => this.#look(userId),
        dismiss: (one) => this.#dismiss(one),
      });
      find("queue-empty").hidden = suspicions.length > 0;
    });
  }

  /** @param {Suspicion} one */
  async #dismiss({ userId, signal, lastAt }) {
    const json = { userId, signal, lastAt };
    const done = await this.#work.run(() => this.#session.call("POST", "moderation/suspicions/dismiss", { json }));
    if (!done) return;
    await this.load();
    find("queue-title").focus();
  }
}
