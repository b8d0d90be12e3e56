"""Figures 12 to 14: the CRLB of the angles against the mutual information, along the weight; for SNRs, slots and sizes.

A curve is that of the means over realisations, one point per weight. What is said of it between its points is linear in I and in
lg of the CRLB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.figures import answers
from agents.figures.nonorthogonal.curves import line
from agents.figures.nonorthogonal.rules import (
    NOISE_DB,
    SAME_BIT,
    SHOWN_BIT,
    across,
    bootstrap,
    difference,
    gaps,
    mapped,
    read_off,
    within,
)
from agents.figures.nonorthogonal.sweep import Data, Points, at, columns, configuration, searched, sweep
from agents.figures.nonorthogonal.tradeoff_pictures import draw_ranges, draw_tradeoff
from agents.stats import Estimate

ZETAS = [0.02, 0.05, *(round(0.1 * i, 1) for i in range(1, 10)), 0.95, 1.0]
NAMES = {"NO": "cross_entropy", "best known": "coordinate_descent"}
PRINTED_DB = 1.5
"""A printed CRLB has one digit (about 1 dB), ours an error of about 10 %."""
SPANS = ((0.02, 1.0), (0.02, 0.95), (0.05, 0.9), (0.1, 0.9))
"""Ranges of the weight."""
STATED = {9: (1.0, 5.7), 25: (3.0, 14.1)}
"""L -> printed ranges of I (bit/symbol) and of the CRLB of the angles (dB)."""


def _configured(quick: bool, variants: list[tuple[str, dict[str, Any]]], printed: list[dict[str, Any]], **system: Any) -> Any:
    lines = [part for i, (label, own) in enumerate(variants) for part in searched(label, i, **own)]
    lines += [line("random", label, i, **own) for i, (label, own) in enumerate(variants)]
    points = [at(x, weight=x) for x in ZETAS]
    return configuration("weight", points, lines, 60, quick, [0.02, 0.3, 0.9, 1.0], printed, **system)


def _told(label: str, information: float, angle: float) -> dict[str, Any]:
    return {"line": f"cross_entropy, {label}", "x": None, "quantity": "angle", "information": information, "value": angle}


def configure12(quick: bool) -> dict[str, Any]:
    """Two SNRs."""
    printed = [_told("0 dB", 7.5, 6e-6), _told("0 dB", 6.5, 2e-6), _told("5 dB", 8.3, 2e-6), _told("5 dB", 8.4, 5e-6)]
    return _configured(quick, [(f"{x:g} dB", {"snr_db": x}) for x in (0.0, 5.0)], printed, num_slots=2)


def configure13(quick: bool) -> dict[str, Any]:
    """Two numbers of slots."""
    printed = [_told("T 2", 6.5, 2e-6), _told("T 4", 7.5, 2e-6)]
    return _configured(quick, [(f"T {x}", {"num_slots": x}) for x in (2, 4)], printed)


def configure14(quick: bool) -> dict[str, Any]:
    """Three square surfaces."""
    return _configured(quick, [(f"L {s * s}", {"surface_shape": [s, s]}) for s in (3, 4, 5)], [], num_slots=2)


def curve(points: Points, name: str, quantity: str) -> np.ndarray:
    """(K, n) along the weight."""
    return np.stack([lines[name][quantity] for lines in points.values()])


def both(points: Points, name: str) -> tuple[np.ndarray, np.ndarray]:
    """I and CRLB of the angles (K, n) along the weight."""
    return curve(points, name, "information"), curve(points, name, "angle")


def printed_points(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Rows: our CRLB of the angles where I is that of a printed point."""
    rows = []
    for preset, points in data.items():
        for told in config["printed"]:
            for design in NAMES.values():
                name = told["line"].replace("cross_entropy", design)
                found, outside, _ = read_off(*both(points, name), told["information"])
                rows.append({
                    "preset": preset, "x": "", "line": name, "quantity": f"angle at I = {told['information']:g}", "unit": "rad^2",
                    **columns(mapped(found, lambda v: 10.0 ** (0.1 * v))),
                    "printed": told["value"], "outside": round(outside, 3),
                })  # fmt: skip
    return rows


def met(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Cases: is a printed point on the curve?"""
    cases = []
    for preset, points in data.items():
        for told in config["printed"]:
            for design, policy in NAMES.items():
                name = told["line"].replace("cross_entropy", policy)
                found, outside, reach = read_off(*both(points, name), told["information"])
                shift = 10.0 * np.log10(told["value"])
                apart = mapped(found, lambda v, shift=shift: v - shift)  # type: ignore[misc]
                verdict = answers.close(apart, PRINTED_DB) if outside < 0.025 else answers.UNDECIDED
                verdict = answers.NO if outside > 0.975 else verdict
                label = told["line"].partition(", ")[2]
                where = {"preset": preset, "design": design, "curve": label, "I": f"{told['information']:g} bit"}
                numbers = {
                    "printed": answers.number(1e6 * told["value"], "e-6 rad2", 0),
                    "ours": answers.number(mapped(found, lambda v: 10.0 ** (6.0 + 0.1 * v)), "e-6 rad2", 1),
                    "above": answers.number(apart),
                    "curve from": answers.number(reach[0], "bit"),
                    "to": answers.number(reach[1], "bit"),
                }
                cases.append(answers.case(where, verdict, **numbers))
    return cases


MET_RULE = (
    "our CRLB of the angles where our curve of means has the printed I, over the printed CRLB: reproduced if the 95 % "
    f"interval lies within {PRINTED_DB} dB, not reproduced if outside or if the curve does not reach this I (in 97.5 % of the "
    "resamples)."
)


def spans(points: Points, name: str, low: float = 0.0, high: float = 1.0) -> tuple[Estimate, Estimate]:
    """Ranges of the means along the weights from `low` to `high`: of I (bit), of the CRLB of the angles (dB)."""
    chosen = {x: lines for x, lines in points.items() if low - 1e-9 <= x <= high + 1e-9}
    bits = bootstrap(lambda i: np.max(i, axis=0) - np.min(i, axis=0), curve(chosen, name, "information"))[0]
    level = bootstrap(lambda c: 10.0 * np.log10(np.max(c, axis=0) / np.min(c, axis=0)), curve(chosen, name, "angle"))[0]
    return bits, level


def end_slopes(points: Points, name: str) -> tuple[Estimate, Estimate]:
    """dB per bit in the lowest and in the highest fifth of the range of I, over that of the whole curve."""

    def slope(top: bool) -> Any:
        def statistic(i: np.ndarray, c: np.ndarray) -> np.ndarray:
            level, out = 10.0 * np.log10(c), np.full(i.shape[-1], np.nan)
            for r in range(i.shape[-1]):
                order = np.argsort(i[:, r])
                x, y = i[order, r], level[order, r]
                width, rise = x[-1] - x[0], y[-1] - y[0]
                if width > SHOWN_BIT and rise > answers.SHOWN_DB:
                    part = y[-1] - np.interp(x[-1] - 0.2 * width, x, y) if top else np.interp(x[0] + 0.2 * width, x, y) - y[0]
                    out[r] = part / (0.2 * rise)
            return out

        return statistic

    low, high = (bootstrap(slope(top), *both(points, name))[0] for top in (False, True))
    return low, high


def tradeoffs(config: Mapping[str, Any], data: Data, name: str) -> list[dict[str, Any]]:
    """Is there a trade-off, and a saturation region at each end?"""
    there, ends = [], []
    for preset, points in data.items():
        for label in dict.fromkeys(entry["label"] for entry in config["lines"]):
            for design, policy in NAMES.items():
                where = {"preset": preset, "design": design, "curve": label}
                bits, level = spans(points, f"{policy}, {label}")
                yes = bits.low > SAME_BIT and level.low > NOISE_DB
                no = bits.high < SAME_BIT or level.high < NOISE_DB
                numbers = {"range of I": answers.number(bits, "bit"), "range of the CRLB": answers.number(level)}
                verdict = answers.YES if yes else answers.NO if no else answers.UNDECIDED
                there.append(answers.case(where, verdict, **numbers))
                low, high = end_slopes(points, f"{policy}, {label}")
                for end, found, rule in (
                    ("localisation", low, within(-np.inf, 0.5)), ("communication", high, within(2.0, np.inf)),
                ):  # fmt: skip
                    verdict = answers.NO if no else rule(found)
                    ends.append(answers.case({**where, "end": end}, verdict, slope_over_the_mean_one=answers.number(found, "")))
    return [
        answers.question(f"{name}.1", "Along the weight there is a trade-off.",
                         f"ranges of the means along the weight: reproduced if the 95 % intervals lie above {SAME_BIT} bit and "
                         f"{NOISE_DB} dB, not reproduced if one lies below.", there),
        answers.question(f"{name}.2", "The curve has a saturation region at each end.",
                         "dB per bit in the fifth of the range of I at the end, over that of the whole curve: reproduced if "
                         "the 95 % interval lies below 1/2 at the end of localisation (much I lost, little won), above 2 at "
                         "that of communication; not reproduced if on the other side, or if there is no trade-off.", ends),
    ]  # fmt: skip


def _pairs(config: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    labels = dict.fromkeys(entry["label"] for entry in config["lines"])
    return {label: (f"{NAMES['NO']}, {label}", f"{NAMES['best known']}, {label}") for label in labels}


def questions12(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Trade-off, saturation, the four printed points."""
    return [
        *tradeoffs(config, data, "12"),
        answers.question("12.3", "The four printed points are on the curve.", MET_RULE, met(config, data)),
        *gaps("12", data, _pairs(config), "curve"),
    ]


def questions13(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """What more slots do to I, and whether they make up for a bit."""
    same, bit = [], []
    for preset, points in data.items():
        for design, policy in NAMES.items():
            two, four = (f"{policy}, T {slots}" for slots in (2, 4))
            pairs = {x: [lines[name]["information"] for name in (four, two)] for x, lines in points.items()}
            found = {f"at {x:g}": difference(*pair) for x, pair in pairs.items()}
            same.append(across({"preset": preset, "design": design}, found, within(-SAME_BIT, SAME_BIT), "bit"))
            shift = bootstrap(_same_level, *both(points, two), *both(points, four))[0]
            lower = {f"CRLB lower, at weight {x:g}": bootstrap(lambda a, b: 10.0 * np.log10(a / b), points[x][two]["angle"],
                                                               points[x][four]["angle"])[0] for x in (min(points), max(points))}
            beside = {key: answers.number(value) for key, value in lower.items()}
            bit.append(across({"preset": preset, "design": design}, {"bits": shift}, within(1.0, np.inf), "bit", beside=beside))
    return [
        *tradeoffs(config, data, "13"),
        answers.question("13.3", "I is nearly independent of T.",
                         f"T = 4 minus T = 2 at the same weight: reproduced if the 95 % interval lies within {SAME_BIT} bit at "
                         "every weight, not reproduced if outside at one.", same),
        answers.question("13.4", "T = 4 makes up for an extra bit.",
                         "bits by which the curve of T = 4 lies to the right of that of T = 2, at the middle (in dB) of the "
                         "CRLBs that both reach: reproduced if the 95 % interval lies above 1 bit, not reproduced if below; "
                         "undecided if there is no such CRLB.",
                         bit),
        answers.question("13.5", "The two printed points are on the curves.", MET_RULE, met(config, data)),
        *gaps("13", data, _pairs(config), "curve"),
    ]  # fmt: skip


def _same_level(i2: np.ndarray, c2: np.ndarray, i4: np.ndarray, c4: np.ndarray) -> np.ndarray:
    """I of the second curve minus I of the first, at the middle of the CRLBs that both have."""
    first, second = 10.0 * np.log10(c2), 10.0 * np.log10(c4)
    low, high = np.maximum(first.min(0), second.min(0)), np.minimum(first.max(0), second.max(0))
    middle, out = 0.5 * (low + high), np.full(i2.shape[-1], np.nan)
    for r in np.flatnonzero(low < high):
        a, b = np.argsort(first[:, r]), np.argsort(second[:, r])
        out[r] = np.interp(middle[r], second[b, r], i4[b, r]) - np.interp(middle[r], first[a, r], i2[a, r])
    return out


def more14(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Rows: ranges along the weight, beside the printed ones."""
    rows = []
    for preset, points in data.items():
        for elements in (9, 16, 25):
            for policy in NAMES.values():
                found_at = spans(points, f"{policy}, L {elements}")
                for i, (found, unit) in enumerate(zip(found_at, ("bit/symbol", "dB"), strict=True)):
                    row = {"preset": preset, "x": "", "line": f"{policy}, L {elements}",
                           "quantity": f"range of {('information', 'angle')[i]}", "unit": unit, **columns(found)}  # fmt: skip
                    rows.append(row | ({"printed": STATED[elements][i]} if elements in STATED else {}))
    return rows


def questions14(config: Mapping[str, Any], data: Data) -> list[dict[str, Any]]:
    """Do the ranges grow with L, and as stated?"""
    grow, stated = [], []
    for preset, points in data.items():
        for design, policy in NAMES.items():
            for low, high in SPANS:
                where = {"preset": preset, "design": design, "weights": f"{low:g} to {high:g}"}
                found = {size: spans(points, f"{policy}, L {size}", low, high) for size in (9, 16, 25)}
                for size, told in STATED.items():
                    for i, (quantity, unit, slack) in enumerate((("I", "bit", 0.5), ("CRLB", "dB", PRINTED_DB))):
                        rule = within(told[i] - slack, told[i] + slack)
                        place = {**where, "L": str(size), "range of": quantity}
                        beside = {"printed": answers.number(told[i], unit, 1)}
                        stated.append(across(place, {"ours": found[size][i]}, rule, unit, beside=beside))
                if (low, high) == SPANS[0]:
                    grow += [_grown(where, points, policy, quantity) for quantity in ("information", "angle")]
    return [
        *tradeoffs(config, data, "14"),
        answers.question("14.3", "The ranges of I and of the CRLB of the angles grow with L.",
                         f"range at L = 25 minus that at L = 9: reproduced if the 95 % interval lies above {SAME_BIT} bit "
                         f"({NOISE_DB} dB), not reproduced if below.", grow),
        answers.question("14.4", "From L = 9 to 25 the range of I grows from about 1 to 3 bits, that of the CRLB from 5.7 to "
                                 "14.1 dB.",
                         "range of the means over these weights: reproduced if the 95 % interval lies within 0.5 bit "
                         f"({PRINTED_DB} dB) of the printed one, not reproduced if outside.", stated),
        *gaps("14", data, _pairs(config), "curve"),
    ]  # fmt: skip


def _grown(where: Mapping[str, str], points: Points, policy: str, quantity: str) -> dict[str, Any]:
    small, large = (curve(points, f"{policy}, L {size}", quantity) for size in (9, 25))

    def span(a: np.ndarray) -> np.ndarray:
        a = a if quantity == "information" else 10.0 * np.log10(a)
        return np.asarray(np.max(a, axis=0) - np.min(a, axis=0))

    found = bootstrap(lambda a, b: span(b) - span(a), small, large)[0]
    least, unit, name = (SAME_BIT, "bit", "I") if quantity == "information" else (NOISE_DB, "dB", "CRLB")
    return across({**where, "range of": name}, {"growth": found}, within(least, np.inf), unit)


FIG12 = sweep("fig12", "trade-off for two SNRs", configure12, questions12, draw_tradeoff, printed_points)
FIG13 = sweep("fig13", "trade-off for two numbers of slots", configure13, questions13, draw_tradeoff, printed_points)
FIG14 = sweep("fig14", "trade-off for three sizes of the surface", configure14, questions14, draw_ranges, more14)
