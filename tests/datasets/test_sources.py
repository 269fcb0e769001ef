from llara_core.datasets.reading import _READERS
from llara_core.datasets.sources import SOURCES, amazon_source
from llara_core.params.datasets import PublicDataset
from llara_core.params.params import Params


def test_every_dataset_in_params_has_a_source_and_a_reader(params: Params) -> None:
    public = {entry.source for entry in params.datasets.values() if isinstance(entry, PublicDataset)}
    assert public == set(SOURCES) == set(_READERS)


def test_the_files_without_a_published_checksum_are_known() -> None:
    frames = ("train_data.df", "Val_data.df", "Test_data.df")
    assert {name: source.unchecked for name, source in SOURCES.items() if source.unchecked} == {
        "ml-32m": ("ratings.csv", "movies.csv"),
        "steam": ("steam_games.json.gz",),
        "lastfm": ("user_taggedartists-timestamps.dat", "artists.dat"),
        "llara_release": (*frames, "id2name.txt"),
        "llara_release_movielens": frames,
    }
    assert amazon_source("Books").unchecked == ("Books.jsonl.gz", "meta_Books.jsonl.gz")
    by_hand = [name for name, source in SOURCES.items() if not source.is_published]
    assert by_hand == ["llara_release", "llara_release_movielens"]
    assert all(source.licence for source in SOURCES.values())
