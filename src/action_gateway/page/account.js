/** The dialog of the own account: to take along what Laurel knows of one, or to leave. */

import { Problem } from "./api.js";
import { find, notice, say } from "./dom.js";
import { explain } from "./words.js";

const FILE = "laurel-account.json";
/** Pages of awards in one file. The gateway says when to come again for more. */
const PAGES_MAX = 200;
const FIELDS = ["delete-name", "delete-password"];

/** Hands a text to the browser as a file. @param {string} name @param {string} text */
function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** @param {number} seconds */
const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

export class Account {
  /** @type {import("./session.js").Session} */
  #session;
  /** @type {HTMLDialogElement} */
  #dialog = find("account");
  #busy = false;

  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.#session = session;
    find("open-account").addEventListener("click", () => this.#open());
    find("close-account").addEventListener("click", () => this.close());
    find("export").addEventListener("click", () => this.#work(() => this.#export()));
    find("ask-delete").addEventListener("click", () => this.#ask(find("delete").hidden));
    find("delete").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#work(() => this.#delete());
    });
  }

  close() {
    if (this.#dialog.open) this.#dialog.close();
  }

  #open() {
    say(find("account-name"), this.#session.user?.username ?? "");
    say(find("export-error"), "");
    this.#ask(false);
    this.#dialog.showModal();
    find("account-title").focus();
  }

  /** @param {boolean} asked whether to ask for what confirms the deletion */
  #ask(asked) {
    find("delete").hidden = !asked;
    find("ask-delete").setAttribute("aria-expanded", String(asked));
    /** @type {HTMLFormElement} */ (find("delete")).reset();
    notice(find("delete-notice"), "");
    for (const name of FIELDS) this.#fault(name, "");
    if (asked) find("delete-name").focus();
  }

  /** Does one thing at a time. @param {() => Promise<void>} work */
  async #work(work) {
    if (this.#busy) return;
    this.#mark(true);
    try {
      await work();
    } finally {
      this.#mark(false);
    }
  }

  /** @param {boolean} busy */
  #mark(busy) {
    this.#busy = busy;
    this.#dialog.setAttribute("aria-busy", String(busy));
    for (const id of ["export", "delete-now"]) find(id).setAttribute("aria-disabled", String(busy));
  }

  async #export() {
    say(find("export-error"), "");
    try {
      download(FILE, JSON.stringify(await this.#collect(), null, 2));
    } catch (problem) {
      say(find("export-error"), explain(problem));
    }
  }

  async #collect() {
    const whole = await this.#session.call("GET", "account/export");
    for (let page = 1; whole.nextPageToken && page < PAGES_MAX; page += 1) {
      const next = await this.#next(whole.nextPageToken);
      whole.awards.push(...next.awards);
      whole.nextPageToken = next.nextPageToken;
    }
    return whole;
  }

  /** @param {string} token @returns {Promise<any>} the next page, however long the gateway lets wait for it */
  async #next(token) {
    try {
      return await this.#session.call("GET", `account/export?pageToken=${encodeURIComponent(token)}`);
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== "rate_limited") throw error;
      await wait(error.retryAfter ?? 60);
      return this.#next(token);
    }
  }

  async #delete() {
    notice(find("delete-notice"), "");
    const [name, password] = FIELDS.map((id) => /** @type {HTMLInputElement} */ (find(id)));
    const same = name.value.trim().toLowerCase() === this.#session.user?.username.toLowerCase();
    this.#fault("delete-name", same ? "" : "This is not your name.");
    this.#fault("delete-password", password.value ? "" : "Enter your password.");
    const faulty = FIELDS.find((id) => find(id).getAttribute("aria-invalid") === "true");
    if (faulty) return find(faulty).focus();
    try {
      await this.#session.leave(password.value);
    } catch (problem) {
      this.#reject(problem);
    }
  }

  /** @param {unknown} problem */
  #reject(problem) {
    const wrong = problem instanceof Problem && problem.code === "bad_credentials";
    if (wrong) this.#fault("delete-password", "This is not your password.");
    else notice(find("delete-notice"), explain(problem));
    if (wrong) find("delete-password").focus();
  }

  /** @param {string} name @param {string} message */
  #fault(name, message) {
    say(find(`${name}-error`), message);
    find(name).setAttribute("aria-invalid", String(Boolean(message)));
  }
}
