/**
 * Where a login is kept between visits: `{refreshToken, user}` in localStorage, with `refreshKey` while it is renewed.
 *
 * Why there: the gateway sets no cookies, so a script has to hold the refresh token. In localStorage all tabs share one
 * login and take turns with its rotating token. sessionStorage would ask for a login in each tab, and a duplicated tab
 * would bring along a token that the first one has used, which ends the login. Neither hides from a script that gets into
 * the page; the Content-Security-Policy keeps those out, a token is good for one use, and the reuse of an old one ends its
 * login. The access token stays in memory.
 *
 * Where localStorage is blocked or full, the login lasts as long as the tab.
 */

const NAME = "laurel.login";

/** @typedef {{userId: string, username: string}} User */
/** @typedef {{refreshToken: string, user: User, refreshKey?: string}} Login */

/** @type {Login | null} */
let memory = null;
let blocked = false;

/** @returns {Storage | null} */
function shelf() {
  try {
    return blocked ? null : window.localStorage;
  } catch {
    return null;
  }
}

/** @param {string | null} text @returns {Login | null} */
function parsed(text) {
  try {
    const login = JSON.parse(text ?? "null");
    return typeof login?.refreshToken === "string" && typeof login.user?.userId === "string" ? login : null;
  } catch {
    return null;
  }
}

/** @returns {Login | null} */
export function read() {
  const storage = shelf();
  return storage ? parsed(storage.getItem(NAME)) : memory;
}

/** @param {Login | null} login null forgets it */
export function write(login) {
  memory = login;
  try {
    if (login) shelf()?.setItem(NAME, JSON.stringify(login));
    else shelf()?.removeItem(NAME);
  } catch {
    blocked = true;
  }
}

/** @param {() => void} listener called when another tab wrote or forgot the login */
export function onChangeElsewhere(listener) {
  window.addEventListener("storage", (event) => {
    if (event.key === NAME || event.key === null) listener();
  });
}
