"""Where stages find and leave their artifacts, relative to the repository's root; dvc.yaml names the same paths.

OUTSIDE is no stage's: what `llara ask-api` has paid for stays there whatever DVC does.
"""

from pathlib import Path

RAW = Path("data/raw")
PROCESSED = Path("data/processed")
RECOMMENDER = Path("data/recommender")
CANDIDATES = Path("data/candidates/candidates.parquet")
EMBEDDINGS = Path("data/embeddings/item_embeddings.parquet")
ADAPTER = Path("data/adapter")
PREDICTIONS = Path("data/predictions")
EVALUATION = Path("data/evaluation")
OUTSIDE = Path("data/outside")
CURVES = Path("data/curves")
PLOT_TEMPLATES = Path(".dvc/plots")
PLOT_PAGE = Path("data/plots/page.html")
METRICS = Path("metrics")
CHECKSUMS = Path("checksums.json")
