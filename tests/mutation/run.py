"""Mutation testing: each listed change, made in a copy of the tree, must make a test fail. Run by `make mutation`.

python -m tests.mutation.run [WORD …]    only mutants with one of the words in their file or name
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.mutation.mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
_PLANS = [
    "tests/finetuning/test_planned_prompts.py",
    "tests/objectives/test_prompt_plan.py",
    "tests/finetuning/test_tuning.py",
]
TESTS = {  # the fast tests that must notice a change in a file or room
    "llara_core/prompting/segments.py": [
        "tests/prompting",
        "tests/finetuning/test_planned_prompts.py",
        "tests/recommending/test_service.py",
    ],
    "llara_core/prompting": ["tests/prompting", "tests/finetuning/test_planned_prompts.py"],
    "llara_core/objectives/curriculum.py": ["tests/objectives/test_curriculum.py"],
    "llara_core/objectives/prompt_plan.py": _PLANS,
    "llara_core/objectives/step_plan.py": _PLANS,
    "llara_core/objectives/answer/objective.py": [
        "tests/finetuning/test_optimisation.py",
        "tests/finetuning/test_tuning.py",
    ],
    "llara_core/objectives/answer/prompts.py": _PLANS,
    "llara_core/objectives/answer": ["tests/objectives/answer", "tests/evaluation"],
    "llara_core/objectives/choice/respondent.py": ["tests/objectives/choice", "tests/recommending/test_whole.py"],
    "llara_core/objectives/choice": ["tests/objectives/choice"],
    "llara_core/objectives/stream/left_out.py": ["tests/objectives/stream/test_left_out.py"],
    "llara_core/objectives/stream": ["tests/objectives/stream"],
    "llara_core/objectives": ["tests/objectives", "tests/finetuning"],
    "llara_core/finetuning/watch.py": [
        "tests/finetuning/test_watch.py",
        "tests/two_processes",
    ],
    "llara_core/finetuning/tuning.py": [
        "tests/objectives/stream/test_whole.py",
        "tests/finetuning",
        "tests/objectives/test_variants.py",
    ],
    "llara_core/finetuning/agreeing.py": [
        "tests/finetuning/test_two_processes.py::test_two_processes_train_as_one[fsdp-mixed]"
    ],
    "llara_core/finetuning": ["tests/finetuning"],
    "llara_core/planning/shapes.py": ["tests/planning/test_shapes.py"],
    "llara_core/planning/trained.py": ["tests/planning/test_trained.py"],
    "llara_core/planning/activations.py": ["tests/planning/test_activations.py", "tests/planning/test_quantised.py"],
    "llara_core/planning/memory.py": ["tests/planning/test_memory.py", "tests/planning/test_quantised.py"],
    "llara_core/planning/workload.py": ["tests/planning/test_counting.py"],
    "llara_core/planning/counting.py": ["tests/planning/test_counting.py"],
    "llara_core/planning/advice.py": ["tests/planning/test_advice.py"],
    "llara_core/planning/quantised.py": ["tests/planning/test_quantised.py"],
    "llara_core/planning/micro_batch.py": ["tests/planning/test_micro_batch.py"],
    "stages/micro_batches.py": ["tests/stages/test_micro_batches.py"],
    "llara_core/hybrid/attention.py": ["tests/hybrid/test_attention.py"],
    "llara_core/hybrid/masks.py": ["tests/hybrid/test_attention.py"],
    "llara_core/hybrid/families.py": [
        "tests/hybrid/test_attention.py",
        "tests/hybrid/test_parts.py",
        "tests/hybrid/test_loading.py",
    ],
    "llara_core/hybrid/nf4.py": ["tests/hybrid/test_nf4.py"],
    "llara_core/hybrid/projector.py": [
        "tests/hybrid",
        "tests/objectives/test_gradients.py",
        "tests/objectives/test_variants.py",
    ],
    "llara_core/hybrid/model.py": ["tests/hybrid", "tests/objectives/test_gradients.py", "tests/objectives/answer"],
    "llara_core/hybrid/reading.py": ["tests/objectives/answer"],
    "llara_core/hybrid/row_cache.py": ["tests/objectives/answer"],
    "llara_core/hybrid/adapter.py": ["tests/hybrid", "tests/objectives/test_variants.py"],
    "llara_core/hybrid/division.py": ["tests/hybrid/test_division.py"],
    "llara_core/hybrid/questions.py": ["tests/hybrid/test_questions.py", "tests/recommending/test_whole.py"],
    "llara_core/hybrid": ["tests/hybrid"],
    "llara_core/objectives/catalogue.py": [
        "tests/objectives/stream/test_respondent.py",
        "tests/objectives/stream/test_whole.py",
        "tests/evaluation/test_whole.py",
    ],
    "llara_core/objectives/asking.py": [
        "tests/objectives/stream/test_respondent.py",
        "tests/evaluation/test_whole.py",
        "tests/evaluation/test_probes.py",
    ],
    "llara_core/objectives/answer/respondent.py": [
        "tests/evaluation/test_whole.py",
        "tests/recommending/test_whole.py",
    ],
    "llara_core/evaluation/artifacts.py": [
        "tests/evaluation/test_whole.py",
        "tests/objectives/stream/test_whole.py",
        "tests/objectives/test_variants.py",
    ],
    "llara_core/evaluation/judging.py": ["tests/evaluation/test_whole.py", "tests/objectives/stream/test_whole.py"],
    "llara_core/evaluation/probes.py": ["tests/evaluation/test_probes.py", "tests/evaluation/test_whole.py"],
    "llara_core/evaluation/pieces.py": ["tests/evaluation/test_pieces.py"],
    "llara_core/evaluation/per_list.py": ["tests/evaluation/test_per_list.py"],
    "llara_core/evaluation/report.py": ["tests/evaluation/test_report.py"],
    "llara_core/evaluation/plots.py": ["tests/evaluation/test_plots.py"],
    "llara_core/outside_judge/budget.py": ["tests/outside_judge/test_budget.py"],
    "llara_core/outside_judge/patience.py": ["tests/outside_judge/test_patience.py"],
    "llara_core/outside_judge/store.py": ["tests/outside_judge/test_store.py"],
    "llara_core/outside_judge/lists.py": ["tests/outside_judge/test_lists.py"],
    "llara_core/outside_judge/judging.py": ["tests/outside_judge/test_judging.py"],
    "llara_core/outside_judge/replies.py": [
        "tests/outside_judge/test_judging.py",
        "tests/outside_judge/test_endpoint.py",
    ],
    "llara_core/outside_judge": ["tests/outside_judge/test_endpoint.py"],
    "llara_core/plotting": ["tests/plotting"],
    ".dvc/plots": ["tests/plotting"],
    "llara_core/evaluation/remarks.py": ["tests/evaluation/test_report.py"],
    "llara_core/evaluation/significance.py": ["tests/evaluation/test_comparison.py"],
    "llara_core/evaluation/comparison.py": ["tests/evaluation/test_comparison.py", "tests/experiments/test_outcome.py"],
    "llara_core/reporting": ["tests/reporting"],
    "llara_core/evaluation/comparison_report.py": [
        "tests/evaluation/test_comparison.py",
        "tests/experiments/test_outcome.py",
        "tests/reporting/test_judgement.py",
    ],
    "llara_core/evaluation/hard_lists.py": ["tests/evaluation/test_hard_lists.py"],
    "llara_core/experiments": ["tests/experiments"],
    "llara_core/recommenders/pools.py": ["tests/recommenders/test_pools.py"],
    "llara_core/sequences": ["tests/sequences/test_candidates.py"],
    "llara_core/tables/asked_lists.py": ["tests/tables/test_asked_lists.py"],
    "stages/candidates.py": ["tests/stages/test_candidates.py"],
    "llara_core/evaluation": [  # statistics, metrics and blending: the fast ones
        "tests/evaluation/test_intervals.py",
        "tests/evaluation/test_judging.py",
        "tests/evaluation/test_choosing.py",
        "tests/evaluation/test_blending.py",
        "tests/evaluation/test_whole.py",
    ],
    "llara_core/recommending/batch.py": [
        "tests/recommending/test_batch.py::test_many_are_answered_as_one_by_one",
        "tests/recommending/test_batch.py::test_a_killed_run_goes_on_to_the_same_bytes",
    ],
    "llara_core/recommending/title_keys.py": ["tests/recommending/test_titles.py"],
    "llara_core/recommending/titles.py": ["tests/recommending/test_titles.py"],
    "llara_core/recommending/reading.py": ["tests/recommending/test_reading.py"],
    "llara_core/recommending/calibration.py": ["tests/recommending/test_calibration.py"],
    "llara_core/recommending": ["tests/recommending/test_service.py", "tests/recommending/test_whole.py"],
    "llara_core/evaluation/recorded.py": [
        "tests/evaluation/test_recorded.py",
        "tests/recommending/test_calibration.py",
    ],
    "llara_core/exporting/pieces.py": ["tests/exporting/test_pieces.py"],
    "llara_core/exporting": ["tests/exporting/test_folder.py", "tests/exporting/test_same_scores.py"],
    "llara_core/datasets/licences.py": ["tests/datasets/test_licences.py"],
    "llara_core/tables/histories.py": ["tests/recommending/test_reading.py"],
    "llara/serving": ["tests/llara/serving/test_api.py", "tests/llara/serving/test_model_thread.py"],
    "llara_core/tables": ["tests/tables"],
    "llara_core/runtime": ["tests/runtime"],
    "llara_core/runtime/program.py": ["tests/stages/test_command.py"],
    "stages/checkouts.py": ["tests/stages/test_checkouts.py", "tests/stages/test_grid.py"],
    "stages/experiments.py": ["tests/stages/test_grid.py"],
    "stages/grid.py": ["tests/stages/test_grid.py"],
}
PROCESSES = 2
TIMEOUT = 600  # seconds for the tests of one mutant
_FIRST_FAILURE, _OUTPUT = "first-failure.txt", "output.txt"


def main(words: list[str]) -> int:
    """Test the tree as it is, then every mutant; return the exit status."""
    chosen = [m for m in MUTANTS if not words or any(word in m.file or word in m.name for word in words)]
    if lost := [f"{m.file}: {m.name}: {m.old!r} must stand there once" for m in chosen if occurrences(m) != 1]:
        print("\n".join(lost))
        return 2
    os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", PYTHONDONTWRITEBYTECODE="1")
    _import_libraries()
    verdicts: dict[Mutant | None, str] = {}
    for part in ([None], list(chosen)):  # first the tree as it is: it must pass
        _judge_all(part, verdicts)
        if not verdicts[None].startswith("SURVIVED"):
            print("the tests must pass without a mutant")
            return 2
    survivors = [mutant for mutant in chosen if not verdicts[mutant].startswith("killed")]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} killed")
    for mutant in survivors:
        print(f"{verdicts[mutant]}  {mutant.file}: {mutant.name}")
    return 1 if survivors else 0


def occurrences(mutant: Mutant) -> int:
    """How often the mutant's text stands in its file."""
    return (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old)


def _import_libraries() -> None:
    """Import once, for all processes to come, what takes each of them longer than most tests; none of our own code."""
    import accelerate  # noqa: F401
    import hypothesis  # noqa: F401
    import peft  # noqa: F401
    import pydantic  # noqa: F401
    import pytest  # noqa: F401
    import scipy.stats  # noqa: F401
    import transformers.models.llama.modeling_llama
    import transformers.trainer  # noqa: F401


@dataclass
class _Running:
    mutant: Mutant | None
    folder: TemporaryDirectory[str]
    started: float

    def verdict(self, status: int) -> str:
        """Word the outcome; pytest's status is 0 when all passed and 1 when a test failed."""
        if os.WIFSIGNALED(status):
            return f"killed by no end within {TIMEOUT} s"
        failure = Path(self.folder.name, _FIRST_FAILURE)
        match os.WEXITSTATUS(status):
            case 0:
                return "SURVIVED"
            case 1 if failure.is_file():
                return f"killed by {failure.read_text()}"
        return "BROKEN: " + " ".join(Path(self.folder.name, _OUTPUT).read_text().splitlines()[-2:])


def _judge_all(mutants: list[Mutant | None], verdicts: dict[Mutant | None, str]) -> None:
    """Test so many mutants at a time, each in a process of its own, and tell each verdict."""
    waiting, running = list(mutants), dict[int, _Running]()
    while waiting or running:
        while waiting and len(running) < PROCESSES:
            run = _Running(waiting.pop(0), TemporaryDirectory(prefix="llara-mutant-"), time.monotonic())
            running[_fork(run)] = run
        for pid, run in list(running.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            seconds = time.monotonic() - run.started
            if not done and seconds > TIMEOUT:
                os.killpg(pid, signal.SIGKILL)  # with the processes that the tests have started
            elif done:
                verdicts[run.mutant] = run.verdict(status)
                name = f"{run.mutant.file}: {run.mutant.name}" if run.mutant else "no mutant"
                print(f"{seconds:4.0f} s  {name}  {verdicts[run.mutant]}", flush=True)
                run.folder.cleanup()
                del running[pid]
        time.sleep(0.1)


def _fork(run: _Running) -> int:
    folder = Path(run.folder.name)
    _copy_tree(folder)
    if run.mutant is None:
        rooms = ("prompting", "objectives", "finetuning", "hybrid", "evaluation", "outside_judge", "plotting")
        tests = [f"tests/{room}" for room in rooms]
        tests += ["tests/sequences/test_candidates.py", "tests/recommenders/test_pools.py"]
        tests += ["tests/tables/test_asked_lists.py", "tests/stages/test_candidates.py"]
    else:
        path = folder / run.mutant.file
        path.write_text(path.read_text(encoding="utf-8").replace(run.mutant.old, run.mutant.new), encoding="utf-8")
        tests = TESTS.get(run.mutant.file) or TESTS[str(Path(run.mutant.file).parent)]
    pid = os.fork()
    if pid == 0:
        os.setsid()
        try:
            status = _run_tests(folder, tests)
        except BaseException:  # noqa: BLE001
            status = 70
        os._exit(status)
    return pid


def _run_tests(folder: Path, tests: list[str]) -> int:
    """Run pytest inside the copy, whose code wins over the installed one and over this module's."""
    import pytest

    output = os.open(folder / _OUTPUT, os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(folder)
    sys.path[0] = str(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    options = ["-x", "--tb=no", "--basetemp", str(folder / "tmp")]
    return int(pytest.main([*options, *tests], plugins=[_FirstFailure(folder / _FIRST_FAILURE)]))


class _FirstFailure:
    """A pytest plugin that writes down which test failed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self._path.write_text(report.nodeid)


def _copy_tree(folder: Path) -> None:
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
