"""Warnings that are kept silent come back, whichever thread is the last."""

from __future__ import annotations

import threading
import warnings

import pytest

from kedja.ground.quiet import quiet


def test_threads_that_overlap_put_back_what_they_found():
    before = list(warnings.filters)
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))

    def first():
        with quiet():
            first_is_in.set()
            second_is_in.wait(5)
        first_is_out.set()

    def second():
        first_is_in.wait(5)
        with quiet():
            second_is_in.set()
            first_is_out.wait(5)
            warnings.warn("silent", UserWarning, stacklevel=1)

    threads = [threading.Thread(target=each) for each in (first, second)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert warnings.filters == before
    with pytest.raises(UserWarning, match="heard"):
        warnings.warn("heard", UserWarning, stacklevel=1)
