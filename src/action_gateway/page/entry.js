/** The card to log in or to register with. What is wrong is said next to the field that it is about. */

import { Problem } from "./api.js";
import { find, notice, say } from "./dom.js";
import { explain } from "./words.js";

const MODES = {
  login: {
    title: "Log in",
    verb: "Log in",
    question: "New here?",
    other: "Create an account",
    autocomplete: "current-password",
  },
  register: {
    title: "Create an account",
    verb: "Create account",
    question: "Been here before?",
    other: "Log in",
    autocomplete: "new-password",
  },
};

/** @type {Record<string, {empty: string, wrong: string}>} */
const FIELDS = {
  username: { empty: "Enter a username.", wrong: "Use 3 to 32 letters, digits, dots, dashes or underscores." },
  password: { empty: "Enter a password.", wrong: "Use 8 to 128 characters." },
};

const FIELD_OF_CODE = new Map([
  ["username_taken", "username"],
  ["bad_credentials", "password"],
]);

export class Entry {
  /** @type {import("./session.js").Session} */
  #session;
  /** @type {"login" | "register"} */
  #mode = "login";
  #busy = false;
  /** The name whose registration got no answer: it may exist by now. */
  #unsettled = "";
  /** @type {HTMLFormElement} */
  #form = find("entry");

  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.#session = session;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    find("switch").addEventListener("click", () => {
      this.#turn(this.#mode === "login" ? "register" : "login");
      this.#field("username").focus();
    });
    find("reveal").addEventListener("click", () => this.#reveal(this.#field("password").type === "password"));
    for (const name of Object.keys(FIELDS)) this.#field(name).addEventListener("input", () => this.#fault(name, ""));
  }

  /** @param {string} [message] why the card is shown again */
  show(message = "") {
    this.#turn("login");
    notice(find("entry-notice"), message);
  }

  /** @param {string} name @returns {HTMLInputElement} */
  #field(name) {
    return find(name);
  }

  /** @param {"login" | "register"} mode */
  #turn(mode) {
    const words = MODES[mode];
    this.#mode = mode;
    say(find("entry-title"), words.title);
    say(find("enter"), words.verb);
    say(find("switch-question"), words.question);
    say(find("switch"), words.other);
    this.#field("password").autocomplete = /** @type {AutoFill} */ (words.autocomplete);
    notice(find("entry-notice"), "");
    for (const name of Object.keys(FIELDS)) this.#fault(name, "");
  }

  /** @param {boolean} shown */
  #reveal(shown) {
    this.#field("password").type = shown ? "text" : "password";
    find("reveal").setAttribute("aria-pressed", String(shown));
  }

  async #submit() {
    if (this.#busy || !this.#isFilled()) return;
    notice(find("entry-notice"), "");
    this.#work(true);
    try {
      await this.#enter(this.#field("username").value.trim(), this.#field("password").value);
      this.#form.reset();
      this.#reveal(false);
    } catch (problem) {
      this.#reject(problem);
    } finally {
      this.#work(false);
    }
  }

  /** @param {string} username @param {string} password */
  async #enter(username, password) {
    if (this.#mode === "register") await this.#register(username, password);
    await this.#session.login(username, password);
  }

  /** @param {string} username @param {string} password */
  async #register(username, password) {
    try {
      await this.#session.register(username, password);
      this.#unsettled = username;
    } catch (error) {
      const problem = /** @type {Problem} */ (error);
      if (problem.code === "username_taken" && this.#unsettled === username) return;
      if (problem.unsettled) this.#unsettled = username;
      throw problem;
    }
  }

  /** @returns {boolean} */
  #isFilled() {
    const empty = Object.keys(FIELDS).filter((name) => !this.#field(name).value.trim());
    for (const name of Object.keys(FIELDS)) this.#fault(name, empty.includes(name) ? FIELDS[name].empty : "");
    if (empty.length) this.#field(empty[0]).focus();
    return empty.length === 0;
  }

  /** @param {unknown} problem */
  #reject(problem) {
    if (!(problem instanceof Problem)) throw problem;
    const named = Object.keys(problem.body.fields ?? {}).map((path) => path.split(".").at(-1) ?? "");
    const faulty = named.filter((name) => name in FIELDS);
    for (const name of faulty) this.#fault(name, FIELDS[name].wrong);
    const about = FIELD_OF_CODE.get(problem.code);
    if (about) this.#fault(about, explain(problem));
    else if (!faulty.length) notice(find("entry-notice"), explain(problem));
    if (about ?? faulty[0]) this.#field(about ?? faulty[0]).focus();
  }

  /** @param {string} name @param {string} message */
  #fault(name, message) {
    say(find(`${name}-error`), message);
    this.#field(name).setAttribute("aria-invalid", String(Boolean(message)));
  }

  /** @param {boolean} busy */
  #work(busy) {
    this.#busy = busy;
    find("enter").setAttribute("aria-disabled", String(busy));
    this.#form.setAttribute("aria-busy", String(busy));
  }
}
