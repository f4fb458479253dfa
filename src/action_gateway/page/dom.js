/** The page's own elements. Data only ever goes in as text, so a name or a prompt is never markup. */

/**
 * @template {Element} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function find(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`the page has no #${id}`);
  return /** @type {T} */ (/** @type {unknown} */ (node));
}

/** A fresh copy of a template's one element. @param {string} id @returns {HTMLElement} */
export function stamp(id) {
  /** @type {HTMLTemplateElement} */
  const template = find(id);
  return /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
}

/** @param {Element} root @param {string} name @returns {HTMLElement} the element with that `data-slot` */
export function slot(root, name) {
  return /** @type {HTMLElement} */ (root.querySelector(`[data-slot="${name}"]`));
}

/** Sets text only where it differs, so that nothing is read out again. @param {Element} node @param {string} text */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Says something in an element that is only there while it has something to say.
 * @param {HTMLElement} node @param {string} text
 */
export function notice(node, text) {
  node.hidden = !text;
  say(node, text);
}

/**
 * Makes these, in this order, the items of a list, and moves no more of them than it must.
 * @param {Element} list @param {Element[]} items
 */
export function arrange(list, items) {
  for (const [index, item] of items.entries()) {
    const there = list.children[index] ?? null;
    if (there !== item) list.insertBefore(item, there);
  }
  while (list.children.length > items.length) list.lastElementChild?.remove();
}
