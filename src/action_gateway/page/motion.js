/**
 * Movement: rows that glide to their new places, numbers that count up, showers of leaves.
 * None of it where less motion is asked for.
 */

import { drawLeaf } from "./wreath.js";

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const GLIDE_MS = 650;
const COUNT_MS = 900;
const LEAVES = 18;

/** @returns {boolean} */
export const still = () => calm.matches || document.hidden;

/**
 * Runs a change of layout and lets each element glide from where it was seen to where it is now.
 * An element in mid-glide goes on from where it is.
 * @param {() => Element[]} elements the ones to follow; asked before and after
 * @param {() => void} change
 */
export function glide(elements, change) {
  if (still()) return change();
  const before = new Map(elements().map((element) => [element, element.getBoundingClientRect()]));
  for (const element of before.keys()) for (const animation of element.getAnimations()) animation.cancel();
  change();
  for (const element of elements()) move(element, before.get(element));
}

/** @param {Element} element @param {DOMRect} [from] unknown when the element is new */
function move(element, from) {
  const options = { duration: GLIDE_MS, easing: "cubic-bezier(.22,.9,.24,1)" };
  const arrival = [{ opacity: 0, transform: "translateY(14px)" }, { opacity: 1, transform: "none" }];
  if (!from) return element.animate(arrival, options);
  const to = element.getBoundingClientRect();
  const [x, y] = [from.left + from.width / 2 - to.left - to.width / 2, from.bottom - to.bottom];
  if (Math.abs(x) < 1 && Math.abs(y) < 1) return undefined;
  return element.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], options);
}

/** @type {WeakMap<Element, number>} */
const counting = new WeakMap();

/**
 * Counts a number up to its new value.
 * @param {Element} element @param {number} from @param {number} to @param {(value: number) => string} format
 */
export function countUp(element, from, to, format) {
  cancelAnimationFrame(counting.get(element) ?? 0);
  const began = performance.now();
  const step = () => {
    const share = still() ? 1 : Math.min(1, (performance.now() - began) / COUNT_MS);
    element.textContent = format(Math.round(to - (to - from) * (1 - share) ** 3));
    if (share < 1) counting.set(element, requestAnimationFrame(step));
  };
  step();
}

/**
 * A shower of leaves out of an element.
 * @param {Element} origin @param {Element} layer where they are drawn: the body, or the dialog that is open over it
 */
export function shower(origin, layer) {
  if (still() || layer.querySelector(".loose-leaf")) return;
  const { left, top, width, height } = origin.getBoundingClientRect();
  for (let nth = 0; nth < LEAVES; nth += 1) {
    const leaf = drawLeaf();
    layer.append(leaf);
    Object.assign(leaf.style, { left: `${left + width / 2}px`, top: `${top + height / 2}px` });
    leaveAfter(leaf, fly(leaf, (nth + Math.random()) / LEAVES));
  }
}

/** @param {Element} element @param {Animation} animation however it ends */
function leaveAfter(element, animation) {
  animation.finished.catch(() => {}).finally(() => element.remove());
}

/** @param {Element} leaf @param {number} share of the full turn, where it flies to */
function fly(leaf, share) {
  const angle = share * 2 * Math.PI;
  const reach = 70 + Math.random() * 90;
  const [x, y] = [Math.cos(angle) * reach, Math.sin(angle) * reach * 0.8 - 30];
  const turn = (Math.random() - 0.5) * 540;
  return leaf.animate(
    [
      { transform: "translate(-50%, -50%) scale(.2)", opacity: 1 },
      { transform: `translate(${x}px, ${y}px) rotate(${turn * 0.6}deg)`, opacity: 1, offset: 0.45, easing: "ease-in" },
      { transform: `translate(${x * 1.25}px, ${y + 130}px) rotate(${turn}deg) scale(.9)`, opacity: 0 },
    ],
    { duration: 1_300 + Math.random() * 700, easing: "cubic-bezier(.15,.8,.4,1)" },
  );
}

/**
 * Lets what was gained rise from an element and fade.
 * @param {Element} origin @param {string} text
 */
export function rise(origin, text) {
  if (still()) return;
  origin.querySelector(".gained")?.remove();
  const label = document.createElement("span");
  label.className = "gained";
  label.ariaHidden = "true";
  label.textContent = text;
  origin.append(label);
  const frames = [
    { transform: "translateY(12px)", opacity: 0 },
    { transform: "translateY(0)", opacity: 1, offset: 0.15 },
    { transform: "translateY(-6px)", opacity: 1, offset: 0.7 },
    { transform: "translateY(-26px)", opacity: 0 },
  ];
  leaveAfter(label, label.animate(frames, { duration: 2_000, easing: "ease-out" }));
}

/** Draws the eye to a number that grew. @param {Element} element */
export function flash(element) {
  if (still()) return;
  element.animate([{ color: "var(--gold-bright)", scale: 1.25 }, {}], { duration: 900, easing: "ease-out" });
}

/** Says no, without words. @param {Element} element */
export function shake(element) {
  if (still()) return;
  const frames = [0, -7, 6, -4, 2, 0].map((x) => ({ transform: `translateX(${x}px)` }));
  element.animate(frames, { duration: 360, easing: "ease-out" });
}
