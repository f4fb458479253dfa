/**
 * The laurel wreath: two branches of leaves that rise from the bottom and leave a gap at the top.
 *
 * It is drawn here rather than kept as a file because its leaves light up one by one: as many as a rank has earned.
 * `icon.svg` is the same drawing, at rest.
 */

const SVG = "http://www.w3.org/2000/svg";
const BLADE = "M0 0C4-5.6 12-6 18-.4C12 4.6 4.6 4.4 0 0Z";
const SHEEN = "M0 0C4-5.6 12-6 18-.4C12-1.6 5-1.4 0 0Z";
const RADIUS = 36;
const KNOTS = 7;
/** Leaves a side: two at each knot and one at the tip. */
const LEAVES = 2 * KNOTS + 1;

/**
 * @typedef {{angle: number, turn: number, scale: number}} Leaf
 * angle and turn in degrees; angle 0 is the bottom of the circle.
 */

/** @returns {Leaf[]} one branch from the bottom up */
function branch() {
  const leaves = [];
  for (let knot = 0; knot < KNOTS; knot += 1) {
    const angle = 6 + knot * 20.5;
    const scale = 1.2 - knot * 0.07;
    leaves.push({ angle, turn: 30, scale }, { angle: angle + 7, turn: -34, scale: scale * 0.86 });
  }
  leaves.push({ angle: 1 + KNOTS * 20.5, turn: 0, scale: 0.72 });
  return leaves;
}

/** @param {string} name @param {Record<string, string | number>} attributes */
function element(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  return node;
}

/** @param {Leaf} leaf @param {number} side 1 is right, -1 is left */
function placed({ angle, turn, scale }, side) {
  const radians = (angle * Math.PI) / 180;
  const x = (RADIUS * Math.sin(radians)).toFixed(2);
  const y = (RADIUS * Math.cos(radians)).toFixed(2);
  return `scale(${side} 1) translate(${x} ${y}) rotate(${(turn - angle).toFixed(1)}) scale(${scale.toFixed(3)})`;
}

/** One leaf alone, for showers of them. */
export function drawLeaf() {
  const svg = element("svg", { viewBox: "-2 -8 22 16", class: "loose-leaf", "aria-hidden": "true" });
  svg.append(element("path", { d: BLADE, class: "blade" }), element("path", { d: SHEEN, class: "sheen" }));
  return svg;
}

/**
 * Fills an empty `<svg>` with a wreath, unlit.
 * @param {SVGSVGElement} svg
 */
export function drawWreath(svg) {
  svg.setAttribute("viewBox", "-52 -52 104 104");
  svg.classList.add("wreath");
  branch().forEach((leaf, index) => {
    for (const side of [-1, 1]) {
      const group = element("g", { class: "leaf", transform: placed(leaf, side) });
      group.style.setProperty("--nth", String(index));
      group.append(element("path", { d: BLADE, class: "blade" }), element("path", { d: SHEEN, class: "sheen" }));
      svg.append(group);
    }
  });
}

/**
 * Lights the leaves from the bottom up.
 * @param {SVGSVGElement} svg a drawn wreath
 * @param {number} share 0..1 of its leaves
 */
export function light(svg, share) {
  const lit = Math.round(share * LEAVES);
  [...svg.querySelectorAll(".leaf")].forEach((leaf, index) => leaf.classList.toggle("lit", index >> 1 < lit));
}

/**
 * How much of the wreath a rank has earned: all of it for the first, less and less below, some for any rank at all.
 * @param {number | null} rank 1-based; null without points
 */
export function earned(rank) {
  return rank === null ? 0 : Math.max(0.2, 1 - Math.log10(rank) * 0.52);
}
