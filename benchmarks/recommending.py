"""Answering with the trained model at hand: loading, the first answer, later ones, and many at once.

Needs what `make repro` leaves behind. Histories are those of test users, as long as the model reads.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from llara_core.params.loading import load_params
from llara_core.recommending.loading import load_service
from llara_core.recommending.requests import Request
from llara_core.recommending.service import RecommendationService

_BATCH = 64


def test_requests(service: RecommendationService, count: int, *, why: bool) -> list[Request]:
    """Return requests with the latest items of `count` test users, in turn."""
    sequences, length = service.tuned.tables.sequences, service.models.history_length
    rows = np.resize(sequences.rows_of("test"), count)
    return [Request(tuple(sequences.items_of(row)[-length:].tolist()), why=why) for row in rows]


def main(
    params: Annotated[Path, typer.Option(help="As the model was trained.")] = Path("params.yaml"),
    answers: Annotated[int, typer.Option(min=2, help="Answers that are timed one by one.")] = 20,
    histories: Annotated[int, typer.Option(min=1, help="Histories that are ranked together.")] = 640,
) -> None:
    """Print seconds, and the goal: the second answer within 300 ms."""
    start = time.perf_counter()
    service = load_service(load_params(params))
    print(f"{torch.get_num_threads()} threads, objective {service.tuned.manifest.objective}")
    print(f"loading: {time.perf_counter() - start:.1f} s")
    for why in (True, False):
        requests = test_requests(service, answers, why=why)
        seconds = [_seconds(partial(service.recommend, request)) for request in requests]
        name = "with what each title contributed" if why else "rankings alone"
        low, middle, high = (1000 * value for value in np.quantile(seconds[1:], [0.0, 0.5, 0.95]))
        print(
            f"{name}: first answer {1000 * seconds[0]:.0f} ms, second {1000 * seconds[1]:.0f} ms; from the second on "
            f"least {low:.0f}, median {middle:.0f}, 95 % within {high:.0f} ms; processor time of one "
            f"{_processor_milliseconds(service, requests):.0f} ms"
        )
    requests = test_requests(service, histories, why=False)
    parts = [requests[first : first + _BATCH] for first in range(0, len(requests), _BATCH)]
    seconds_of_all = _seconds(lambda: [service.recommend_many(part) for part in parts])
    print(f"{histories} histories together: {3600 * histories / seconds_of_all:,.0f} an hour")


def _processor_milliseconds(service: RecommendationService, requests: Sequence[Request]) -> float:
    """Mean over requests; what else the machine does hardly changes it."""
    start = time.process_time()
    for request in requests:
        service.recommend(request)
    return 1000 * (time.process_time() - start) / len(requests)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    typer.run(main)
