import { element } from "./element.js";

/** What each title contributed to an item's score, as bars to the right (for it) or to the left (against it). */
export function contributions(history, item) {
  const values = item.without.map((other) => (other === null ? null : item.score - other.score));
  const largest = Math.max(...values.map((value) => Math.abs(value ?? 0)), 1e-9);
  const rows = history.map((entry, place) => row(entry.title, values[place] ?? null, largest));
  const caption = "Score with it less the score without it.";
  return [
    element("h4", { text: `What each title contributed to ${item.title}` }),
    element("table", { className: "why" }, element("caption", { text: caption }), element("tbody", {}, ...rows)),
  ];
}

function row(title, value, largest) {
  const bar = element("div", { className: "bar", "aria-hidden": "true" });
  if (value !== null) {
    const filled = element("i", { className: value < 0 ? "against" : "for" });
    filled.style.width = `${(50 * Math.abs(value)) / largest}%`;
    bar.append(filled);
  }
  const said = value === null ? "–" : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
  return element(
    "tr",
    {},
    element("th", { scope: "row", text: title, title }),
    element("td", {}, bar),
    element("td", { className: "number", text: said }),
  );
}
