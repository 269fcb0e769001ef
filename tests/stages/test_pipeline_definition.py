"""dvc.yaml against the code: each stage depends on what it imports and declares the params that it reads."""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from llara_core.evaluation.plots import PLOTS
from tests.conftest import ROOT

PIPELINE = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())
STAGES = PIPELINE["stages"]
CURVES = ("pretrain", "finetune")
ENCODERS = [ROOT / "llara_core/params/encoders", ROOT / "llara_core/recommenders/encoders"]
SLOW = {"torch", "transformers", "peft", "scipy", "dvc_render", "vl_convert", "PIL"}
OBJECTIVES = ROOT / "llara_core/objectives"
SELECTORS = {"dataset": "datasets", "recommender": "recommenders", "llm": "llms", "train.objective": "objectives"}


def _file_of(module: str) -> Path | None:
    path = ROOT / Path(*module.split("."))
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


@cache
def _imports(path: Path) -> frozenset[Path]:
    found: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            file = _file_of(name)
            if file and file.name != "__init__.py":
                found.add(file)
    for encoders in ENCODERS:
        if path == encoders / "registry.py":  # imports whichever encoder is named
            found |= set(encoders.glob("*.py")) - {encoders / "__init__.py"}
    for user, part in (("registry.py", "objective.py"), ("asking.py", "respondent.py")):
        if path == OBJECTIVES / user:  # imports whichever objective is named
            found |= set(OBJECTIVES.glob(f"*/{part}"))
    return frozenset(found)


def _closure(path: Path) -> set[Path]:
    reached, waiting = set(), [path]
    while waiting:
        if (current := waiting.pop()) not in reached:
            reached.add(current)
            waiting += _imports(current)
    return reached


def _code_deps(stage: str) -> list[Path]:
    return [
        ROOT / dep for dep in STAGES[stage]["deps"] if not dep.startswith(("data/", "checksums.json", ".dvc/plots/"))
    ]


def test_there_are_the_seven_stages_in_order_and_what_plots_need() -> None:
    stages = ["fetch", "preprocess", "pretrain", "candidates", "export_embeddings", "finetune", "evaluate"]
    assert list(STAGES) == [*stages, "prepare_plots"]


def test_no_training_can_see_the_lists_that_evaluation_asks() -> None:
    """The recommender may have chosen them: whoever learnt from them would learn what it likes."""
    reached, waiting = set(), ["data/candidates"]
    while waiting:
        dep = waiting.pop()
        users = {name for name, stage in STAGES.items() if dep in stage["deps"]} - reached
        reached |= users
        outs = [next(iter(out)) if isinstance(out, dict) else out for name in users for out in STAGES[name]["outs"]]
        waiting += outs
    assert reached == {"evaluate"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_all_the_code_it_imports_and_on_no_other(stage: str) -> None:
    reached = _closure(ROOT / "stages" / f"{stage}.py")
    deps = _code_deps(stage)
    assert all(dep.exists() for dep in deps)
    uncovered = {path for path in reached if not any(path == dep or dep in path.parents for dep in deps)}
    assert not uncovered
    idle = {dep for dep in deps if not any(path == dep or dep in path.parents for path in reached)}
    assert not idle


def test_finetuning_depends_on_prompt_templates_and_no_earlier_stage_does() -> None:
    """They are data that no import shows; an adapter keeps the texts that it was trained with."""
    files = set((ROOT / "llara_core").rglob("*.yaml")) - {ROOT / "llara_core/reporting/anchors.yaml"}  # no stage's
    assert files == set((ROOT / "llara_core/prompting/templates").glob("*.yaml"))
    depending = [name for name in STAGES if all(any(dep in file.parents for dep in _code_deps(name)) for file in files)]
    assert depending == ["finetune", "evaluate"]
    before = list(STAGES)[:4]
    assert not any(dep in file.parents for name in before for dep in _code_deps(name) for file in files)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["package-data"] == {
        "llara.serving": ["page/*"],
        "llara_core.exporting": ["scripts/*.py"],
        "llara_core.planning": ["*.json"],
        "llara_core.prompting": ["templates/*.yaml"],
        "llara_core.reporting": ["*.yaml", "templates/*"],
    }


def test_packages_hold_no_code_in_init_files() -> None:
    """The closure above leaves them out, so they may hold a docstring and nothing else."""
    for path in [
        *ROOT.glob("llara_core/**/__init__.py"),
        *ROOT.glob("stages/__init__.py"),
        *ROOT.glob("llara/**/__init__.py"),
    ]:
        assert all(isinstance(node, ast.Expr) for node in ast.parse(path.read_text()).body), path


def _names_params(function: ast.FunctionDef) -> bool:
    """Whether `params` stands for the whole of params.yaml in a function, and not for a section."""
    annotations = {arg.arg: ast.unparse(arg.annotation) for arg in function.args.args if arg.annotation}
    annotated = annotations.get("params") == "Params" or annotations.get("sources") == "Sources"
    return annotated or any(getattr(node, "id", "") == "load_params" for node in ast.walk(function))


@cache
def _read_params(path: Path) -> frozenset[str]:
    """Dotted paths of what a file's functions take from `params`, `selected_x` written as `xs.*`."""
    longest: set[str] = set()
    tree = ast.parse(path.read_text())
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and _names_params(node)]
    for node in {node for function in functions for node in ast.walk(function)}:
        is_root = isinstance(node, ast.Name) and node.id == "params"
        is_call = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "load_params"
        if not (is_root or is_call):
            continue
        chain, current = [], parents[node]
        while isinstance(current, ast.Attribute):
            chain.append(current.attr)
            current = parents[current]
        if chain and chain[0].startswith("selected_"):
            plurals = {selector.rsplit(".", 1)[-1]: plural for selector, plural in SELECTORS.items()}
            chain = [plurals[chain[0].removeprefix("selected_")], "*", *chain[1:]]
        elif chain and chain[0] == "objectives":  # each objective reads its own entry
            chain = ["objectives", "*", *chain[2:]]
        if chain:
            longest.add(".".join(chain))
    return frozenset(longest)


def _declared_params(stage: str) -> set[str]:
    declared = set(STAGES[stage].get("params", []))
    for selector, plural in SELECTORS.items():
        declared = {name.replace(f"{plural}.${{{selector}.name}}", f"{plural}.*") for name in declared}
    return declared


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_the_params_it_reads_and_no_other(stage: str) -> None:
    files = _closure(ROOT / "stages" / f"{stage}.py") - set((ROOT / "llara_core/params").rglob("*.py"))
    read = {path for file in files for path in _read_params(file)}
    declared = _declared_params(stage)
    for selector, plural in SELECTORS.items():
        if any(path.startswith(f"{plural}.*") for path in read):
            read.add(selector)
    uncovered = {path for path in read if not any(path == name or path.startswith(name + ".") for name in declared)}
    assert not uncovered
    idle = {name for name in declared if not any(path == name or path.startswith(name + ".") for path in read)}
    assert not idle


def test_metrics_are_not_cached_and_movielens_is_never_pushed() -> None:
    for name, stage in STAGES.items():
        if name == "prepare_plots":
            assert "metrics" not in stage
            continue
        files = [name, f"{name}_timing"] if name in ("pretrain", "finetune", "evaluate") else [name]
        assert stage["metrics"] == [{f"metrics/{file}.json": {"cache": False}} for file in files]
    kept = {"fetch": "raw", "preprocess": "processed", "candidates": "candidates", "evaluate": "predictions"}
    for name, out in kept.items():
        assert {f"data/{out}": {"push": False}} in STAGES[name]["outs"]
    assert [out for name in kept for out in STAGES[name]["outs"] if isinstance(out, str)] == [
        "data/evaluation"  # which holds neither titles nor anybody's interactions
    ]


def test_the_launcher_stays_literal() -> None:
    for stage in ("pretrain", "finetune"):
        assert STAGES[stage]["cmd"] == rf"\${{LLARA_LAUNCH:-python}} -m stages.{stage}"


@pytest.mark.parametrize("stage", STAGES)
def test_help_and_params_errors_do_not_wait_for_torch(stage: str) -> None:
    """Torch, transformers and peft take seconds to load: that comes once params.yaml is known to be good."""
    program = f"import sys, stages.{stage}; print({SLOW} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_no_comment_stands_behind_a_list() -> None:
    """DVC's `-S name=[]` writes an invalid file then."""
    lines = (ROOT / "params.yaml").read_text().splitlines()
    assert not [line for line in lines if re.match(r" *\w+: \[.*\] +#", line)]


def _templates(stage: str) -> set[str]:
    return {Path(dep).name for dep in STAGES[stage]["deps"] if dep.startswith(".dvc/plots/")}


def test_stages_depend_on_the_templates_that_they_fill() -> None:
    assert _templates("evaluate") == {f"{plot.template}.json" for plot in PLOTS.values()}
    assert _templates("prepare_plots") == {"page.html"}


def test_dvc_plots_what_evaluate_draws() -> None:
    """Both by the same template, with the same axes."""
    plots = {name: plot for entry in PIPELINE["plots"] for name, plot in entry.items()}
    for file, plot in PLOTS.items():
        path = f"data/evaluation/{file}.csv"
        assert plots.pop(plot.title) == {
            "template": plot.template,
            "x": {path: plot.x},
            "x_label": plot.x_label,
            "y": {path: plot.y},
            "y_label": plot.y_label,
        }
    assert {plot["template"] for plot in plots.values()} == {"curve"}
    assert {path for plot in plots.values() for path in plot["y"]} == {f"data/curves/{name}.csv" for name in CURVES}


def test_names_of_plots_can_stand_in_dvc_s_page() -> None:
    """DVC puts them into a script as a selector between quotes, and replaces some characters, but not quotes."""
    for entry in PIPELINE["plots"]:
        assert re.fullmatch(r"[A-Za-z][\w @()]*", next(iter(entry)))
