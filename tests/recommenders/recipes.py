"""Tiny recommenders of every kind."""

from llara_core.params.recommenders import EncoderChoice, Recommender

OPTIONS = {
    "sasrec": {"blocks": 2, "heads": 2, "dropout": 0.0, "positions": "absolute"},
    "sasrec relative": {"blocks": 2, "heads": 2, "dropout": 0.0, "positions": "relative"},
    "gru4rec": {"layers": 2, "hidden": 12, "dropout": 0.0},
    "caser": {"context": 4, "heights": [1, 3], "horizontal": 5, "vertical": 2, "dropout": 0.0},
    "hstu": {"blocks": 2, "heads": 2, "dropout": 0.0},
}


def tiny(kind: str, **changes: object) -> Recommender:
    """Return a recommender of width 8 without dropout, with windows of 6 targets after up to 2 of context."""
    fields = {
        "encoder": EncoderChoice(name=kind.split()[0], **OPTIONS[kind]),
        "dim": 8,
        "tied": True,
        "window": 6,
        "overlap": 2,
        "ahead": {"share": 0.0, "reach": 4},
        "batch_positions": 16,
        "lr": 0.02,
        "weight_decay": 0.0,
        "average": 0.0,
    }
    return Recommender.model_validate(fields | changes)
