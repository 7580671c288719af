"""Networks that people come to read are a page each: so many lines of code at most."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pytest

from kedja import models

# GPT-2 decodes, too.
CODE_LINES = {"gpt2": 115, "recurrent": 80, "resnet": 80, "small_resnet": 60, "unet": 80}


@pytest.mark.parametrize("module", CODE_LINES)
def test_each_network_is_a_page(module):
    """At most so many lines of code: without blank lines, comments and docstrings."""
    path = Path(models.__file__).parent / f"{module}.py"
    assert code_lines(path.read_text(encoding="utf-8")) <= CODE_LINES[module]


def code_lines(text):
    lines = set()
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (*skipped, tokenize.ENDMARKER):
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(range(node.lineno, node.end_lineno + 1))
    return len(lines)


def test_lines_of_code_are_counted():
    assert (
        code_lines(
            '"""Text."""\n\nx = 1  # one\n\n\ndef f():\n    """Two\n    lines."""\n    return x\n'
        )
        == 3
    )
