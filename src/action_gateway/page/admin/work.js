/** What the forms of moderators share: one thing at a time, and what went wrong next to where it was asked for. */

import { Problem } from "../api.js";
import { find, say } from "../dom.js";
import { explain } from "../words.js";

/**
 * What went wrong, for those who can see to it: what a policy lacks is named.
 * @param {unknown} problem
 */
export function describe(problem) {
  if (!(problem instanceof Problem)) throw problem;
  const { methods, fields } = problem.body;
  if (methods) return `The score service does not allow this gateway: ${methods.join(", ")}. Its policy has to name that.`;
  if (problem.code === "moderator_only") return "Your account is no moderator any more.";
  const faults = Object.entries(fields ?? {}).map(([name, fault]) => `${name.split(".").at(-1)}: ${fault}`);
  return faults.length ? faults.join("; ") : explain(problem);
}

/** Runs the work of a form, which is asked for again only after it has ended. */
export class Work {
  #busy = false;
  #form;
  #error;

  /** @param {string} form the id of what is busy meanwhile @param {string} error the id of what says what went wrong */
  constructor(form, error) {
    this.#form = find(form);
    this.#error = find(error);
  }

  /** @param {string} fault */
  fail(fault) {
    say(this.#error, fault);
  }

  /** @param {() => Promise<void>} work @returns {Promise<boolean>} whether it was done */
  async run(work) {
    if (this.#busy) return false;
    this.#busy = true;
    this.#form.setAttribute("aria-busy", "true");
    this.fail("");
    try {
      await work();
      return true;
    } catch (problem) {
      this.fail(describe(problem));
      return false;
    } finally {
      this.#busy = false;
      this.#form.setAttribute("aria-busy", "false");
    }
  }
}

/**
 * Reads a reason; says so and goes there where there is none.
 * @param {string} id of the field @param {Work} work
 */
export function reasonOf(id, work) {
  /** @type {HTMLInputElement} */
  const field = find(id);
  const reason = field.value.trim();
  field.setAttribute("aria-invalid", String(!reason));
  if (reason) return reason;
  work.fail("Say why: it is needed, and stays in the ledger.");
  field.focus();
  return "";
}
