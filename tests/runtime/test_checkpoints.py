import shutil
from pathlib import Path

import pytest

from llara_core.errors import ModelError
from llara_core.runtime.checkpoints import agreed_checkpoint, latest_checkpoint, locked_checkpoints, new_checkpoint
from tests.processes import run_two_processes


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLARA_CHECKPOINT_DIR", str(tmp_path))


class KilledError(Exception):
    """What stands for a kill."""


def _stop_after(step: int, *, fresh: bool = False) -> None:
    with locked_checkpoints("finetune", "abc", fresh=fresh) as folder:
        with new_checkpoint(folder, step) as path:
            (path / "weights").write_text(str(step))
        raise KilledError


def test_one_process_per_experiment_and_no_leftovers(tmp_path: Path) -> None:
    folder = tmp_path / "finetune/abc"
    for name in (".step-7.tmp", "step-4", "step-12"):
        (folder / name).mkdir(parents=True)
    with locked_checkpoints("finetune", "abc", fresh=False) as held:
        assert held == folder
        assert not (folder / ".step-7.tmp").exists()
        assert latest_checkpoint(folder) == folder / "step-12"
        with pytest.raises(ModelError, match="another process"), locked_checkpoints("finetune", "abc", fresh=True):
            pass
        assert latest_checkpoint(folder) == folder / "step-12"


def test_an_interrupted_run_goes_on_and_a_finished_one_begins_anew() -> None:
    with pytest.raises(KilledError):
        _stop_after(4)
    with pytest.raises(KilledError):
        _stop_after(8)
    with locked_checkpoints("finetune", "abc", fresh=False) as folder:
        assert agreed_checkpoint(folder) == folder / "step-8"
        assert not (folder / "step-4").exists()
    with locked_checkpoints("finetune", "abc", fresh=False) as folder:
        assert agreed_checkpoint(folder) is None


def test_a_fresh_run_forgets_what_was_interrupted() -> None:
    with pytest.raises(KilledError):
        _stop_after(4)
    with locked_checkpoints("finetune", "abc", fresh=True) as folder:
        assert agreed_checkpoint(folder) is None


@pytest.mark.parametrize("fresh", [False, True])
def test_all_that_was_kept_goes_with_success_and_before_a_fresh_run(tmp_path: Path, fresh: bool) -> None:
    """Also files beside checkpoints, such as pieces of an evaluation."""
    folder = tmp_path / "evaluate/abc"

    def stop() -> None:
        with locked_checkpoints("evaluate", "abc", fresh=False):
            (folder / "llara.parquet").write_text("a piece")
            (folder / "more").mkdir()
            (folder / "more" / "piece").write_text("another")
            raise KilledError

    with pytest.raises(KilledError):
        stop()
    with locked_checkpoints("evaluate", "abc", fresh=fresh):
        left = {path.name for path in folder.iterdir()}
        assert left == ({".lock"} if fresh else {".lock", "llara.parquet", "more"})
    assert [path.name for path in folder.iterdir()] == [".lock"]


def test_a_half_removed_checkpoint_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KilledError):
        _stop_after(4)

    def dies(path: Path, **_: object) -> None:
        (Path(path) / "weights").unlink()
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", dies)
        with pytest.raises(KilledError), locked_checkpoints("finetune", "abc", fresh=False):
            pass
    with locked_checkpoints("finetune", "abc", fresh=False) as folder:
        assert agreed_checkpoint(folder) is None
        assert [path.name for path in folder.iterdir()] == [".lock"]


def test_the_last_checkpoint_stays_until_the_next_one_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def dies(self: Path, target: Path) -> Path:
        if target.name == "step-6":
            raise KilledError
        return rename(self, target)

    with new_checkpoint(tmp_path, 3) as path:
        (path / "weights").write_text("weights")
    monkeypatch.setattr(Path, "rename", dies)
    with pytest.raises(KilledError), new_checkpoint(tmp_path, 6) as path:
        (path / "weights").write_text("others")
    assert agreed_checkpoint(tmp_path) == tmp_path / "step-3"
    assert (tmp_path / "step-3" / "weights").read_text() == "weights"


def test_a_damaged_checkpoint_is_no_beginning(tmp_path: Path) -> None:
    with new_checkpoint(tmp_path, 3) as path:
        (path / "weights").write_text("weights")
    assert agreed_checkpoint(tmp_path) == tmp_path / "step-3"
    (tmp_path / "step-3" / "weights").write_text("weight")
    with pytest.raises(ModelError, match=r"damaged checkpoint: .*weights: must be the file .*; remove its folder"):
        agreed_checkpoint(tmp_path)


_ROUNDS = """
from accelerate import Accelerator
from llara_core.runtime.checkpoints import agreed_checkpoint, locked_checkpoints, new_checkpoint

accelerator = Accelerator(cpu=True)
assert accelerator.num_processes == 2
for step in range(1, 41):
    try:
        with locked_checkpoints("finetune", "abc", fresh=step % 2 == 0) as folder:
            assert agreed_checkpoint(folder) is None, step
            if accelerator.is_main_process:
                with new_checkpoint(folder, step) as path:
                    for i in range(20):
                        (path / str(i)).write_text("weights")
            accelerator.wait_for_everyone()
            assert agreed_checkpoint(folder) == folder / f"step-{step}"
            if step % 2:
                raise InterruptedError
    except InterruptedError:
        pass
accelerator.wait_for_everyone()
accelerator.state.destroy_process_group()
"""


def test_two_processes_agree_on_what_is_there(tmp_path: Path) -> None:
    """Interrupted rounds leave checkpoints that fresh rounds must find by no process, over and over."""
    script = tmp_path / "rounds.py"
    script.write_text(_ROUNDS)
    run_two_processes([str(script)])
