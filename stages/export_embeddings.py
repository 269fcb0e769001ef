"""Stage export_embeddings: the recommender's item-embedding table as Parquet."""

from llara_core.params.loading import load_params
from llara_core.runtime.files import write_metrics
from llara_core.runtime.logs import LOGGER
from llara_core.runtime.paths import EMBEDDINGS, METRICS, PROCESSED, RECOMMENDER
from stages.command import PARAMS, ParamsPath, run


def export_embeddings(params_path: ParamsPath = PARAMS) -> None:
    """Write the item embeddings, from which behavioural tokens are projected.

    Reads data/recommender and data/processed; writes data/embeddings and metrics/export_embeddings.json.
    """
    load_params(params_path)
    # Not at the top: a mistake in params.yaml, and --help, shouldn't wait for the libraries.
    import numpy as np

    from llara_core.recommenders.saving import load_recommender
    from llara_core.tables.embeddings import ItemEmbeddings, write_embeddings
    from llara_core.tables.processed import read_processed

    model, lineage = load_recommender(RECOMMENDER, read_processed(PROCESSED).lineage)
    embeddings = ItemEmbeddings(model.items.weight.detach().cpu().numpy(), lineage)
    write_embeddings(EMBEDDINGS, embeddings)
    norms = np.linalg.norm(embeddings.vectors[1:].astype(np.float64), axis=1)
    report = {
        "count": len(norms),
        "dim": embeddings.dim,
        "norm": {
            "min": float(norms.min()),
            "mean": float(norms.mean()),
            "max": float(norms.max()),
            "std": float(norms.std()),
        },
    }
    write_metrics(METRICS / "export_embeddings.json", report)
    LOGGER.info("%d embeddings of dimension %d, mean norm %.3f", report["count"], report["dim"], norms.mean())


if __name__ == "__main__":
    run(export_embeddings)
