/** Instants as moderators read them: in the time of their device, to the second. */

const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** @param {string} instant of RFC 3339 */
export const moment = (instant) => moments.format(new Date(instant));
