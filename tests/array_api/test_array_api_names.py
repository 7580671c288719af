"""Every name of the standard's main namespace is offered, or is named as left out."""

from __future__ import annotations

import inspect

import pytest

import kedja as kj
from kedja.ground.errors import UsageError
from tests.array_api.oracle import strict

LATER = {"isin"}  # of versions after 2024.12
OWN = {"ArrayAPIStrictFlags", "Device", "ModuleType"}
OWN |= {name for name in dir(strict) if name.endswith("_flags")}
COMPLEX = {"complex64", "complex128", "conj", "imag", "real"}
NAMES = sorted(name for name in dir(strict) if not name.startswith("_") and name not in OWN | LATER)
FUNCTIONS = [
    name
    for name in NAMES
    if callable(getattr(strict, name))
    and not inspect.isclass(getattr(strict, name))
    and name not in COMPLEX
    and not isinstance(getattr(strict, name), type(strict.float32))
]


def test_the_oracle_has_the_standards_names():
    assert len(NAMES) == 152
    assert len(FUNCTIONS) == 131


@pytest.mark.parametrize("name", NAMES)
def test_the_name_is_offered_or_left_out(name):
    if name in COMPLEX:
        with pytest.raises(AttributeError, match="has no complex numbers"):
            getattr(kj, name)
    else:
        assert hasattr(kj, name)
        assert name in dir(kj)


def test_the_extensions():
    assert hasattr(kj, "linalg")
    with pytest.raises(AttributeError, match="Fourier"):
        kj.fft  # noqa: B018


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_signature_is_compatible(name):
    """Every call that the standard's signature allows is a call of ours."""
    given = inspect.signature(getattr(strict, name)).parameters
    own = inspect.signature(getattr(kj, name)).parameters
    positional = [p for p in own.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for place, each in enumerate(given.values()):
        if each.kind == each.VAR_POSITIONAL:
            assert any(p.kind == p.VAR_POSITIONAL for p in own.values())
            continue
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD):
            assert place < len(positional), f"{name} takes {each.name} by position"
        if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD):
            assert each.name in own, f"{name} takes {each.name}="
            assert own[each.name].kind != each.POSITIONAL_ONLY
        if each.default is not each.empty and each.name in own:
            default = own[each.name].default
            assert default is not each.empty
            plain = isinstance(each.default, (bool, int, float, str, type(None)))
            assert not plain or default == each.default, f"{name}({each.name}={default})"
    required = [p for p in own.values() if p.default is p.empty and p.kind != p.VAR_POSITIONAL]
    assert len(required) <= len(given), f"{name} wants more than the standard gives"


METHODS = [name for name in dir(strict.asarray([1])) if name not in dir(object)]
INTERNAL = {"__buffer__", "__annotations__", "__slots__", "__weakref__", "__module__", "__dict__"}


@pytest.mark.parametrize("name", [n for n in METHODS if n.startswith("__") or n[0] != "_"])
def test_the_array_object_has_the_method(name):
    assert name in INTERNAL or hasattr(kj.Tensor, name)


def test_a_tensor_says_which_namespace_it_is_of():
    t = kj.ones(2)
    assert t.__array_namespace__() is kj
    assert kj.__array_api_version__ == "2024.12"
    for version in ("2021.12", "2022.12", "2023.12", "2024.12"):
        assert t.__array_namespace__(api_version=version) is kj
    with pytest.raises(UsageError, match=r"2019\.12"):
        t.__array_namespace__(api_version="2019.12")


def test_array_api_compat_takes_tensors():
    compat = pytest.importorskip("array_api_compat")
    t = kj.ones(2)
    assert compat.is_array_api_obj(t)
    assert compat.array_namespace(t, kj.zeros(1)) is kj
    assert compat.device(t) == "cpu"
    assert compat.size(t) == 2


def test_the_constants():
    for name in ("e", "pi", "inf"):
        assert getattr(kj, name) == getattr(strict, name)
    assert kj.nan != kj.nan
    assert kj.newaxis is None


# ------------------------------------------------------------------------------ inspection


def test_the_inspection_functions():
    info = kj.__array_namespace_info__()
    assert info.capabilities() == {
        "boolean indexing": True,
        "data-dependent shapes": True,
        "max dimensions": None,
    }
    assert info.default_device() == "cpu"
    assert info.devices() == ["cpu"]
    defaults = info.default_dtypes(device="cpu")
    assert defaults["real floating"] == kj.ones(2).dtype == "float32"
    assert defaults["integral"] == kj.arange(2).dtype == "int64"
    assert defaults["indexing"] == kj.argmax(kj.ones(2)).dtype
    assert defaults["complex floating"] is None


KINDS = ("bool", "signed integer", "unsigned integer", "integral", "real floating")


@pytest.mark.parametrize("kind", [*KINDS, ("bool", "real floating"), ("integral", "bool")])
def test_the_dtypes_of_a_kind(kind):
    expected = strict.__array_namespace_info__().dtypes(kind=kind)
    found = kj.__array_namespace_info__().dtypes(kind=kind)
    assert set(found) == set(expected)
    assert all(found[name] == name for name in found)


def test_the_dtypes_without_the_complex_ones():
    info = kj.__array_namespace_info__()
    everything = set(strict.__array_namespace_info__().dtypes())
    assert set(info.dtypes()) == everything - {"complex64", "complex128"}
    assert info.dtypes(kind="complex floating") == {}
    with pytest.raises(UsageError, match="did you mean"):
        info.dtypes(kind="integrals")
