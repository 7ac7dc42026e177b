// Elements. Text of others only ever becomes a text node or the value of an attribute: no markup is parsed here.
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const html = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// Replace what is inside a node, and keep the keyboard where it was: on the element with the same data-key.
export function replace(node, ...children) {
  const key = node.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  const open = new Set([...node.querySelectorAll("details[open]")].map((each) => each.dataset.key));
  const scrolled = new Map([...node.querySelectorAll(".scroll")].map((each) => [each.dataset.key, each.scrollLeft]));
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
  for (const each of node.querySelectorAll("details")) if (open.has(each.dataset.key)) each.open = true;
  for (const each of node.querySelectorAll(".scroll")) each.scrollLeft = scrolled.get(each.dataset.key) ?? 0;
  if (key !== undefined) node.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

// A table: columns are [title, cell of a row, class]; the first cell of a row names it.
export function table(label, columns, rows) {
  const head = columns.map(([title, , kind]) => html("th", { scope: "col", class: kind }, title));
  const body = rows.map((row) =>
    html("tr", {}, columns.map(([, cell, kind], at) => html(at ? "td" : "th", { scope: at ? null : "row", class: kind }, cell(row)))),
  );
  return html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label, "data-key": `table ${label}` },
    html("table", {}, html("thead", {}, html("tr", {}, head)), html("tbody", {}, body)));
}
