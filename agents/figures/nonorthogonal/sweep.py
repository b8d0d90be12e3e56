"""What the figures over one parameter share: lines of policies at points, for several presets, and the paper's printed numbers.

A configuration: `presets`; `label` of x; `points`, each an `x` with the parameters that it stands for; `lines` (`curves.line`);
`printed`, numbers of the paper's text, each with `line`, `x` (None: it names none), `quantity`, `value` and, where it is told
beside one of the other axis, `information`. Lines that do the same work at several points share their units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from agents.figures.base import Figure, Result, Unit
from agents.figures.nonorthogonal.curves import BOUND, CURVES, PRESETS, line, model_fields, unit_key
from agents.figures.points import Results, chunks
from agents.stats import Estimate, estimate

__all__ = ["UNITS", "Data", "Line", "Points", "at", "columns", "configuration", "geometric", "scale", "sweep", "units_of"]

WORK = "agents.figures.nonorthogonal.work"
UNITS = {"information": "bit/symbol", "angle": "rad^2", "symbol": "", "value": "lg"}
"""Quantities of a line and their units: mutual information, CRLB of the angles, of a symbol, V."""

Line = Mapping[str, np.ndarray]
Points = Mapping[float, Mapping[str, Line]]
"""x -> name of a line -> arrays of `work.solve` or `work.bound`."""
Data = Mapping[str, Points]
"""By preset."""


def at(x: float, **system: Any) -> dict[str, Any]:
    """A point."""
    return {"x": x, "system": system}


def configuration(
    label: str,
    points: list[dict[str, Any]],
    lines: list[dict[str, Any]],
    scenes: int,
    quick: bool,
    keep: Sequence[float],
    printed: list[dict[str, Any]] | None = None,
    **system: Any,
) -> dict[str, Any]:
    """The configuration of a sweep; `quick`: 8 realisations, and the points `keep` only."""
    return {
        "presets": list(PRESETS),
        "label": label,
        "points": [point for point in points if point["x"] in keep] if quick else points,
        "lines": lines,
        "fixed": system,
        "scenes": 8 if quick else scenes,
        "chunk": 60,
        "seed": 0,
        "system": {},
        "printed": printed or [],
    }


def scale(config: dict[str, Any], scenes: int) -> dict[str, Any]:
    """Another number of realisations."""
    return {**config, "scenes": scenes}


def searched(label: str = "", variant: int | None = None, **system: Any) -> list[dict[str, Any]]:
    """NO, best known and bound with the same parameters."""
    return [line(curve, label, variant, **system) for curve in (BOUND, "cross_entropy", "coordinate_descent")]


def work_of(
    config: Mapping[str, Any], preset: str, entry: Mapping[str, Any], place: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Key (without the realisation) and arguments (without the realisations) of a line's units at a point."""
    curve = CURVES[entry["curve"]]
    system = model_fields(preset, config["fixed"], place["system"], entry["system"], config["system"])
    arguments: dict[str, Any] = {"system": system, "seed": config["seed"]}
    if curve.policy != BOUND:
        arguments |= {"policy": curve.policy, "options": dict(curve.options)}
    return unit_key(entry["curve"], **arguments), arguments


def units_of(config: Mapping[str, Any], key: str, function: str, arguments: Mapping[str, Any]) -> Iterator[Unit]:
    """Units in chunks of realisations, keys `<key>_<first>`."""
    for first, stop in chunks(config["scenes"], config["chunk"]):
        own = {**arguments, "first": first, "stop": stop}
        yield Unit(key=f"{key}_{first}", function=function, arguments=own, size=stop - first)


def units(config: Mapping[str, Any]) -> list[Unit]:
    """All lines at all points, each piece of work once."""
    out: dict[str, Unit] = {}
    for preset in config["presets"]:
        for place in config["points"]:
            for entry in config["lines"]:
                key, arguments = work_of(config, preset, entry, place)
                function = f"{WORK}:{'bound' if entry['curve'] == BOUND else 'solve'}"
                out |= {unit.key: unit for unit in units_of(config, key, function, arguments)}
    return list(out.values())


def joined(config: Mapping[str, Any], results: Results, key: str) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """The arrays of all chunks, and the hashes of their symbols (or scenes)."""
    parts = [results[f"{key}_{first}"] for first, _ in chunks(config["scenes"], config["chunk"])]
    hashes = tuple(str(part.get("symbols", part.get("scenes"))) for part in parts)
    names = [name for name in parts[0] if name not in ("symbols", "scenes")]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}, hashes


def read(config: Mapping[str, Any], results: Results) -> tuple[Data, dict[str, Any]]:
    """Arrays by preset, x and line; facts: the hash of the symbols.

    Raises:
        RuntimeError: two lines met different symbols.
    """
    data: dict[str, dict[float, dict[str, Line]]] = {}
    met = set()
    for preset in config["presets"]:
        data[preset] = {}
        for place in config["points"]:
            found = data[preset][place["x"]] = {}
            for entry in config["lines"]:
                found[entry["name"]], hashes = joined(config, results, work_of(config, preset, entry, place)[0])
                met.add(hashes)
    if len(met) != 1:
        raise RuntimeError("the lines met different symbols")
    facts = {"realisations (the same symbols for all lines)": {"count": config["scenes"], "sha256": "".join(met.pop())[:64]}}
    return data, {"scenes": facts}


def geometric(values: np.ndarray) -> float:
    """Geometric mean."""
    return float(np.exp(np.mean(np.log(values))))


def columns(found: Estimate, digits: int = 5) -> dict[str, Any]:
    """Columns `mean`, `low`, `high`, `count` of a row, to significant digits."""
    numbers = {"mean": found.value, "low": found.low, "high": found.high}
    return {**{key: significant(value, digits) for key, value in numbers.items()}, "count": found.count}


def significant(value: float, digits: int = 5) -> float:
    """Rounded to significant digits."""
    return float(f"{float(value):.{digits}g}")


def rows_of(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """One row per preset, point, line and quantity: arithmetic mean with its interval, geometric mean, printed number."""
    told = {(item["line"], item["x"], item["quantity"]): item["value"] for item in config["printed"] if "times" not in item}
    rows = []
    for preset, points in data.items():
        for x, lines in points.items():
            for name, arrays in lines.items():
                for quantity, unit in UNITS.items():
                    if quantity not in arrays or not np.isfinite(arrays[quantity]).all():
                        continue
                    row = {"preset": preset, "x": x, "line": name, "quantity": quantity, "unit": unit}
                    row |= columns(estimate(arrays[quantity]))
                    if quantity in ("angle", "symbol"):
                        row["geometric_mean"] = significant(geometric(arrays[quantity]))
                    if (name, x, quantity) in told:
                        row["printed"] = told[name, x, quantity]
                    rows.append(row)
    return rows


Questions = Callable[[Mapping[str, Any], Data], list[dict[str, Any]]]


def sweep(
    name: str,
    title: str,
    configure: Callable[[bool], dict[str, Any]],
    questions: Questions,
    draw: Callable[[Mapping[str, Any], Result], Any],
    more: Callable[[Mapping[str, Any], Data], list[dict[str, Any]]] = lambda config, data: [],
) -> Figure:
    """The figure `nonorthogonal-<name>`.

    Args:
        questions: the statements answered; more: further rows of the CSV.
    """

    def summary(config: Mapping[str, Any], results: Results) -> Result:
        data, facts = read(config, results)
        rows = rows_of(config, data) + more(config, data)
        return Result(rows=rows, answers=questions(config, data), facts=facts | {"printed": config["printed"]}, drawing=data)

    return Figure(
        name=f"nonorthogonal-{name}",
        paper="nonorthogonal",
        title=title,
        configure=configure,
        scale=scale,
        units=units,
        summarise=summary,
        draw=draw,
    )
