"""Progress bars for long work that reports `(what, done, total)`."""

from __future__ import annotations

from typing import Any, Self

__all__ = ["Bars"]


class Bars:
    """One bar after another, on stderr; a context manager that closes the last one."""

    def __init__(self, show: bool = True) -> None:
        self._show, self._what = show, ""
        self._bar: Any = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` scenes of `what` are finished."""
        if not self._show:
            return
        from tqdm import tqdm

        if what != self._what:
            self.close()
            self._bar, self._what = tqdm(total=total, initial=done, desc=f"{what:>18}", unit="scene", leave=False), what
        self._bar.n = done
        self._bar.refresh()

    def close(self) -> None:
        """End the current bar."""
        if self._bar is not None:
            self._bar.close()
        self._bar, self._what = None, ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
