"""The reference pages are those that the docstrings give today, and name everything public."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from pathlib import Path

import pytest

import kedja as kj

PACKAGES = (
    "data",
    "estimators",
    "inspection",
    "io",
    "models",
    "nn",
    "optim",
    "rl",
    "train",
    "tuning",
    "views",
)
FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"


@pytest.fixture(scope="module")
def generate():
    pytest.importorskip("sklearn", reason="the page on estimators needs scikit-learn")
    spec = importlib.util.spec_from_file_location("generate", FOLDER / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_up_to_date(generate, request):
    pages = generate.pages()
    if request.config.getoption("--update-golden"):
        generate.main()
    old = [name for name, text in pages.items() if (FOLDER / name).read_text("utf-8") != text]
    assert not old, f"python docs/reference/generate.py writes {', '.join(old)} anew"


@pytest.fixture(scope="module")
def pages(generate) -> str:
    return "".join(generate.pages().values())


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_of_a_package_has_an_entry(pages, package):
    module = importlib.import_module(f"kedja.{package}")
    things = {name: getattr(module, name) for name in module.__all__}
    named = [n for n, each in things.items() if inspect.isroutine(each) or inspect.isclass(each)]
    assert named
    assert [name for name in named if f"### {name}\n" not in pages] == []


def test_every_public_name_has_an_entry(pages):
    functions = [name for name in kj._HOME if callable(getattr(kj, name)) and name[0] != "_"]
    assert len(functions) > 200
    missing = [name for name in functions if f"### {name}\n" not in pages]
    assert not missing, f"no entry for {missing}: name their module in docs/reference/generate.py"
