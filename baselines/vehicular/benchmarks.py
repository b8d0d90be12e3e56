"""The survey's benchmarks: the same policy in a system without one kind of assistance, on the same scenes (model page, 7A)."""

from __future__ import annotations

from typing import Any

BENCHMARKS: dict[str, tuple[str, ...]] = {
    "s&c": (),
    "w/o c": ("c_assist",),
    "w/o s": ("s_assist",),
    "w/o s&c": ("c_assist", "s_assist"),
}


def benchmark(system: Any, name: str) -> Any:
    """The system of a benchmark: `w/o c`: no helper echoes; `w/o s`: data beams pointed by reports alone.

    Raises:
        ValueError: unknown name.
    """
    if name not in BENCHMARKS:
        raise ValueError(f"name must be one of {list(BENCHMARKS)}, got {name!r}")
    return system.without(*BENCHMARKS[name])
