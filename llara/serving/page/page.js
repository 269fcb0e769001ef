import { Refused, about, ready, recommend } from "./api.js";
import { element } from "./element.js";
import { History } from "./history.js";
import { latest } from "./latest.js";
import { showRankings } from "./rankings.js";
import { Search } from "./search.js";

const TOP = 10;
const COMPARED = 100; // places with tokens on in which an item is looked for
const at = (id) => document.getElementById(id);

const history = new History(at("history"), at("empty"), changed);
const ask = latest(answer);
new Search(at("search"), at("options"), (entry) => history.add(entry), complain);
at("tokens").addEventListener("change", () => changed(""));

function complain(message) {
  at("problem").textContent = message;
}

function changed(what) {
  at("said").textContent = what;
  at("results").setAttribute("aria-busy", "true");
  ask(what);
}

async function answer(change, outdated) {
  if (!history.entries.length) {
    show({ rankings: {}, notes: [] }, null, change);
    return;
  }
  const tokens = document.querySelector("input[name=tokens]:checked").value;
  const question = { history: history.asked, top: TOP, why: true, tokens };
  try {
    const [found, usual] = await Promise.all([
      recommend(question),
      tokens === "on" ? null : recommend({ ...question, top: COMPARED, why: false, tokens: "on" }),
    ]);
    if (!outdated()) show(found, usual, `${change} Ranked: ${found.ranked.n_items} titles.`.trim());
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    show({ rankings: {}, notes: [] }, null, change);
    complain(error.message);
  }
}

function show(answer, usual, said) {
  at("results").setAttribute("aria-busy", "false");
  at("said").textContent = said;
  complain("");
  at("notes").replaceChildren(...answer.notes.map((text) => element("li", { text })));
  showRankings(at("rankings"), answer, usual);
}

try {
  await ready();
  const model = await about();
  at("about").textContent =
    `${model.language_model}, trained for ${model.objective}; ${model.n_items} titles; ` +
    `the latest ${model.history_length} of a history are read.`;
  for (const choice of document.querySelectorAll("input[name=tokens]")) {
    choice.disabled = !model.tokens.includes(choice.value);
  }
} catch (error) {
  complain(error.message);
}
