"""The terms of every dataset: what may be done with it, and whether what is made of it may be handed on."""

from dataclasses import dataclass

_GROUPLENS = "https://files.grouplens.org/datasets/movielens/"


@dataclass(frozen=True)
class Licence:
    """The terms of a dataset's use.

    Attributes:
        short: as the tables of README.md and docs/data.md have it.
        text: in full, as `fetch` and a model card say it.
        may_be_handed_on: whether titles, or vectors of items learnt from the data, may be given to others. Only where
            a licence says so: what isn't permitted isn't allowed.
    """

    short: str
    text: str
    may_be_handed_on: bool

    def __str__(self) -> str:
        """Return the terms in full."""
        return self.text


def movielens(title: str, readme: str) -> Licence:
    """Return GroupLens' terms of one MovieLens dataset."""
    return Licence(
        "GroupLens: research, no redistribution",
        f"{title} is © GroupLens, University of Minnesota: research use only, no redistribution without permission, no "
        "commercial use without permission, and publications must cite Harper & Konstan (2015), The MovieLens "
        f"Datasets, ACM TiiS 5(4):19. Terms: {_GROUPLENS}{readme}",
        may_be_handed_on=False,
    )


STEAM = Licence(
    "none stated; research, cite the paper",
    "no licence stated; research use, cite Kang & McAuley, Self-attentive sequential recommendation, ICDM 2018",
    may_be_handed_on=False,
)
LASTFM = Licence(
    "non-commercial, cite HetRec 2011",
    "non-commercial use, cite HetRec 2011 (RecSys); see the archive's readme",
    may_be_handed_on=False,
)
AMAZON = Licence(
    "research, cite arXiv 2403.03952",
    "research use, cite Hou et al., arXiv 2403.03952",
    may_be_handed_on=False,
)
LLARA_RELEASE = Licence(
    "Apache-2.0", "Apache-2.0 (dataset joyliao7777/LLaRA on the Hugging Face hub)", may_be_handed_on=True
)
LLARA_RELEASE_MOVIELENS = Licence(
    "Apache-2.0; `u.item` as `ml-100k`",
    f"{LLARA_RELEASE.text}; u.item: the terms of MovieLens-100K",
    may_be_handed_on=False,
)
OWN = Licence("yours", "your own data, whose terms are yours to know", may_be_handed_on=True)
