"""Statement (7) of section 11A in its parts: trade-off, flexible, against scans and other searches; answered from hit rates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from agents.figures import answers
from agents.stats import Estimate, estimate

__all__ = ["SHOWN", "count_of", "questions", "root"]

SHOWN = 0.02
"""A difference of hit rates of less is not called one."""
MATCHING = "posterior_matching"
STEP = (
    "paired difference of hit rates: reproduced if the 95 % interval lies above 0 and the mean is at least "
    f"{SHOWN}, not reproduced if the interval lies below {SHOWN}"
)
NO_LESS = f"paired difference of hit rates: reproduced if the 95 % interval lies above {-SHOWN}, not reproduced if below it"
EVERY = "reproduced if so in every column, not reproduced if not so in one"
PAIR = "first: posterior matching, second: the other"
Point = Mapping[str, np.ndarray]
"""`hit` (n,), `error` (n,)."""
Curve = Mapping[int, Point]
"""By number of pilots."""
Data = Mapping[float, Mapping[str, Curve]]
"""By element SNR and policy."""


def count_of(config: Mapping[str, Any], policy: str) -> int:
    """Directions of a policy."""
    return int(min(config["few"], config["scenes"]) if policy == "information_greedy" else config["scenes"])


def root(squares: np.ndarray) -> Estimate:
    """Root of a mean with its interval."""
    found = estimate(squares)
    value, low, high = (float(np.sqrt(x)) for x in (found.value, found.low, found.high))
    return Estimate(value, low, high, found.count)


def gain(first: Point, second: Point) -> Estimate:
    """Difference of hit rates, paired over the directions that both met."""
    n = min(len(first["hit"]), len(second["hit"]))
    return estimate(first["hit"][:n] - second["hit"][:n])


def more(found: Estimate) -> str:
    """Whether hit rates are larger."""
    return answers.above(found, SHOWN)


def no_less(found: Estimate) -> str:
    """Whether hit rates are larger or equal."""
    return answers.YES if found.low >= -SHOWN else answers.NO if found.high < -SHOWN else answers.UNDECIDED


def under(found: Estimate, value: float) -> str:
    """Whether a hit rate lies below a bound."""
    return answers.YES if found.high <= value else answers.NO if found.low > value else answers.UNDECIDED


def every(verdicts: Iterable[str]) -> str:
    """No if one is no, else undecided if one is, else yes; undecided without any."""
    met = set(verdicts)
    return next((word for word in (answers.NO, answers.UNDECIDED, answers.YES) if word in met), answers.UNDECIDED)


def compared(where: Mapping[str, Any], first: Point, second: Point, rule: Callable[[Estimate], str] = more) -> dict[str, Any]:
    """A case: both hit rates and their difference."""
    n = min(len(first["hit"]), len(second["hit"]))
    found = gain(first, second)
    numbers = {"first": answers.share(first["hit"][:n]), "second": answers.share(second["hit"][:n]), "difference": found}
    return answers.case(where, rule(found), **{name: answers.number(value, "", 3) for name, value in numbers.items()})


def steps(snr_db: float, curve: Curve, pilots: list[int]) -> dict[str, Any]:
    """What each step of the number of pilots gains."""
    found = {f"{a} to {b}": gain(curve[b], curve[a]) for a, b in pairwise(pilots)}
    numbers = {at: answers.number(step, "", 3) for at, step in found.items()}
    return answers.case({"element SNR": f"{snr_db:g} dB"}, every(map(more, found.values())), **numbers)


def falls(snr_db: float, curve: Curve, pilots: list[int]) -> dict[str, Any]:
    """The error at each number of pilots."""
    squares = {t: curve[t]["error"] ** 2 for t in pilots}
    found = [estimate(squares[a] - squares[b]) for a, b in pairwise(pilots)]
    verdicts = (answers.YES if e.low > 0.0 else answers.NO if e.high < 0.0 else answers.UNDECIDED for e in found)
    numbers = {f"at {t}": answers.number(root(values), "", 4) for t, values in squares.items()}
    return answers.case({"element SNR": f"{snr_db:g} dB"}, every(verdicts), **numbers)


def below(where: Mapping[str, Any], curve: Curve, bounds: Mapping[int, float]) -> dict[str, Any]:
    """A policy beside the bound, where that is below 1."""
    told = [t for t in curve if bounds[t] < 1.0]
    found = {t: answers.share(curve[t]["hit"]) for t in told}
    numbers: dict[str, Any] = {}
    for t, value in found.items():
        numbers |= {f"at {t}": answers.number(value, "", 3), f"bound at {t}": answers.number(bounds[t], "", 3)}
    return answers.case(where, every(under(value, bounds[t]) for t, value in found.items()), **numbers)


def questions(
    config: Mapping[str, Any], data: Data, bounds: Mapping[float, Mapping[int, float]], seconds: Mapping[str, float]
) -> list[dict[str, Any]]:
    """The statement's parts; bounds: element SNR -> number of pilots -> hit rate; seconds: of the policies, per pilot."""
    pilots, own = list(config["pilots"]), {snr_db: curves[MATCHING] for snr_db, curves in data.items()}

    def against(other: str, rule: Callable[[Estimate], str] = more) -> list[dict[str, Any]]:
        return [compared({"element SNR": f"{snr_db:g} dB", "pilots": t}, own[snr_db][t], curves[other][t], rule)
                for snr_db, curves in data.items() for t in pilots if t in curves.get(other, {})]  # fmt: skip

    full = [compared({"element SNR": f"{snr_db:g} dB", "pilots": f"{t} against {p}"}, own[snr_db][t], curves["peak"][p], no_less)
            for snr_db, curves in data.items() for p in config["peak"] for t in pilots]  # fmt: skip
    floor = [below({"element SNR": f"{snr_db:g} dB", "policy": policy}, curves[policy], bounds[snr_db])
             for snr_db, curves in data.items() for policy in config["policies"]]  # fmt: skip
    times = [answers.case({"policy": policy}, "measured", time=answers.number(1e6 * value, "us", 0))
             for policy, value in seconds.items()]  # fmt: skip
    few = count_of(config, "information_greedy")
    return [
        answers.question("7.1", "The hierarchical codebook trades accuracy for overhead: more pilots find the beam more often.",
                         f"posterior matching, {STEP}; {EVERY}.",
                         [steps(snr_db, curve, pilots) for snr_db, curve in own.items()]),
        answers.question("7.2", "So does the error of the direction.",
                         "rms error of psi of posterior matching: reproduced if the 95 % interval of every fall of the mean "
                         "square lies above 0, not reproduced if one lies below.",
                         [falls(snr_db, curve, pilots) for snr_db, curve in own.items()]),
        answers.question("7.3", "With as many pilots it finds the beam more often than a scan of the finest beams in order.",
                         f"{PAIR} (both decide by the posterior), {STEP}.", against("exhaustive")),
        answers.question("7.4", "With fewer pilots it finds the beam as often as the full scan that takes the loudest one.",
                         f"{PAIR} (64 pilots), {NO_LESS}.", full),
        answers.question("7.5", "It is flexible: with a belief every number of pilots serves, and better than hard descent.",
                         f"{PAIR} (12, 24, 48 pilots: 1, 2, 4 per child), {STEP}.", against("descent")),
        answers.question("7.6", "The wide codewords are what helps (ours): more hits than finest beams drawn from the posterior.",
                         f"{PAIR} (Thompson), {STEP}.", against("thompson")),
        answers.question("7.7", "Posterior matching finds the beam as often as the most informative codeword (ours).",
                         f"{PAIR} (information greedy, the first {few} directions), {NO_LESS}.",
                         against("information_greedy", no_less)),
        answers.question("7.8", "All hit rates lie below Fano's bound (ours).",
                         "95 % Wilson interval, at the numbers of pilots where the bound is below 1: reproduced if it lies below "
                         f"the bound, not reproduced if above it; {EVERY}.", floor),
        answers.question("7.9", "CPU time of a decision, per pilot (ours).",
                         f"batches of {config['chunk']} directions, one thread, mean over the SNRs; tables made before.", times),
    ]  # fmt: skip
