"""One Typer command per DVC stage; the work is done in llara_core."""
