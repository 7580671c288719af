"""`python -m kedja` is the command `kedja`."""

from __future__ import annotations

from kedja.cli.main import main

if __name__ == "__main__":
    main()
