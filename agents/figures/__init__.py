"""The figures of the papers, one module or small package per paper; `agents.reproduce` is the engine that runs them.

A paper's module is found from its register line (`agents.figures.<name>`) and holds `FIGURES`, a tuple of `Figure`.
"""

from agents.figures.base import Figure, Result, Unit

__all__ = ["Figure", "Result", "Unit"]
