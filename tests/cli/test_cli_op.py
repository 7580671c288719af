"""`kedja op` and `kedja doctor`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from kedja.cli import doctor
from kedja.cli.op import loop
from kedja.ir.op import TABLE
from tests.cli.terminal import Terminal
from tests.fixtures import needs_compiler
from tests.paths import ROOT


def test_every_op_is_listed_and_can_be_printed(terminal: Terminal) -> None:
    listed = terminal("op")
    assert listed.code == 0
    for name in TABLE:
        assert f"\n{name} " in listed.out
        found = terminal("op", name)
        assert found.code == 0 and found.out.startswith(f"{name}\n")


def test_the_list_is_a_sheet_of_formulas(
    terminal: Terminal, golden: Callable[[str, str], None]
) -> None:
    golden("cli_op", terminal("op").out)


def test_a_record_says_where_each_part_stands(terminal: Terminal) -> None:
    data = json.loads(terminal("op", "tanh", "--json").out)
    assert data["derivative"] == {"x": "1 - tanh(x) ** 2"}
    assert data["where"]["numpy"].startswith("numpy.tanh")
    for name in TABLE:
        where = json.loads(terminal("op", name, "--json").out)["where"]
        file, line = where["record"].split(":")
        text = (ROOT / file).read_text(encoding="utf-8").splitlines()
        assert f'"{name}"' in "".join(text[int(line) - 1 : int(line) + 1]), (name, where["record"])


def test_an_op_without_derivative_says_why(terminal: Terminal) -> None:
    assert "none: its values are true or false" in terminal("op", "equal").out
    assert "zero almost everywhere" in terminal("op", "floor").out


@needs_compiler
def test_the_machine_code_is_printed(terminal: Terminal) -> None:
    short, whole = (terminal("op", "tanh", *more, tier="auto").out for more in ((), ("--code",)))
    assert "code of its longest inner loop" in short
    assert len(whole.splitlines()) > len(short.splitlines()) > 25
    refused = terminal("op", "input", "--code")
    assert (refused.code, refused.out) == (2, "")


def test_the_longest_inner_loop_is_found() -> None:
    text = "a:\n.L1:\n x\n.L2:\n y\n z\n jne .L2\n.L3:\n u\n jl\t.L3\n w\n jmp .L1\n ret\n"
    assert loop(text) == ".L2:\n y\n z\n jne .L2"
    assert loop(".L4:\n fmul\n cbnz x8, .L4\n") == ".L4:\n fmul\n cbnz x8, .L4"
    assert loop("ret") == ""


def test_an_unknown_op_is_a_usage_error(terminal: Terminal) -> None:
    found = terminal("op", "tahn")
    assert (found.code, found.out) == (2, "")
    assert "did you mean" in found.err


# ------------------------------------------------------------------------------------ doctor


def test_the_doctor_finds_what_is_here(terminal: Terminal) -> None:
    found = terminal("doctor", "--json")
    assert found.code == 0, found.err
    data = json.loads(found.out)
    assert data["packages"]["numpy"]
    assert data["processor"]["vector_bits"] in (128, 256, 512)
    assert data["threads"]["used"] >= 1
    assert data["flags"]["tier"] == "interpret"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(data["extras"]) == set(project["optional-dependencies"]) - {"dev"}
    text = terminal("doctor").out
    for word in ("processor", "threads", "cache", "[plots]"):
        assert word in text


def test_a_missing_extra_is_named_with_its_pip_line(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(doctor.EXTRAS, "plots", ("matplotlib", "no_such_module", "drawings"))
    found = terminal("doctor")
    assert found.code == 0
    assert "matplotlib is not installed (drawings): pip install 'kedja[plots]'" in found.out


def test_a_missing_package_is_a_failure(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "CORE", ("numpy", "no-such-package"))
    found = terminal("doctor")
    assert found.code == 1
    assert "pip install no-such-package" in found.err


def test_the_size_of_the_cache_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "compiled").mkdir()
    (tmp_path / "compiled" / "a").write_bytes(b"12345")
    monkeypatch.setattr("kedja.compiler.runtime_cache.cache_folder", lambda: tmp_path)
    found = doctor.diagnosis()["cache"]
    assert (found["files"], found["bytes"], found["writable"]) == (1, 5, True)


def test_a_broken_compiler_is_reported_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> dict[str, object]:
        raise ImportError("llvmlite cannot be loaded")

    monkeypatch.setattr(doctor, "_target", fail)
    monkeypatch.setattr(doctor, "_threads", fail)
    found = doctor.diagnosis()
    assert found["processor"]["problem"] == "llvmlite cannot be loaded"
    assert found["threads"] == {"problem": "llvmlite cannot be loaded"}


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (3 << 30, "3.0 GiB")],
)
def test_sizes_are_readable(count: int, text: str) -> None:
    assert doctor._readable(count) == text
