"""`python -m kedja` is the command `kedja`. Next: `kedja/cli/main.py`."""

from __future__ import annotations

from kedja.cli.main import main

if __name__ == "__main__":
    main()
