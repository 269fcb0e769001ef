"""Draws how quickly the objectives learn, for docs/llara.md: python -m benchmarks.validation_curves.

The numbers in docs/figures/llara_validation.csv were written down from runs that docs/llara.md describes.
"""

import csv
import json
from pathlib import Path

from llara_core.plotting.vega import picture

_FIGURES = Path("docs/figures")
_TEMPLATE = Path(".dvc/plots/curve.json")
_WORDS = {
    "<DVC_METRIC_TITLE>": "HitRatio@1 on validation by examples of tuning",
    "<DVC_METRIC_X>": "examples",
    "<DVC_METRIC_X_LABEL>": "examples: chunks or prompts, some 210 tokens each",
    "<DVC_METRIC_Y>": "hit_ratio_at_1",
    "<DVC_METRIC_Y_LABEL>": "HitRatio@1 of 20 candidates",
}


def main() -> None:
    """Write docs/figures/llara_validation.png."""
    with (_FIGURES / "llara_validation.csv").open(newline="") as file:
        rows = [{**row, "rev": row["objective"], "examples": int(row["examples"])} for row in csv.DictReader(file)]
    text = _TEMPLATE.read_text(encoding="utf-8")
    for marker, words in _WORDS.items():
        text = text.replace(marker, words)
    specification = json.loads(text)
    specification["data"]["values"] = rows
    specification["title"]["subtitle"] = ["one seed each; stream's dots rest on 1,500 positions, the others' on 256"]
    last = {row["objective"]: row for row in rows}
    for row in rows:
        row["name"] = row["objective"] if row is last[row["objective"]] else ""
    specification["layer"] = [  # names at the lines' ends, where a legend would have to be looked up
        {"mark": specification.pop("mark")},
        {
            "mark": {"type": "text", "align": "left", "dx": -24, "dy": -10},
            "encoding": {"text": {"field": "name", "type": "nominal"}},
        },
    ]
    (_FIGURES / "llara_validation.png").write_bytes(picture(specification))


if __name__ == "__main__":
    main()
