"""What a finetuning will need, before anything is downloaded, and what to change where that doesn't fit."""
