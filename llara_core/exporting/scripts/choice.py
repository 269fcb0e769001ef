"""Which comes next by an exported model: python ask.py FOLDER TITLE… -- CANDIDATE…, the latest title last."""

import json
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModel

folder, *words = sys.argv[1:]
llm, about = AutoModel.from_pretrained(folder).eval(), json.load(open(f"{folder}/llara.json", encoding="utf-8"))
items, head = load_file(f"{folder}/items.safetensors"), load_file(f"{folder}/head.safetensors")
end = words.index("--")
lists = {"history": words[:end][-about["history_length"] :], "candidates": words[end + 1 :]}
if about["n_candidates"] not in (None, len(lists["candidates"])):
    sys.exit(f"candidates must be {about['n_candidates']}, as the prompt says, got {len(lists['candidates'])}")
read = [(name, i, about["titles"].index(title)) for name in about["order"] for i, title in enumerate(lists[name])]
pieces = [about[name][i > 0][item] for name, i, item in read]
ids = torch.tensor([*sum(pieces, []), *about["end"]])
owner = torch.tensor([item for (_, _, item), piece in zip(read, pieces) for _ in piece] + [0] * len(about["end"]))
ends = torch.tensor([len(piece) for piece in pieces]).cumsum(0) - 1
with torch.no_grad():
    x = llm.get_input_embeddings()(torch.where(ids < 0, ~ids, ids))
    x[ids < 0] = about["keep"] * x[ids < 0] + items["behavioural_tokens"][owner[ids < 0]]
    states = llm(inputs_embeds=x[None]).last_hidden_state[0]
    at = states[ends[torch.tensor([name == "candidates" for name, _, _ in read])]]
    user = head["user.weight"] @ states[-1] + head["user.bias"]
    scores = (at @ head["item.weight"].T + head["item.bias"]) @ user
for place in scores.argsort(descending=True, stable=True).tolist():
    print(f"{scores[place]:.6f}\t{lists['candidates'][place]}")
