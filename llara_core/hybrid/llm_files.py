"""Which base language model it is: a digest of what is in it, whatever its name says."""

from llara_core.errors import ModelError
from llara_core.params.sections import FolderLlm, HubLlm, Llm, PackagedLlm
from llara_core.runtime.files import sha256_of_folder


def llm_digest(llm: Llm) -> str:
    """Return the SHA-256 of a package's file, the commit of a hub's model, or the SHA-256 of a folder's files.

    Hashing a folder costs a second for the 500 MB of a small language model and about ten for 13 GB. transformers reads
    no subfolders.

    Raises:
        ModelError: there is no such folder.
    """
    match llm:
        case PackagedLlm():
            return llm.sha256
        case HubLlm():
            return llm.revision
        case FolderLlm():
            if not llm.path.is_dir():
                raise ModelError(f"llms.*.path: {llm.path} must be a folder, and isn't there")
            return sha256_of_folder(llm.path)
