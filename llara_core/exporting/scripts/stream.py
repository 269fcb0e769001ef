"""What comes next by an exported model: python ask.py FOLDER TITLE…, the latest title last."""

import json
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModel

folder, *history = sys.argv[1:]
llm = AutoModel.from_pretrained(folder).requires_grad_(False)
items, head = (load_file(f"{folder}/{name}.safetensors") for name in ("items", "head"))
about = json.load(open(f"{folder}/llara.json", encoding="utf-8"))
had = [about["titles"].index(title) for title in history]
read = had[-about["history_length"] :]
pieces = [about["history"][place > 0][item] for place, item in enumerate(read)]
ids, owner = (torch.tensor(sum(parts, [])) for parts in (pieces, [[i] * len(p) for i, p in zip(read, pieces)]))
x = llm.get_input_embeddings()(torch.where(ids < 0, ~ids, ids))
x[ids < 0] = about["keep"] * x[ids < 0] + items["behavioural_tokens"][owner[ids < 0]]
scores = items["item_vectors"] @ (head["weight"] @ llm(inputs_embeds=x[None]).last_hidden_state[0, -1] + head["bias"])
for item in [item for item in scores.argsort(descending=True, stable=True).tolist() if item not in (0, *had)][:10]:
    print(f"{scores[item]:.6f}\t{about['titles'][item]}")
