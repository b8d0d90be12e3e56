"""Beyond Section V: is a bound attained by an estimator, how far is cross-entropy from the best design, and that from the "
  "bound?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.base import Figure, Result, Unit
from agents.figures.nonorthogonal.curves import BOUND, PRESETS, model_fields, unit_key
from agents.figures.nonorthogonal.remarks_pictures import draw
from agents.figures.nonorthogonal.rules import across, difference
from agents.figures.nonorthogonal.sweep import WORK, columns, joined, scale, units_of
from agents.figures.points import Results
from agents.stats import Estimate, estimate

SIDES = [3, 4, 5, 6]
SNRS = [10.0, 20.0, 30.0, 40.0]
HIGH_DB = 30.0
"""SNR from which a bound has to be attained."""
ATTAINED_DB = 0.2
"""5 %."""
POLICIES: dict[str, tuple[str, dict[str, Any]]] = {
    "C = 5 L": ("cross_entropy", {}),
    "C = 5 L, last draw": ("cross_entropy", {"elitist": False}),
    "C = 50 L": ("cross_entropy", {"num_candidates": 50}),
    "descent, 8 starts": ("coordinate_descent", {"num_starts": 8}),
    "descent, 64 starts": ("coordinate_descent", {}),
    "exhaustive": ("exhaustive", {}),
    BOUND: (BOUND, {}),
}
"""What is shown -> policy and options; candidates per element."""
BEST = "descent, 64 starts"
RECEIVERS = {
    "2x2 antennas, random phases": ([2, 2], "random"),
    "4x4 antennas, random phases": ([4, 4], "random"),
    "4x4 antennas, phases of cross_entropy": ([4, 4], "cross_entropy"),
}
Lines = dict[str, dict[int, dict[str, dict[str, np.ndarray]]]]


def configure(quick: bool) -> dict[str, Any]:
    """Sizes of the surface, receivers and SNRs."""
    return {"presets": list(PRESETS), "sides": [3] if quick else SIDES, "exhaustive": [3], "snrs": [30.0] if quick else SNRS,
            "draws": 100 if quick else 1000, "scenes": 6 if quick else 40, "chunk": 20, "seed": 0, "system": {}}  # fmt: skip


def receivers(config: Mapping[str, Any]) -> Iterator[tuple[str, float, str, dict[str, Any]]]:
    """Receiver, SNR, key and arguments of its units: one user throughout (`theorem1`), T = 2."""
    for name, (shape, policy) in RECEIVERS.items():
        for snr in config["snrs"]:
            system = model_fields("theorem1", {"user_shape": shape, "snr_db": snr}, config["system"])
            arguments = {"system": system, "policy": policy, "draws": config["draws"], "seed": config["seed"]}
            yield name, snr, unit_key("attained", **arguments), arguments


def designs(config: Mapping[str, Any]) -> Iterator[tuple[str, int, str, str, dict[str, Any]]]:
    """Preset, L, name of the policy, key and arguments."""
    for preset in config["presets"]:
        for side in config["sides"]:
            system = model_fields(preset, {"surface_shape": [side, side]}, config["system"])
            for name, (policy, options) in POLICIES.items():
                if name == "exhaustive" and side not in config["exhaustive"]:
                    continue
                arguments: dict[str, Any] = {"system": system, "seed": config["seed"]}
                if policy != BOUND:
                    own = {key: value * side**2 if key == "num_candidates" else value for key, value in options.items()}
                    arguments |= {"policy": policy, "options": own}
                yield preset, side**2, name, unit_key(policy, **arguments), arguments


def units(config: Mapping[str, Any]) -> list[Unit]:
    """Receivers, then designs."""
    out = [unit for *_, key, arguments in receivers(config) for unit in units_of(config, key, f"{WORK}:attained", arguments)]
    for *_, name, key, arguments in designs(config):
        out += list(units_of(config, key, f"{WORK}:{'bound' if name == BOUND else 'solve'}", arguments))
    return out


def summarise(config: Mapping[str, Any], results: Results) -> Result:
    """Ratios of errors to bounds, gaps in V."""
    errors: dict[str, dict[float, dict[str, np.ndarray]]] = {}
    met = set()
    for name, snr, key, _ in receivers(config):
        errors.setdefault(name, {})[snr], hashes = joined(config, results, key)
        met.add(hashes)
    lines: Lines = {}
    for preset, size, name, key, _ in designs(config):
        lines.setdefault(preset, {}).setdefault(size, {})[name], hashes = joined(config, results, key)
        met.add(hashes)
    if len(met) != 1:
        raise RuntimeError("the policies met different symbols")
    rows: list[dict[str, Any]] = []
    for receiver, found in errors.items():
        for snr, arrays in found.items():
            rows += [{"part": "estimator", "case": receiver, "x": snr, "quantity": f"squared error over the bound {kind}",
                      "unit": "dB", **columns(over(arrays, kind))} for kind in ("paper", "complex")]  # fmt: skip
    for preset, sizes in lines.items():
        for size, found_at in sizes.items():
            for name, arrays in found_at.items():
                place = {"part": "design", "case": f"{preset}, {name}", "x": size}
                rows.append({**place, "quantity": "V", "unit": "lg", **columns(estimate(arrays["value"]))})
                rows.append({**place, "quantity": "CPU time", "unit": "s", **columns(estimate(arrays["seconds"]))})
    facts = {"realisations (the same symbols for all lines)": {"count": config["scenes"], "sha256": "".join(met.pop())[:64]}}
    drawing = {"errors": errors, "lines": lines}
    return Result(rows=rows, answers=questions(config, errors, lines), facts={"scenes": facts}, drawing=drawing)


def over(arrays: Mapping[str, np.ndarray], kind: str) -> Estimate:
    """10 lg of the mean squared error over a bound, mean over realisations."""
    return estimate(10.0 * np.log10(arrays["error"] / arrays[kind]))


def gap(found: Mapping[str, Mapping[str, np.ndarray]], name: str, other: str = BEST) -> Estimate:
    """10 (V - other V): dB."""
    return difference(10.0 * found[name]["value"], 10.0 * found[other]["value"])


def questions(config: Mapping[str, Any], errors: Mapping[str, Any], lines: Lines) -> list[dict[str, Any]]:
    """The estimator, the search, the bound, the time."""
    high = [snr for snr in config["snrs"] if snr >= HIGH_DB]
    near = lambda found: answers.close(found, ATTAINED_DB)  # noqa: E731
    attained = {
        kind: [across({"receiver": name}, {f"at {snr:g} dB": over(found[snr], kind) for snr in high}, near)
               for name, found in errors.items()]
        for kind in ("paper", "complex")
    }  # fmt: skip
    told = (
        f"10 lg of the mean squared error over the bound, mean over realisations, {config['draws']} draws of the noise each: "
        f"reproduced if the 95 % interval lies within {ATTAINED_DB} dB (5 %) at every SNR from {HIGH_DB:g} dB on, not "
        "reproduced if outside at one."
    )
    gaps = {
        name: [across({"preset": preset, "policy": name}, {f"L = {size}": gap(found, name) for size, found in sizes.items()},
                      answers.close) for preset, sizes in lines.items()]
        for name in POLICIES if name not in (BEST, BOUND, "exhaustive")
    }  # fmt: skip
    inside = (
        f"10 (V - V of descent with 64 starts): reproduced if the 95 % interval lies within {answers.SAME_DB} dB at every L, "
        "not reproduced if outside at one."
    )
    exact = [
        _exact(preset, size, found) for preset, sizes in lines.items() for size, found in sizes.items() if "exhaustive" in found
    ]
    return [
        answers.question("B.1", "The paper's bound of the angles (Theorem 1) is attained by the maximum-likelihood estimator.",
                         told, attained["paper"]),
        answers.question("B.2", "The bound with unknown complex symbols (`complex`) is attained by it (ours).", told,
                         attained["complex"]),
        answers.question("B.3", "Cross-entropy with C = 5 L finds the best known design (the paper: it is effective).", inside,
                         gaps["C = 5 L"]),
        answers.question("B.4", "So do its output as printed, ten times the candidates, and descent from 8 starts.", inside,
                         [case for name, cases in gaps.items() if name != "C = 5 L" for case in cases]),
        answers.question("B.5", "Descent with 64 starts finds the optimum (exhaustive search).",
                         "share of realisations whose V agree to 1e-9: reproduced if its 95 % interval lies above 90 %, not "
                         "reproduced if below.", exact),
        answers.question("B.6", "The certified bound is close to the best known design.",
                         f"10 (V - bound): reproduced if the 95 % interval lies within {answers.SAME_DB} dB at every L, not "
                         "reproduced if outside at one.",
                         [across({"preset": preset}, {f"L = {size}": gap(found, BEST, BOUND) for size, found in sizes.items()},
                                 answers.close)
                          for preset, sizes in lines.items()]),
        answers.question("B.7", "CPU time per realisation.", f"batches of {config['chunk']}, one thread. No verdict.",
                         [_time(preset, name, sizes) for preset, sizes in lines.items() for name in POLICIES]),
    ]  # fmt: skip


def _exact(preset: str, size: int, found: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Any]:
    same = np.abs(found[BEST]["value"] - found["exhaustive"]["value"]) < 1e-9
    part = answers.share(same)
    return answers.case({"preset": preset, "L": str(size)}, answers.share_above(part, 0.9), agree=answers.number(part, "%", 0),
                        gap=answers.number(gap(found, BEST, "exhaustive"), "dB", 3))  # fmt: skip


def _time(preset: str, name: str, sizes: Mapping[int, Any]) -> dict[str, Any]:
    numbers = {f"L = {size}": answers.number(1e3 * float(found[name]["seconds"].mean()), "ms", 1)
               for size, found in sizes.items() if name in found}  # fmt: skip
    return answers.case({"preset": preset, "policy": name}, "measured", **numbers)


FIGURE = Figure(
    name="nonorthogonal-remarks",
    paper="nonorthogonal",
    title="beyond Section V: estimator, search, certified bound",
    configure=configure,
    scale=scale,
    units=units,
    summarise=summarise,
    draw=draw,
)
