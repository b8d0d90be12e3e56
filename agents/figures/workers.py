"""Run units, here or in worker processes. Results arrive in any order; units carry their own seeds."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from agents.figures.base import Unit

__all__ = ["run_units"]

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Done = tuple[Unit, dict[str, np.ndarray], float]


def run_unit(unit: Unit) -> Done:
    """The unit, its arrays, and the CPU seconds it took."""
    module, _, name = unit.function.partition(":")
    begin = time.process_time()
    arrays = getattr(importlib.import_module(module), name)(**unit.arguments)
    return unit, arrays, time.process_time() - begin


def run_units(units: Sequence[Unit], jobs: int = 1) -> Iterator[Done]:
    """Yield finished units; `jobs` > 1: in that many processes of one thread each, ended when this one ends."""
    if jobs == 1 or len(units) < 2:
        yield from map(run_unit, units)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed

    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    executor = ProcessPoolExecutor(min(jobs, len(units)), multiprocessing.get_context("spawn"), _begin_worker)
    try:
        for future in as_completed([executor.submit(run_unit, unit) for unit in units]):
            yield future.result()
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        executor.shutdown()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent, and end when the parent ends, however it ends."""
    import multiprocessing
    import signal
    import threading
    from multiprocessing.connection import wait

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent: Any = multiprocessing.parent_process()

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
