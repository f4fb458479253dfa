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

  close() {
    this.#player = null;
    find("person").hidden = true;
    /** @type {HTMLFormElement} */ (find("find")).reset();
    this.#finding.fail("");
    this.#history.close();
  }

  /** Looks a player up, and goes there. @param {{username?: string, userId?: string}} whom */
  async look(whom) {
    const done = await this.#finding.run(() => this.#load(whom));
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

  /** @param {string} text a name, or else an id: no name is longer than 32 characters */
  #lookByEither(text) {
    const isId = text.length > 32 || /[:@]/.test(text);
    return this.look(isId ? { userId: text } : { username: text });
  }

  /** @param {{username?: string, userId?: string}} whom */
  async #load(whom) {
    const query = new URLSearchParams(/** @type {Record<string, string>} */ (whom));
    const player = await this.#session.call("GET", `moderation/player?${query}`);
    const chosen = player.userId === this.#player?.userId ? this.#board.value : "";
    this.#player = player;
    this.#show(player, chosen);
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
    find("person-board").hidden = player.places.length === 0;
    this.#board.replaceChildren(...player.places.map(({ boardId }) => new Option(boardId, boardId)));
    if (player.places.some(({ boardId }) => boardId === chosen)) this.#board.value = chosen;
    if (player.places.length) this.#showPlace();
  }

  get #place() {
    return this.#player?.places.find(({ boardId }) => boardId === this.#board.value);
  }

  #showPlace() {
    const place = this.#place;
    if (!place || !this.#player) return;
    say(find("place-rank"), place.rank === null ? "none" : number(place.rank));
    say(find("place-score"), number(place.score));
    say(find("place-visibility"), SEEN[place.visibility]);
    for (const choice of this.#choices) choice.checked = choice.value === place.visibility;
    this.#history.open(place.boardId, this.#player);
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
