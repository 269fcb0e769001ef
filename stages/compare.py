"""Command compare, which is `llara compare` too: whether one variant is better than another."""

from llara_core.experiments.comparing import compare
from stages.command import run

if __name__ == "__main__":
    run(compare)
