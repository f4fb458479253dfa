/**
 * Numbers and times as people write them.
 *
 * Digits and clock times follow the reader's locale; words follow the page's language, so that a sentence is in one.
 */

const WORDS = document.documentElement.lang;
const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumSignificantDigits: 4 });
const signed = new Intl.NumberFormat(undefined, { signDisplay: "always" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const plural = new Intl.PluralRules(WORDS);
const seconds = new Intl.NumberFormat(WORDS, { style: "unit", unit: "second", unitDisplay: "long" });
const minutes = new Intl.NumberFormat(WORDS, { style: "unit", unit: "minute", unitDisplay: "long" });

/** @param {number} value */
export const number = (value) => whole.format(value);

/** A number for where there is little room: in full up to seven digits. @param {number} value */
export const compact = (value) => (value < 10_000_000 ? whole : short).format(value);

/** @param {number} value */
export const gain = (value) => signed.format(value);

/** @param {number} value @param {string} noun */
export const count = (value, noun) => `${whole.format(value)} ${noun}${plural.select(value) === "one" ? "" : "s"}`;

/** @param {number} milliseconds since the epoch */
export const time = (milliseconds) => clock.format(milliseconds);

/** @param {number} value in seconds */
export const duration = (value) => (value < 90 ? seconds.format(value) : minutes.format(Math.ceil(value / 60)));
