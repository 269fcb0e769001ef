"""`python -m llara`, which is `llara` without its entry point on the PATH."""

from llara.program import main

if __name__ == "__main__":
    main()
