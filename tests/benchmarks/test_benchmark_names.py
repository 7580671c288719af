"""The comparison of models that invent names: what it counts, and that it runs."""

from __future__ import annotations

from benchmarks import names


def test_only_new_and_different_names_count(monkeypatch):
    monkeypatch.setattr(names, "WANTED", 3)
    given = iter(["ada", "zoa", " ", "zoa", "bea", "mia", "tea"])
    assert names.new_names(given, {"ada", "bea"}) == (["zoa", "mia", "tea"], 2, 7)


def test_it_runs(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(names, "WANTED", 20)
    monkeypatch.setenv("KEDJA_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "list.txt"
    file.write_text("".join(f"{a}n{b}{c}a\n" for a in "abcdef" for b in "aei" for c in "lmr"))
    names.main([str(file), "--models", "rnn", "--steps", "30", "--show", "5"])
    first, row, shown = capsys.readouterr().out.splitlines()
    assert first == "54 names in list.txt"
    assert row.startswith("rnn") and "20 new names" in row and "bits per character" in row
    assert shown.count(",") == 4
