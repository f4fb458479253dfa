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
const dates = new Intl.DateTimeFormat(WORDS, { dateStyle: "long", timeZone: "UTC" });
const months = new Intl.DateTimeFormat(WORDS, { year: "numeric", month: "long", timeZone: "UTC" });
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

const UNITS = /** @type {const} */ ([
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
]);
const units = UNITS.map(([unit, size]) => ({
  size,
  format: new Intl.NumberFormat(WORDS, { style: "unit", unit, unitDisplay: "short" }),
}));

/** The time until something, by its two largest units: `2 days 5 hr`. @param {number} milliseconds */
export function remaining(milliseconds) {
  const left = Math.max(0, Math.ceil(milliseconds / 1000));
  const index = units.findIndex(({ size }) => left >= size);
  if (index < 0) return units[units.length - 1].format.format(0);
  const [large, small] = [units[index], units[index + 1]];
  const rest = small && Math.floor((left % large.size) / small.size);
  const words = large.format.format(Math.floor(left / large.size));
  return rest ? `${words} ${small.format.format(rest)}` : words;
}

/** @param {string} date such as `2026-11-30`, which is the same day wherever it is read */
export const day = (date) => dates.format(new Date(`${date}T00:00Z`));

/** @param {string} month such as `2026-11` */
export const month = (month) => months.format(new Date(`${month}-01T00:00Z`));

/** @param {number} value in seconds */
export const duration = (value) => (value < 90 ? seconds.format(value) : minutes.format(Math.ceil(value / 60)));
