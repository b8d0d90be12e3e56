"""Search over discrete phases in `nonorthogonal`: cost of a candidate, quality against the exhaustive search, CPU per policy.

    python benchmarks/nonorthogonal_solvers.py --json docs/results/nonorthogonal-solvers.json

(a) Evaluation of one round's candidates (C = 5 L) by inner products, of one scene (`fast`) and per scene of a batch (`batch`),
against the paper's Fisher matrix (22)-(31) of size T + 2: built as it is written and inverted, candidate by candidate
(`explicit`), and, for comparison, for all candidates at once from products that are formed once (`stacked`).
(b) Mean V of the searches on scenes with random azimuths, 9 and 16 elements; with 9 also the exhaustive search, and on how many
scenes coordinate descent with 64 starts equals it.
(c) CPU per scene of every policy in one batch.
(d) References of `tracking` over whole episodes: mean V on the truth, its paired difference to `hold` (mean and standard error
over episodes), CPU per decision; `hold` also with fewer and more random starts.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - after the number of threads

SIZES = (((4, 4), 2), ((4, 4), 20), ((8, 8), 2))
MODELS: dict[str, dict[str, Any]] = {
    "consistent": {"preset": "theorem1", "user_azimuth_deg": None},
    "mixed": {"preset": "paper", "user_azimuth_deg": None},
    "two_user": {},
}
SEARCHES: dict[str, tuple[str, dict[str, Any]]] = {
    "cross_entropy, last draw": ("cross_entropy", {"elitist": False}),
    "cross_entropy": ("cross_entropy", {}),
    "cross_entropy, 10 x C": ("cross_entropy", {"num_candidates": "ten"}),
    "coordinate_descent, 8 starts": ("coordinate_descent", {"num_starts": 8}),
    "coordinate_descent, 64 starts": ("coordinate_descent", {}),
    "exhaustive": ("exhaustive", {}),
    "align": ("align", {}),
    "gradient": ("gradient", {}),
    "max_gain": ("max_gain", {}),
    "random": ("random", {}),
}
BATCHES: dict[str, dict[str, Any]] = {
    "physical": {},
    "physical, constrained": {"objective_form": "constrained"},
    "theorem1": {"preset": "theorem1"},
    "paper": {"preset": "paper"},
    "tracking": {"preset": "tracking"},
}


TRACKING: tuple[tuple[str, dict[str, Any]], ...] = (
    ("hold", {}),
    ("hold", {"num_starts": 1}),
    ("hold", {"num_starts": 32}),
    ("widen", {}),
    ("oracle", {}),
    ("cross_entropy", {}),
    ("align", {}),
    ("max_gain", {}),
    ("random", {}),
)


def main() -> None:
    """Run the benchmark, print the rows, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=20, help="scenes per model and size of (b)")
    parser.add_argument("--batch", type=int, default=64, help="scenes of (c)")
    parser.add_argument("--episodes", type=int, default=32, help="episodes of (d)")
    parser.add_argument("--repeats", type=int, default=50, help="rounds that (a) times")
    parser.add_argument("--seed", type=int, default=2025)
    parser.add_argument("--json", type=Path, default=None, help="file for the results")
    arguments = parser.parse_args()
    for name in ("scenes", "batch", "episodes", "repeats"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(arguments, name)}")
    from agents.artefact import versions
    from agents.files import write_json

    models = ("consistent", "mixed")
    given = (arguments.batch, arguments.repeats, arguments.seed)
    candidates = [evaluation(m, shape, slots, *given) for m in models for shape, slots in SIZES]
    searches = [searched(m, shape, arguments.scenes, arguments.seed) for m in MODELS for shape in ((3, 3), (4, 4))]
    policies = [row for label in BATCHES for row in batched(label, arguments.batch, arguments.seed)]
    tracking = tracked(arguments.episodes, arguments.seed)
    if arguments.json:
        setting = {key: getattr(arguments, key) for key in ("scenes", "batch", "episodes", "repeats", "seed")}
        content = {"setting": setting, "candidates": candidates, "searches": searches, "policies": policies, "tracking": tracking}
        print(write_json(arguments.json, content | {"versions": versions(), "threads": 1, "clock": "CPU seconds"}))


def make(fields: dict[str, Any], **more: Any) -> Any:
    """A system from fields, one of which may be its preset."""
    import ris_gym

    rest = {name: value for name, value in fields.items() if name != "preset"}
    return ris_gym.systems.make("nonorthogonal", fields.get("preset"), **rest, **more)


def seconds_of(function: Callable[[], Any], repeats: int) -> float:
    """Least mean CPU seconds of a call, of three series."""
    best = np.inf
    for _ in range(3):
        began = time.process_time()
        for _ in range(repeats):
            function()
        best = min(best, (time.process_time() - began) / repeats)
    return best


# -- (a) ----------------------------------------------------------------------------------------------------------------------


def channels(system: Any, scene: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """H_I2U of beta_x, and (58), (26), (27) of the derivatives, each (M, L), of the first scene's first block."""
    x, y, z = np.moveaxis(np.asarray(scene.reference["direction"])[0, 0], -1, 0)
    gamma, phi = np.arcsin(z), np.arctan2(y, x)
    m, l = system.user_index[:, None], system.element_index[None]
    u = np.pi * np.array([np.cos(gamma) * np.sin(phi), np.sin(gamma)])
    alpha = scene.gain_ris_user[0, 0]
    near = alpha * np.exp(1j * ((m - l) @ u))
    far = alpha * np.exp(1j * ((m + l) @ u)) if system.model == "mixed" else near
    dy, dz = (m - l)[..., 0], (m - l)[..., 1]
    by_gamma = 1j * np.pi * (dz * np.cos(gamma) - dy * np.sin(gamma) * np.sin(phi)) * near
    return far, near, by_gamma, 1j * np.pi * dy * np.cos(gamma) * np.cos(phi) * near


def explicit(system: Any, scene: Any, xi: np.ndarray, matrices: tuple[np.ndarray, ...]) -> np.ndarray:
    """(31) of candidates (C, L), one after the other: (23)-(25), (22), inverse, (28)-(31)."""
    far, _, by_gamma, by_phi = matrices
    g = scene.gain_bs_ris[0, 0] * np.outer(scene.incident[0, 0], scene.bs_steering[0, 0].conj())
    w = np.sqrt(system.power_w / system.num_antennas) * scene.bs_steering[0, 0]
    x, slots = scene.symbols[0, 0], system.num_slots
    out = np.empty(len(xi))
    for c, coefficients in enumerate(xi):
        theta = np.diag(coefficients)
        beta = far @ theta @ g @ w
        gamma = np.stack([by_gamma @ theta @ g @ w * x[t] for t in range(slots)], axis=1)
        phi = np.stack([by_phi @ theta @ g @ w * x[t] for t in range(slots)], axis=1)
        j = np.zeros((slots + 2, slots + 2))
        j[np.arange(slots), np.arange(slots)] = np.linalg.norm(beta) ** 2
        j[:slots, slots], j[:slots, slots + 1] = (beta.conj() @ gamma).real, (beta.conj() @ phi).real
        j[slots:, :slots] = j[:slots, slots:].T
        j[slots, slots], j[slots + 1, slots + 1] = np.linalg.norm(gamma) ** 2, np.linalg.norm(phi) ** 2
        j[slots, slots + 1] = j[slots + 1, slots] = np.sum(gamma.conj() * phi).real
        bounds = np.diag(np.linalg.inv(2.0 / system.noise_w * j))
        out[c] = system.weight * np.log10(bounds[:slots].mean()) + (1 - system.weight) * np.log10(bounds[slots:].mean())
    return out


def stacked(system: Any, scene: Any, xi: np.ndarray, matrices: tuple[np.ndarray, ...]) -> np.ndarray:
    """The same for all candidates at once."""
    far, _, by_gamma, by_phi = matrices
    level = scene.gain_bs_ris[0, 0] * np.sqrt(system.power_w * system.num_antennas)
    received = xi * (level * scene.incident[0, 0])
    beta, one, two = (received @ h.T for h in (far, by_gamma, by_phi))
    x, slots = scene.symbols[0, 0], system.num_slots
    j = np.zeros((len(xi), slots + 2, slots + 2))
    j[:, np.arange(slots), np.arange(slots)] = np.vecdot(beta, beta).real[:, None]
    for i, d in ((slots, one), (slots + 1, two)):
        j[:, :slots, i] = j[:, i, :slots] = (np.vecdot(beta, d)[:, None] * x).real
    energy = np.sum(np.abs(x) ** 2)
    j[:, slots, slots], j[:, slots + 1, slots + 1] = (energy * np.vecdot(d, d).real for d in (one, two))
    j[:, slots, slots + 1] = j[:, slots + 1, slots] = energy * np.vecdot(one, two).real
    bounds = np.diagonal(np.linalg.inv(2.0 / system.noise_w * j), axis1=1, axis2=2)
    angle = np.log10(bounds[:, slots:].mean(axis=1))
    return np.asarray(system.weight * np.log10(bounds[:, :slots].mean(axis=1)) + (1 - system.weight) * angle)


def evaluation(model: str, shape: tuple[int, int], slots: int, batch: int, repeats: int, seed: int) -> dict[str, Any]:
    """One round's candidates by all ways."""
    from baselines.nonorthogonal.common import Blocks, merit

    system = make(MODELS[model], surface_shape=shape, num_slots=slots)
    rng = np.random.default_rng(seed)
    scene, many = system.sample(rng, 1), Blocks.of(system.sample(rng, batch))
    xi = system.alphabet.double[rng.integers(0, 4, (5 * system.num_elements, system.num_elements))]
    blocks, judge, matrices = Blocks.of(scene), merit(system, None), channels(system, scene)
    ways: dict[str, Callable[[], np.ndarray]] = {
        "fast": lambda: -judge(blocks, blocks.moments(xi[None]))[0] - 4.0,
        "explicit": lambda: explicit(system, scene, xi, matrices),
        "stacked": lambda: stacked(system, scene, xi, matrices),
    }
    values = {name: way() for name, way in ways.items()}
    seconds = {name: seconds_of(way, max(1, repeats // (10 if name == "explicit" else 1))) for name, way in ways.items()}
    wide = np.broadcast_to(xi, (batch, *xi.shape))
    seconds["batch"] = seconds_of(lambda: judge(many, many.moments(wide)), max(1, repeats // 5)) / batch
    relative = [float(np.max(np.abs(10.0 ** (values["fast"] - values[k]) - 1.0))) for k in ("explicit", "stacked")]
    row = {
        "model": model,
        "elements": system.num_elements,
        "slots": slots,
        "candidates": len(xi),
        **{f"{name}_s": value for name, value in seconds.items()},
        "ratio": seconds["explicit"] / seconds["fast"],
        "ratio_batch": seconds["explicit"] / seconds["batch"],
        "stacked_over_fast": seconds["stacked"] / seconds["fast"],
        "stacked_over_batch": seconds["stacked"] / seconds["batch"],
        "difference": max(relative),
    }
    print(row, flush=True)
    return row


# -- (b), (c) -----------------------------------------------------------------------------------------------------------------


def solved(name: str, system: Any, scene: Any, seed: int, **options: Any) -> tuple[Any, float]:
    """The solution, and CPU seconds per scene."""
    import baselines

    policy = baselines.make(name, system, **options)
    given = scene if policy.privileged else system.known(scene)
    policy.solve(given[:1], np.random.default_rng(0))
    began = time.process_time()
    solution = policy.solve(given, np.random.default_rng(seed))
    return solution, (time.process_time() - began) / len(scene)


def searched(model: str, shape: tuple[int, int], scenes: int, seed: int) -> dict[str, Any]:
    """Mean V of every search; how far coordinate descent is from the exhaustive search."""
    system = make(MODELS[model], surface_shape=shape)
    scene = system.sample(np.random.default_rng(seed + 1), scenes)
    row: dict[str, Any] = {"model": model, "elements": system.num_elements, "scenes": scenes}
    found = {}
    for label, (name, options) in SEARCHES.items():
        if name == "exhaustive" and system.num_elements > 9:
            continue
        given = {k: 50 * system.num_elements if v == "ten" else v for k, v in options.items()}
        solution, seconds = solved(name, system, scene, seed, **given)
        found[label] = solution.objective
        row[label] = {"objective": float(solution.objective.mean()), "seconds": seconds}
    if "exhaustive" in found:
        excess = found["coordinate_descent, 64 starts"] - found["exhaustive"]
        row |= {"equal": int(np.sum(np.abs(excess) < 1e-9)), "largest_excess": float(excess.max())}
    print(row, flush=True)
    return row


def batched(label: str, batch: int, seed: int) -> list[dict[str, Any]]:
    """Every policy that the system's size allows, on static scenes in one batch."""
    import baselines

    system = make(BATCHES[label])
    scene = system.sample(np.random.default_rng(seed + 2), batch)
    rows = []
    for name in baselines.names(system):
        if name == "exhaustive":
            continue
        solution, seconds = solved(name, system, scene, seed)
        score = float(np.mean(system.penalised(system.evaluate(scene, solution.design))))
        row = {"system": label, "policy": name, "seconds": seconds, "objective": float(solution.objective.mean())}
        rows.append(row | {"score": score, "feasible": int(solution.feasible.sum()), "of": batch})
        print(rows[-1], flush=True)
    return rows


def tracked(episodes: int, seed: int) -> list[dict[str, Any]]:
    """Policies in the preset `tracking`, frame by frame on the same episodes."""
    import baselines
    from agents.rollouts import rollout

    system = make({"preset": "tracking"})
    scene = system.sample_tracking(np.random.default_rng(seed + 3), episodes)
    rows: list[dict[str, Any]] = []
    base = np.zeros(episodes)
    for name, options in TRACKING:
        began = time.process_time()
        found = rollout(system, baselines.make(name, system, **options), scene, np.random.default_rng(seed), 1.0)
        seconds = (time.process_time() - began) / (episodes * system.num_frames)
        base = base if rows else found.objective
        gap = found.objective - base
        row = {"policy": name, **options, "objective": float(found.objective.mean()), "to_hold": float(gap.mean())}
        error = float(gap.std(ddof=1) / np.sqrt(episodes)) if episodes > 1 else None
        place = float(found.physical["position_error_m"].mean())
        rows.append(row | {"standard_error": error, "position_error_m": place, "seconds": seconds})
        print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
