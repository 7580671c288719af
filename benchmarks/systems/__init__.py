"""The systems of the lectures, each trained and tested as `docs/results.md` reports it.

    python -m benchmarks.systems --data FOLDER                 all of them
    python -m benchmarks.systems digits poles --data FOLDER    these

A system is a file of this folder with two names: `TITLE`, what it is in a few words, and
`run(chosen) -> Iterator[Result]`, which trains, tests and yields one row for each fact. Seeds are
fixed. Rows of a run replace those of the same system in the JSON beside the page, so that one
system can be run again without the others.

Not here: training and models (`kedja/`). Next: `results.py`, then any system.
"""
