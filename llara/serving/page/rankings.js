import { contributions } from "./contributions.js";
import { element } from "./element.js";

const NAMES = [
  ["llara", "LLaRA alone"],
  ["recommender", "Recommender alone"],
  ["llara_with_recommender", "Both together"],
];

const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** Show the rankings side by side; `usual` is the answer with behavioural tokens on, where this one is without. */
export function showRankings(place, answer, usual) {
  place.replaceChildren(
    ...NAMES.filter(([name]) => answer.rankings[name]).map(([name, heading]) =>
      column(name, heading, answer, name === "recommender" ? undefined : usual?.rankings[name]), // it has no such tokens
    ),
  );
}

function column(name, heading, answer, usual) {
  const ranked = answer.rankings[name];
  const why = element("div");
  const list = element("ol", { "aria-label": `Ranking: ${heading}` });
  const choose = (chosen) => {
    [...list.children].forEach((row, at) => row.firstChild.setAttribute("aria-pressed", String(at === chosen)));
    why.replaceChildren(...contributions(answer.history, ranked[chosen]));
  };
  ranked.forEach((entry, at) => {
    const button = element(
      "button",
      { type: "button", "aria-pressed": "false" },
      element("span", { className: "title", text: entry.title }),
      element("span", { className: "number", text: percent(entry.probability) }, ...(usual ? [moved(entry, usual)] : [])),
    );
    button.addEventListener("click", () => choose(at));
    list.append(element("li", {}, button));
  });
  if (ranked.length) choose(0);
  return element("section", { className: "ranking", id: `ranking-${name}` }, element("h3", { text: heading }), list, why);
}

/** How an item's place differs from the one that it has with behavioural tokens on. */
function moved(entry, usual) {
  const before = usual.find((other) => other.item_id === entry.item_id)?.rank;
  if (before === undefined) return element("span", { className: "moved up", text: `was > ${usual.length}` });
  if (before === entry.rank) return element("span", { className: "moved", text: "as before" });
  return element("span", { className: `moved ${before > entry.rank ? "up" : "down"}`, text: `was ${before}` });
}
