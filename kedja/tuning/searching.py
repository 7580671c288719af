"""The search: optuna proposes options, a trial trains with them, poor ones are ended early.

Proposals come from the tree-structured Parzen estimator (J. Bergstra et al.: Algorithms for
hyper-parameter optimization, 2011). A trial ends early where it is worse than half of the others at
the same epoch. All is kept in a journal file, trial by trial, so that a search goes on where it was
interrupted; the trial under way then begins anew. Proposals depend on the seed, the number of the
trial and the trials before. Needs optuna. Not here: over what (`space.py`), what a trial is
(`kedja/cli/tune.py`). Next: `kedja/cli/tune.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kedja.ground.errors import MissingExtra, UsageError
from kedja.tuning.space import Choice, Space

JOURNAL = "search.log"
STARTUP, WARMUP = 5, 3  # trials, and epochs, before any is ended early

Report = Callable[[int, float], bool]
Run = Callable[[dict[str, Any], Report], float]


class Trial(NamedTuple):
    """One trial: its number, options, value (lower is better), and whether it was ended early."""

    number: int
    options: dict[str, Any]
    value: float
    pruned: bool


class Found(NamedTuple):
    """The best trial, and all."""

    best: Trial
    trials: tuple[Trial, ...]


def search(
    run: Run,
    space: Space,
    folder: Path,
    *,
    trials: int = 20,
    minutes: float | None = None,
    seed: int = 0,
    told: Callable[[Trial], object] = lambda trial: None,
) -> Found:
    """Search until there are `trials` finished ones, or so many minutes have passed.

    `run(options, report)` trains and gives a value, the lower the better; `report(epoch, value)`
    says on the way whether to stop. The folder's journal is gone on with where there is one.
    Raises MissingExtra without optuna, UsageError where no trial was finished.
    """
    optuna = _library()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = _study(optuna, folder)
    start = time.monotonic()
    while len(_finished(study)) < trials:
        if minutes is not None and time.monotonic() - start > 60 * minutes and _finished(study):
            break
        number = len(_finished(study))
        study.sampler = optuna.samplers.TPESampler(seed=seed + number, n_startup_trials=STARTUP)
        told(_one(optuna, study, run, space))
    found = tuple(map(_trial, _finished(study)))
    whole = [each for each in found if not each.pruned]
    if not whole:
        raise UsageError("no trial was finished", fix="give more --trials or --minutes")
    return Found(min(whole, key=lambda each: (each.value, each.number)), found)


def _library() -> Any:
    try:
        import optuna
    except ModuleNotFoundError:
        raise MissingExtra("optuna", "tune", "the search over options") from None
    return optuna


def _study(optuna: Any, folder: Path) -> Any:
    """The study of the folder's journal, which is begun where there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    from optuna.storages import journal

    backend = journal.JournalFileBackend(str(folder / JOURNAL))
    return optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name="kedja",
        direction="minimize",
        pruner=optuna.pruners.MedianPruner(STARTUP, WARMUP),
        load_if_exists=True,
    )


def _one(optuna: Any, study: Any, run: Run, space: Space) -> Trial:
    """Ask, run, tell. A trial that is interrupted stays untold, and is not counted."""
    asked = study.ask()
    options = {name: _suggested(asked, name, each) for name, each in space.items()}

    def report(epoch: int, value: float) -> bool:
        asked.report(value, epoch)
        return bool(asked.should_prune())

    stopped: list[bool] = []

    def watched(epoch: int, value: float) -> bool:
        stop = report(epoch, value)
        stopped.extend([True] if stop else [])
        return stop

    value = run(options, watched)
    states = optuna.trial.TrialState
    if stopped:
        study.tell(asked, state=states.PRUNED)
    else:
        study.tell(asked, value)
    return _trial(_finished(study)[-1])


def _suggested(asked: Any, name: str, each: Any) -> Any:
    if isinstance(each, Choice):
        return asked.suggest_categorical(name, list(each.values))
    if each.whole:
        return asked.suggest_int(name, int(each.low), int(each.high), step=each.step)
    return float(f"{asked.suggest_float(name, each.low, each.high, log=each.log):.4g}")


def _finished(study: Any) -> list[Any]:
    """The trials that came to an end, in their order."""
    return [each for each in study.get_trials(deepcopy=False) if each.state.is_finished()]


def _trial(each: Any) -> Trial:
    pruned = each.state.name == "PRUNED"
    value = float("nan") if each.value is None else float(each.value)
    return Trial(each.number, _rounded(each.params), value, pruned)


def _rounded(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as they were used: numbers to four digits."""
    return {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in options.items()}
