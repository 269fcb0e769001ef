"""Which comes next by an exported model: python ask.py FOLDER TITLE… -- CANDIDATE…, the latest title last."""

import json
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

folder, *words = sys.argv[1:]
llm = AutoModelForCausalLM.from_pretrained(folder).eval()
items, about = load_file(f"{folder}/items.safetensors"), json.load(open(f"{folder}/llara.json", encoding="utf-8"))
end = words.index("--")
lists = {"history": words[:end][-about["history_length"] :], "candidates": words[end + 1 :]}
if about["n_candidates"] not in (None, len(lists["candidates"])):
    sys.exit(f"candidates must be {about['n_candidates']}, as the prompt says, got {len(lists['candidates'])}")
read = [(name, i, about["titles"].index(title)) for name in about["order"] for i, title in enumerate(lists[name])]
pieces = [about[name][i > 0][item] for name, i, item in read]
ids = torch.tensor([*sum(pieces, []), *about["end"]])
owner = torch.tensor([item for (_, _, item), piece in zip(read, pieces) for _ in piece] + [0] * len(about["end"]))
scores = []
with torch.no_grad():
    x = llm.get_input_embeddings()(torch.where(ids < 0, ~ids, ids))
    x[ids < 0] = about["keep"] * x[ids < 0] + items["behavioural_tokens"][owner[ids < 0]]
    for title in lists["candidates"]:
        answer = torch.tensor(about["answers"][about["titles"].index(title)])
        whole = torch.cat([x, llm.get_input_embeddings()(answer[:-1])])
        logits = llm(inputs_embeds=whole[None]).logits[0, len(x) - 1 :].float()
        likelihood = logits.log_softmax(dim=-1)[torch.arange(len(answer)), answer].double().sum()
        scores.append(likelihood / (len(answer) if about["length_normalized"] else 1))
for place in torch.stack(scores).argsort(descending=True, stable=True).tolist():
    print(f"{scores[place]:.6f}\t{lists['candidates'][place]}")
