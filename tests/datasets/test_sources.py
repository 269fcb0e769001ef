from llara_core.datasets.reading import _READERS
from llara_core.datasets.sources import SOURCES
from llara_core.params.datasets import PublicDataset
from llara_core.params.params import Params


def test_every_dataset_in_params_has_a_source_and_a_reader(params: Params) -> None:
    public = {entry.source for entry in params.datasets.values() if isinstance(entry, PublicDataset)}
    assert public == set(SOURCES) == set(_READERS)


def test_only_files_with_a_checksum_are_downloadable() -> None:
    by_hand = [name for name, source in SOURCES.items() if not source.is_downloadable]
    assert by_hand == ["ml-32m", "steam", "lastfm", "llara_release", "llara_release_movielens"]
    assert all(source.licence for source in SOURCES.values())
