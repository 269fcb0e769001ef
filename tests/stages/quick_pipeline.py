"""A repository whose pipeline takes a second: two quick stages without any learning, and suites of it."""

import shutil
from pathlib import Path

from tests.conftest import ROOT
from tests.stages.grids import Repository

WORK = '''
"""Stages without any learning: `train` fails with one schedule, `evaluate` hits as often as the schedule says."""
import os, sys, time
from pathlib import Path
from ruamel.yaml import YAML

stage, params = sys.argv[1], YAML(typ="safe").load(Path("params.yaml").read_text())
schedule = params["curriculum"]["schedule"]
with Path(os.environ["JOURNAL"]).open("a") as journal:
    print(stage, schedule, params["seed"], file=journal, flush=True)
Path("data").mkdir(exist_ok=True)
if stage == "prepare":
    Path("data/prepared.txt").write_text(str(params["seed"]))
elif stage == "train":
    if schedule == "reverse":
        sys.exit("error: no luck with this schedule")
    if os.environ.get("FAIL") == f"{schedule} {params['seed']}":
        sys.exit("no luck with this seed")
    if os.environ.get("HOLD") == f"{schedule} {params['seed']}":
        time.sleep(float(os.environ["SECONDS"]))
    Path("data/trained.txt").write_text(schedule)
else:
    import numpy as np
    from llara_core.tables.candidates import CandidateSets
    from llara_core.tables.predictions import SCORED, Answered, Asked, Predictions, write_predictions
    n, users = 40, np.arange(40) + int(params["split"]["validation"] > 0.4)
    ids = np.tile(np.array([[4, 5, 6]], dtype=np.int32), (n, 1))
    full = np.full
    sets = CandidateSets(np.arange(n), full(n, 0), users, full(n, "test", dtype=object), full(n, "last", dtype=object),
                         full(n, 3), ids[:, 0], ids)
    hits = np.arange(n) < {"linear": 10, "cosine": 30}.get(schedule, 20)
    scores = np.where(hits[:, None], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0]).astype(np.float32)
    best = ids[np.arange(n), scores.argmax(axis=1)]
    answers = Predictions([f"item {item}" for item in best], [SCORED] * n, best, scores)
    asked = Asked(sets, full(ids.shape, 30, dtype=np.int32))
    write_predictions(Path("data/predictions"), Answered(asked, {"llara": answers}), {})
'''
PIPELINE = """
stages:
  prepare:
    cmd: python work.py prepare
    deps: [work.py]
    params: [seed, split]
    outs: [data/prepared.txt]
  train:
    cmd: python work.py train
    deps: [work.py, data/prepared.txt]
    params: [curriculum, 'objectives.${train.objective.name}']
    outs: [data/trained.txt]
  evaluate:
    cmd: python work.py evaluate
    deps: [work.py, data/trained.txt]
    params: [seed, split]
    outs: [data/predictions]
"""
SUITES = """
courses:
  question: Does the order of prompts matter?
  minutes: 10
  examples: 64
  baseline: linear
  everywhere: []
  arms:
    linear: [curriculum.schedule=linear]
    cosine: [curriculum.schedule=cosine]
unlucky:
  question: Does one arm's failure spare the others?
  minutes: 10
  examples: 64
  baseline: linear
  everywhere: []
  arms:
    reverse: [curriculum.schedule=reverse]
    linear: [curriculum.schedule=linear]
    other-lists: [split.validation=0.5]
broken:
  question: What if an override names no param?
  minutes: 10
  examples: 64
  baseline: linear
  everywhere: []
  arms:
    linear: [curriculum.schedule=linear]
    typo: [curriculum.epochz=2]
"""


def make_repository(parent: Path) -> Repository:
    """Write and commit it in a folder below `parent`."""
    folder = parent / "repository"
    folder.mkdir()
    shutil.copyfile(ROOT / "params.yaml", folder / "params.yaml")
    shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache", "config.local"))
    files = {
        "work.py": WORK,
        "dvc.yaml": PIPELINE,
        "experiments.yaml": SUITES,
        ".gitignore": "/data\n/.llara/\n/report/\n",
        "notes.txt": "",
    }
    for name, content in (files | {".dvcignore": "/.llara/\n"}).items():
        (folder / name).write_text(content)
    made = Repository(folder, {"JOURNAL": str(parent / "journal.txt")})
    made.git("init", "-q")
    made.commit()
    return made
