/** One player: where they stand, who may see them, and their history. */

import { announce } from "../announcer.js";
import { find, say } from "../dom.js";
import { number } from "../format.js";
import { History } from "./history.js";
import { fill } from "./queue.js";
import { moment } from "./times.js";
import { reasonOf, Work } from "./work.js";

/** @typedef {{boardId: string, score: number, rank: number | null, visibility: string}} Place */
/** @typedef {{userId: string, username: string | null, createdAt: string | null, roles: string[], places: Place[], suspicions: any[]}} Player */

/** @typedef {{username?: string, userId?: string}} Whom */

/** What may be a name, and what an id. */
const NAME = /^.{1,32}$/u;
const ID = /^[A-Za-z0-9._:@-]{1,128}$/;

/** @type {Record<string, string>} */
const SEEN = { visible: "everyone", hidden: "nobody", shadowed: "nobody, unnoticed" };

export class Person {
  /** @type {import("../session.js").Session} */
  #session;
  #history;
  #finding = new Work("find", "find-error");
  #changing = new Work("visibility", "visibility-error");
  /** @type {Player | null} */
  #player = null;
  /** @type {string[]} */
  #boards = [];

  /** @param {import("../session.js").Session} session */
  constructor(session) {
    this.#session = session;
    this.#history = new History(session, () => this.refresh());
    find("find").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#search();
    });
    find("board").addEventListener("change", () => this.#showPlace());
    find("visibility").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#change();
    });
  }

  /** @param {string[]} boards */
  open(boards) {
    this.#boards = boards;
  }

  close() {
    this.#player = null;
    find("person").hidden = true;
    /** @type {HTMLFormElement} */ (find("find")).reset();
    this.#finding.fail("");
    this.#reset();
    this.#history.close();
  }

  /**
   * Looks a player up, and goes there.
   * @param {Whom[]} whoms the first of whom there is one
   */
  async look(...whoms) {
    const done = await this.#finding.run(() => this.#loadFirst(whoms));
    find(done ? "person-title" : "find-text").focus();
    if (done) find("person").scrollIntoView({ block: "nearest" });
  }

  /** Reads again what is shown. */
  async refresh() {
    if (this.#player) await this.#finding.run(() => this.#load({ userId: this.#player?.userId }));
  }

  #search() {
    const text = /** @type {HTMLInputElement} */ (find("find-text")).value.trim();
    if (text) return this.#lookByEither(text);
    this.#finding.fail("Enter a username or a user id.");
    return find("find-text").focus();
  }

  /** @param {string} text a name, or else an id, which other services make as they like */
  #lookByEither(text) {
    const byId = ID.test(text) ? [{ userId: text }] : [];
    return this.look(...(NAME.test(text) || !byId.length ? [{ username: text }] : []), ...byId);
  }

  /** @param {Whom[]} whoms */
  async #loadFirst([whom, ...others]) {
    try {
      await this.#load(whom);
    } catch (problem) {
      if (!others.length || /** @type {any} */ (problem).code !== "player_not_found") throw problem;
      await this.#loadFirst(others);
    }
  }

  /** @param {Whom} whom */
  async #load(whom) {
    const query = new URLSearchParams(/** @type {Record<string, string>} */ (whom));
    const player = await this.#session.call("GET", `moderation/player?${query}`);
    const isSame = player.userId === this.#player?.userId;
    // What was filled in is of the player who was shown.
    if (!isSame) this.#reset();
    this.#player = player;
    this.#show(player, isSame ? this.#board.value : "");
  }

  #reset() {
    /** @type {HTMLFormElement} */ (find("visibility")).reset();
    find("visibility-reason").removeAttribute("aria-invalid");
    this.#changing.fail("");
  }

  get #board() {
    return /** @type {HTMLSelectElement} */ (find("board"));
  }

  /** @param {Player} player @param {string} chosen the board to go on with */
  #show(player, chosen) {
    find("person").hidden = false;
    say(find("person-title"), player.username ?? player.userId);
    const since = player.createdAt ? `here since ${moment(player.createdAt)}` : "no account here";
    say(find("person-facts"), [`id ${player.userId}`, since, ...player.roles].join(" · "));
    fill("person-suspicions", player.suspicions, { named: false });
    find("person-nowhere").hidden = player.places.length > 0;
    // Where no points are left there is a history all the same.
    const boards = [...new Set([...player.places.map(({ boardId }) => boardId), ...this.#boards])];
    find("person-board").hidden = boards.length === 0;
    this.#board.replaceChildren(...boards.map((boardId) => new Option(boardId, boardId)));
    if (boards.includes(chosen)) this.#board.value = chosen;
    if (boards.length) this.#showPlace();
  }

  get #place() {
    return this.#player?.places.find(({ boardId }) => boardId === this.#board.value);
  }

  #showPlace() {
    const place = this.#place;
    if (!this.#player) return;
    find("place").hidden = !place;
    find("visibility").hidden = !place;
    if (place) {
      say(find("place-rank"), place.rank === null ? "none" : number(place.rank));
      say(find("place-score"), number(place.score));
      say(find("place-visibility"), SEEN[place.visibility]);
      for (const choice of this.#choices) choice.checked = choice.value === place.visibility;
    }
    this.#history.open(this.#board.value, this.#player);
  }

  get #choices() {
    return /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[name=visibility]"));
  }

  async #change() {
    const { userId = "" } = this.#player ?? {};
    const visibility = [...this.#choices].find(({ checked }) => checked)?.value;
    if (visibility === this.#place?.visibility) return this.#changing.fail("That is how it is already.");
    const reason = reasonOf("visibility-reason", this.#changing);
    if (!reason) return;
    const json = { boardId: this.#board.value, userId, visibility, reason };
    const done = await this.#changing.run(() => this.#session.call("POST", "moderation/visibility", { json }));
    if (!done) return;
    /** @type {HTMLInputElement} */ (find("visibility-reason")).value = "";
    announce(`Seen by ${SEEN[String(visibility)]} now.`);
    await this.refresh();
  }
}
