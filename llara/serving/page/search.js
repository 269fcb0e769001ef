import { Refused, titles } from "./api.js";
import { element } from "./element.js";
import { latest } from "./latest.js";

const PAUSE = 120; // ms without a key before the server is asked

/** A combobox after the ARIA practices: arrows walk the list, Enter takes, Escape closes; focus stays in the field. */
export class Search {
  constructor(input, list, take, complain) {
    Object.assign(this, { input, list, take, complain, entries: [], active: -1, timer: 0 });
    this.ask = latest((outdated) => this.#ask(outdated));
    input.addEventListener("input", () => this.#later());
    input.addEventListener("keydown", (event) => this.#key(event));
    input.addEventListener("blur", () => this.#close());
    list.addEventListener("pointerdown", (event) => event.preventDefault()); // keeps the focus in the field
    list.addEventListener("click", (event) => this.#choose(this.#places().indexOf(event.target.closest("li"))));
  }

  #places() {
    return [...this.list.children];
  }

  #later() {
    clearTimeout(this.timer);
    if (this.input.value.trim()) this.timer = setTimeout(this.ask, PAUSE);
    else this.#close();
  }

  async #ask(outdated) {
    const typed = this.input.value.trim();
    if (!typed) return;
    try {
      const found = await titles(typed);
      if (this.input.value.trim() === typed && !outdated()) this.#open(typed, found.titles);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.complain(error.message);
    }
  }

  #open(typed, found) {
    const known = found.some((entry) => entry.title.toLowerCase() === typed.toLowerCase());
    const text = { item_id: null, title: typed };
    this.entries = known ? found : [...found, text];
    this.list.replaceChildren(
      ...this.entries.map((entry, place) =>
        element("li", {
          id: `option-${place}`,
          role: "option",
          "aria-selected": "false",
          className: entry.item_id === null ? "text" : "",
          text: entry.item_id === null ? `“${entry.title}”, not in the catalogue: as text` : entry.title,
        }),
      ),
    );
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.#activate(found.length ? 0 : -1); // text outside the catalogue is never taken by Enter alone
  }

  #close() {
    clearTimeout(this.timer);
    this.entries = [];
    this.list.hidden = true;
    this.list.replaceChildren();
    this.input.setAttribute("aria-expanded", "false");
    this.#activate(-1);
  }

  #activate(place) {
    this.active = place;
    this.#places().forEach((option, at) => option.setAttribute("aria-selected", String(at === place)));
    if (place < 0) this.input.removeAttribute("aria-activedescendant");
    else this.input.setAttribute("aria-activedescendant", `option-${place}`);
  }

  #choose(place) {
    const entry = this.entries[place];
    if (!entry) return;
    this.input.value = "";
    this.#close();
    this.take(entry);
  }

  #key(event) {
    const count = this.entries.length;
    if (event.key === "Escape") this.#close();
    else if (event.key === "ArrowDown" && count) this.#activate((this.active + 1) % count);
    else if (event.key === "ArrowUp" && count) this.#activate((this.active + count + (this.active < 0 ? 0 : -1)) % count);
    else if (event.key === "Enter") this.#choose(this.active);
    else return;
    event.preventDefault();
  }
}
