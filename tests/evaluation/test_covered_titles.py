from llara_core.objectives.answer.matching import TitleMatcher


def test_a_title_inside_a_wider_one_is_not_named() -> None:
    matcher = TitleMatcher(["", "Alien 3", "3"])
    assert matcher.match("I think Alien 3 comes next", [1, 2]) == 1
    assert matcher.match("I think Alien 3 comes next", [2]) is None
