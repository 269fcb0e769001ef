"""The page in headless Chromium: typed, chosen, reordered, removed and read, by keyboard; nothing fails."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pytest

from llara.serving.model_thread import Services
from llara_core.recommending.requests import Recommendation, Request
from llara_core.recommending.service import RecommendationService
from llara_core.tables.items import Items
from tests.conftest import TITLES
from tests.llara.serving.conftest import Serve, Served

sync_api = pytest.importorskip("playwright.sync_api", reason="the page's tests need Playwright, of the extra test")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH: the page's tests need one")

MARKUP = "<img src=x onerror=\"document.title='run'\"> & <b>Rooms</b>"
NAMES = ["", *TITLES[1:3], MARKUP, *TITLES[4:]]
_SECONDS = 10_000  # ms that anything on the page may take


@dataclass
class Watched:
    """A page, and what it said and asked for that it shouldn't have."""

    page: "sync_api.Page"
    url: str
    wrong: list[str] = field(default_factory=list)

    def watch(self) -> None:
        page, wrong = self.page, self.wrong
        page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
        page.on("request", lambda request: request.url.startswith(self.url) or wrong.append(f"foreign: {request.url}"))
        page.on("response", lambda answer: answer.status < 400 or wrong.append(f"{answer.status}: {answer.url}"))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def add(self, typed: str, title: str) -> None:
        """Type into the field that has the focus, wait for the title's being offered first, take it."""
        self.page.keyboard.type(typed)
        sync_api.expect(self.page.locator("#options li").first).to_have_text(title)
        self.press("Enter")
        self.expect_history_ends_with(title)

    def expect_history_ends_with(self, title: str) -> None:
        sync_api.expect(self.page.locator("#history li span").last).to_have_text(title)

    @property
    def history(self) -> list[str]:
        return self.page.locator("#history li span").all_inner_texts()

    @property
    def focused(self) -> str:
        return self.page.locator(":focus").get_attribute("aria-label") or ""

    def settle(self) -> None:
        sync_api.expect(self.page.locator("#results")).to_have_attribute("aria-busy", "false")

    def ranking(self, name: str) -> list[str]:
        return self.page.locator(f"#ranking-{name} li .title").all_inner_texts()

    def expect_shows(self, answer: Recommendation) -> None:
        """Check that what is read is the answer: titles, probabilities, and the first item's contributions."""
        for name, ranked in answer.rankings.items():
            column = self.page.locator(f"#ranking-{name}")
            sync_api.expect(column.locator("li .title")).to_have_text([entry.title for entry in ranked])
            numbers = [f"{100 * entry.probability:.1f} %" for entry in ranked]
            sync_api.expect(column.locator("li .number")).to_have_text(
                [re.compile(rf"^{re.escape(number)}") for number in numbers]
            )
            parts = [None if other is None else ranked[0].score - other.score for other in ranked[0].without]
            said = ["–" if part is None else f"{part:+.3f}".replace("-", "−") for part in parts]
            sync_api.expect(column.locator(".why .number")).to_have_text(said)
            sides = ["for" if (part or 0) >= 0 else "against" for part in parts if part is not None]
            bars = column.locator(".bar i")
            assert [bars.nth(at).get_attribute("class") for at in range(bars.count())] == sides
            widths = [bars.nth(at).evaluate("bar => bar.getBoundingClientRect().width") for at in range(bars.count())]
            if widths:
                sizes = [abs(part) for part in parts if part is not None]
                assert widths == pytest.approx([max(widths) * size / max(sizes) for size in sizes], abs=0.5)


@pytest.fixture(scope="module")
def named(services: Services) -> Services:
    """The tiny model over a catalogue in which a title is markup."""

    def rename(service: RecommendationService) -> RecommendationService:
        tables = service.tuned.tables
        items = Items(tables.items.raw_item_ids, pa.array(NAMES[1:]), tables.items.n_train)
        tuned = replace(service.tuned, tables=replace(tables, items=items))
        return RecommendationService(tuned, service.models, service.calibration, service.lineage, service._notes)

    return {tokens: rename(service) for tokens, service in services.items()}


@pytest.fixture(scope="module")
def served(serve: Serve, named: Services) -> Served:
    return serve(lambda: named)


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    # Chromium's sandbox doesn't start for root, who runs tests in containers.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield found
        found.close()


@pytest.fixture
def watched(browser: "sync_api.Browser", served: Served) -> Iterator[Watched]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(_SECONDS)
    sync_api.expect.set_options(timeout=_SECONDS)
    watched = Watched(page, served.url)
    watched.watch()
    page.goto(served.url)
    sync_api.expect(page.locator("#about")).to_contain_text("8 titles; the latest 3 of a history are read")
    yield watched
    page.close()


def test_titles_are_typed_chosen_reordered_removed_and_results_read_by_keyboard(
    watched: Watched, named: Services
) -> None:
    service, page = named["on"], watched.page
    watched.press("Tab")
    assert page.locator(":focus").get_attribute("id") == "search"
    watched.add("toy", "Toy Story")
    watched.add("haet", "Heat")
    page.keyboard.type("ali")
    options = page.locator("#options li")
    sync_api.expect(options).to_have_text(["Alien", "Alien 3", "“ali”, not in the catalogue: as text"])
    watched.press("ArrowDown")
    sync_api.expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    assert page.locator("#search").get_attribute("aria-activedescendant") == options.nth(1).get_attribute("id")
    watched.press("Enter")
    watched.expect_history_ends_with("Alien 3")
    sync_api.expect(page.locator("#said")).to_have_text("Alien 3 added as number 3. Ranked: 5 titles.")
    watched.expect_shows(service.recommend(Request((1, 6, 5), why=True)))

    watched.press("Tab", "Tab")  # the first title can't go up: to its ↓, then its ✕
    assert watched.focused == "Remove Toy Story"
    watched.press("Tab", "Enter")
    assert watched.history == ["Heat", "Toy Story", "Alien 3"]
    assert watched.focused == "Move down Heat"  # at the top, where ↑ does nothing any more
    watched.settle()
    watched.expect_shows(service.recommend(Request((6, 1, 5), why=True)))
    watched.press("Enter", "Enter")
    assert watched.history == ["Toy Story", "Alien 3", "Heat"]
    assert watched.focused == "Move up Heat"
    sync_api.expect(page.locator("#said")).to_have_text("Heat is now number 3 of 3. Ranked: 5 titles.")
    watched.expect_shows(service.recommend(Request((1, 5, 6), why=True)))
    watched.press("Tab", "Enter")
    assert watched.focused == "Remove Alien 3"
    assert watched.history == ["Toy Story", "Alien 3"]
    watched.settle()
    watched.expect_shows(service.recommend(Request((1, 5), why=True)))
    watched.press("Enter", "Enter")
    assert page.locator(":focus").get_attribute("id") == "search"
    sync_api.expect(page.locator("#empty")).to_be_visible()
    sync_api.expect(page.locator(".ranking")).to_have_count(0)
    assert not watched.wrong


def test_each_ranked_item_says_what_it_rests_on(watched: Watched, named: Services) -> None:
    watched.press("Tab")
    watched.add("toy", "Toy Story")
    watched.add("heat", "Heat")
    watched.settle()
    ranked = named["on"].recommend(Request((1, 6), why=True)).rankings["recommender"]
    column = watched.page.locator("#ranking-recommender")
    column.locator("button").nth(2).focus()
    watched.press("Space")
    sync_api.expect(column.locator("h4")).to_have_text(f"What each title contributed to {ranked[2].title}")
    parts = [ranked[2].score - other.score for other in ranked[2].without if other is not None]
    said = [f"{part:+.3f}".replace("-", "−") for part in parts]
    sync_api.expect(column.locator(".why .number")).to_have_text(said)
    assert column.locator("[aria-pressed=true]").count() == 1
    assert not watched.wrong


def test_the_switch_shows_what_behavioural_tokens_do(watched: Watched, named: Services) -> None:
    watched.press("Tab")
    watched.add("toy", "Toy Story")
    watched.add("heat", "Heat")
    watched.settle()
    page = watched.page
    page.locator("input[value=on]").focus()
    for tokens in ("off", "shuffled"):
        watched.press("ArrowDown")
        sync_api.expect(page.locator("#notes li")).to_have_text(
            "behavioural tokens are off" if tokens == "off" else "behavioural tokens are other items'"
        )
        answer = named[tokens].recommend(Request((1, 6), why=True))
        watched.expect_shows(answer)
        usual = {entry.title: place for place, entry in enumerate(_ranked(named["on"], "llara"), start=1)}
        marks = [
            "as before" if usual[entry.title] == place else f"was {usual[entry.title]}"
            for place, entry in enumerate(answer.rankings["llara"], start=1)
        ]
        sync_api.expect(page.locator("#ranking-llara .moved")).to_have_text(marks)
        sync_api.expect(page.locator("#ranking-recommender .moved")).to_have_count(0)
    watched.press("ArrowUp", "ArrowUp")
    sync_api.expect(page.locator(".moved")).to_have_count(0)
    watched.expect_shows(named["on"].recommend(Request((1, 6), why=True)))
    assert not watched.wrong


def _ranked(service: RecommendationService, name: str) -> list:
    return service.recommend(Request((1, 6))).rankings[name]


def test_markup_in_titles_is_shown_and_not_run(watched: Watched) -> None:
    page = watched.page
    watched.press("Tab")
    watched.add("rooms", MARKUP)
    watched.settle()
    assert watched.history == [MARKUP]
    watched.add("toy", "Toy Story")
    watched.settle()
    sync_api.expect(page.locator("#ranking-llara .why th")).to_have_text([MARKUP, "Toy Story"])
    typed = "<script>alert(1)</script>"
    page.keyboard.type(typed)
    text = page.locator("#options li.text")
    sync_api.expect(text).to_have_text(f"“{typed}”, not in the catalogue: as text")
    assert not watched.wrong
    text.click()
    watched.expect_history_ends_with(typed)
    sync_api.expect(page.locator("#problem")).to_contain_text(f"must not hold markup, got '{typed}'")
    assert page.locator("main img, main script, main b").count() == 0
    assert page.title() == "LLaRA: what comes next?"
    assert [entry.split(":")[0] for entry in watched.wrong] == ["422", "error"]  # what was refused, twice told
    watched.press("Shift+Tab")
    page.get_by_label(f"Remove {typed}").press("Enter")
    sync_api.expect(page.locator("#problem")).to_be_empty()
    sync_api.expect(page.locator(".ranking")).to_have_count(3)


def test_text_outside_the_catalogue_is_never_taken_by_mistake(watched: Watched) -> None:
    watched.press("Tab")
    watched.page.keyboard.type("xyzzy")
    option = watched.page.locator("#options li")
    sync_api.expect(option).to_have_text("“xyzzy”, not in the catalogue: as text")
    watched.press("Enter")
    assert watched.history == []
    watched.press("Escape")
    sync_api.expect(watched.page.locator("#options")).to_be_hidden()
    watched.page.keyboard.type(" y")
    sync_api.expect(option).to_have_count(1)
    watched.press("ArrowDown", "Enter")
    watched.expect_history_ends_with("xyzzy y")
    sync_api.expect(watched.page.locator("#notes li").first).to_contain_text('"xyzzy y" is not in the catalogue')
    sync_api.expect(watched.page.locator(".ranking")).to_have_count(1)  # the recommender can't say anything
    assert not watched.wrong
