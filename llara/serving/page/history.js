import { element } from "./element.js";

/** The titles that were seen, in order; buttons move and remove, and the focus stays where the hand is. */
export class History {
  constructor(list, empty, changed, say) {
    Object.assign(this, { list, empty, changed, say, entries: [] });
  }

  add(entry) {
    this.entries.push(entry);
    this.#show();
    this.changed(`${entry.title} added as number ${this.entries.length}.`);
  }

  /** The history as the API takes it. */
  get asked() {
    return this.entries.map((entry) => entry.item_id ?? `text:${entry.title}`);
  }

  #move(place, by) {
    const [entry] = this.entries.splice(place, 1);
    this.entries.splice(place + by, 0, entry);
    this.#show();
    const buttons = this.#buttons(place + by);
    const same = by < 0 ? buttons[0] : buttons[1];
    (same.disabled ? buttons[by < 0 ? 1 : 0] : same).focus();
    this.changed(`${entry.title} is now number ${place + by + 1} of ${this.entries.length}.`);
  }

  #remove(place, whereFocus) {
    const [entry] = this.entries.splice(place, 1);
    this.#show();
    if (this.entries.length) this.#buttons(Math.min(place, this.entries.length - 1))[2].focus();
    else whereFocus.focus();
    this.changed(`${entry.title} removed.`);
  }

  #buttons(place) {
    return this.list.children[place].querySelectorAll("button");
  }

  #show() {
    this.empty.hidden = this.entries.length > 0;
    this.list.replaceChildren(...this.entries.map((entry, place) => this.#row(entry, place)));
  }

  #row(entry, place) {
    const button = (text, label, work, disabled = false) => {
      const made = element("button", { type: "button", text, "aria-label": `${label} ${entry.title}`, title: label, disabled });
      made.addEventListener("click", work);
      return made;
    };
    const last = this.entries.length - 1;
    return element(
      "li",
      {},
      element(
        "div",
        {},
        element("span", { text: entry.title, className: entry.item_id === null ? "text" : "" }),
        button("↑", "Move up", () => this.#move(place, -1), place === 0),
        button("↓", "Move down", () => this.#move(place, 1), place === last),
        button("✕", "Remove", () => this.#remove(place, document.getElementById("search"))),
      ),
    );
  }
}
