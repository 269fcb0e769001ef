"""The files that make a base language model what it is, where params.yaml doesn't pin their content."""

from pathlib import Path

from llara_core.params.sections import FolderLlm, Llm


def unpinned_files(llm: Llm) -> list[Path]:
    """All files of a local folder; a package's file has its digest and a hub's model its commit in params.yaml.

    transformers reads no subfolders. A folder that isn't there has none: loading will say so.
    """
    if not isinstance(llm, FolderLlm):
        return []
    return sorted(path for path in llm.path.glob("*") if path.is_file())
