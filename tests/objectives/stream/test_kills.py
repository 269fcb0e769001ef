"""A finetuning that is killed ten times leaves the bytes of one that isn't."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llara_core.finetuning import trainer as trainers
from llara_core.finetuning.trainer import HybridTrainer
from llara_core.finetuning.tuning import tune
from llara_core.finetuning.watch import Watch
from llara_core.hybrid.adapter import save_adapter
from llara_core.params.params import Params
from tests.objectives.stream.test_whole import _prepare, make_params  # noqa: F401

KILLS = (2, 9, 14, 17, 20, 23, 27, 31, 34, 38)
"""At which event after its start each process is killed."""


def _events(patch: pytest.MonkeyPatch, happened: Callable[[], None]) -> None:
    """Call `happened` before every loss, measurement and step's end, and before each file of a checkpoint."""

    def before(place: Any, name: str) -> None:
        original = getattr(place, name)

        def told(*arguments: Any, **named: Any) -> Any:
            happened()
            return original(*arguments, **named)

        patch.setattr(place, name, told)

    for place, name in (
        (HybridTrainer, "compute_loss"),
        (Watch, "on_step_end"),
        (Watch, "_measure"),
        (Watch, "save"),
        (trainers, "save_trainable"),
        (trainers, "save_optimizer"),
    ):
        before(place, name)


def _tune_in_a_process(folder: Path, params: Params, kill_at: int | None) -> tuple[int, int]:
    """Tune in a fork of this process, to its end or to its `kill_at`-th event; returns its signal, and the events."""
    count, counted = 0, folder / "count"
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            patch = pytest.MonkeyPatch()

            def happened() -> None:
                nonlocal count
                count += 1
                counted.write_text(str(count))
                if count == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

            _events(patch, happened)
            (folder / "checkpoints").mkdir(exist_ok=True)
            tables, recommender, embeddings = _prepared(folder, params)
            tuned = tune(params, tables, recommender, embeddings, folder / "checkpoints")
            (folder / "adapter").mkdir()
            save_adapter(folder / "adapter", tuned.adapted, tuned.model.projector, tuned.manifest, tuned.head)
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(ended) or os.WEXITSTATUS(ended) == 0
    return (os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else 0), int(counted.read_text())


def _prepared(folder: Path, params: Params) -> Any:
    parts = folder / f"parts-{len(list(folder.iterdir()))}"
    parts.mkdir()
    return _prepare(parts, params, "gru4rec")


@pytest.fixture
def slow_params(make_params: Callable[..., Params]) -> Params:  # noqa: F811
    """Twelve steps in both modes, with dropout; checkpoints every second."""
    validation = make_params().objectives.stream.validation.model_copy(update={"times": 6, "patience": 99})
    small = {"batch_size": 4, "micro_batch_size": 2, "examples_per_epoch": 48, "validation": validation}
    small |= {"item_dropout": 0.3, "state_dropout": 0.3}
    params = make_params("linear", **small)
    return params.model_copy(update={"train": params.train.model_copy(update={"checkpoint_every": 2})})


def test_ten_kills_change_no_byte(tmp_path: Path, slow_params: Params) -> None:
    (tmp_path / "whole").mkdir()
    ended, events = _tune_in_a_process(tmp_path / "whole", slow_params, None)
    assert ended == 0
    assert events > max(KILLS)
    (tmp_path / "killed").mkdir()
    for kill_at in KILLS:
        ended, _ = _tune_in_a_process(tmp_path / "killed", slow_params, kill_at)
        if ended == 0:
            break
        assert ended == signal.SIGKILL
    else:
        ended, _ = _tune_in_a_process(tmp_path / "killed", slow_params, None)
        assert ended == 0
    whole, killed = (
        {path.name: path.read_bytes() for path in (tmp_path / name / "adapter").iterdir()}
        for name in ("whole", "killed")
    )
    assert whole == killed
