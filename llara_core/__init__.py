"""LLaRA: large language-recommendation assistant (Liao et al., SIGIR 2024, arXiv 2312.02445)."""
