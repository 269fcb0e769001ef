from collections import Counter

import pytest

from tests.mutation.mutants import MUTANTS, Mutant
from tests.mutation.run import ROOT, occurrences


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.file}: {mutant.name}")
def test_a_mutant_changes_one_place_of_the_code_and_leaves_it_readable(mutant: Mutant) -> None:
    assert occurrences(mutant) == 1
    text = (ROOT / mutant.file).read_text()
    compile(text.replace(mutant.old, mutant.new), mutant.file, "exec")


def test_mutants_have_names_of_their_own() -> None:
    names = Counter((mutant.file, mutant.name) for mutant in MUTANTS)
    assert set(names.values()) == {1}
