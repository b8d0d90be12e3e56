"""Units of work of the statements in the text: phases, closed form, amplitudes, scaling, neglected noise, gaps and starts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import baselines
from agents.figures.work import chunk_of
from agents.scenes import generator
from baselines.active_crb.ao import AlternatingOptimisation
from baselines.active_crb.scaling import joint_scaling, stationary_point
from baselines.active_crb.sensing import closed_form
from baselines.active_crb.transmit import log_value_gradient
from baselines.active_crb.units import Beams, Channels
from baselines.policy import scene_generators
from baselines.tools.linalg import ComplexArray

__all__ = ["amplitudes", "closed", "gaps", "noise", "phases", "scaling"]

System = Mapping[str, Any]
Arrays = dict[str, np.ndarray]


def phases(system: System, seed: int, first: int, stop: int, draws: int) -> Arrays:
    """Remark 1: what changes if the phases of the design of `ao` are drawn anew at the same R and amplitudes.

    Returns:
        Largest changes over the draws, dB, (n,): `crb`, `surface` (surface power, up or down), `sinr` (fall of the smallest).
    """
    model, scene, rng, digest = chunk_of(system, seed, first, stop)
    solution = baselines.make("ao", model).solve(model.known(scene), rng)
    before: Any = model.evaluate(scene, solution.design)
    angle = generator("policy", seed, 1).random((stop, draws, model.num_elements))[first:]
    crb, surface, sinr = (np.zeros(len(scene)) for _ in range(3))
    for draw in range(draws):
        v = np.abs(solution.design.coefficients) * np.exp(2j * np.pi * angle[:, draw])
        after: Any = model.evaluate(scene, solution.design.replace(coefficients=v))
        crb = np.maximum(crb, np.abs(after.objective - before.objective))
        surface = np.maximum(surface, np.abs(10.0 * np.log10(after.surface_power_w / before.surface_power_w)))
        sinr = np.maximum(sinr, before.sinr_db.min(1) - after.sinr_db.min(1))
    return {"scenes": digest, "feasible": np.asarray(solution.feasible), "crb": crb, "surface": surface, "sinr": sinr}


def _at_cap(system: System, seed: int, first: int, stop: int) -> tuple[Any, Any, Any, Channels, np.ndarray]:
    """System, scenes, `direct`'s first transmit step (at the cap, random phases; ISAC: led to a feasible surface), channels."""
    model, scene, rng, digest = chunk_of(system, seed, first, stop)
    channels = Channels.of(model, model.known(scene))
    policy: Any = baselines.make("direct", model)
    return model, scene, policy.begin(channels, scene_generators(rng, len(scene))), channels, digest


def closed(system: System, seed: int, first: int, stop: int) -> Arrays:
    """Remark 2 (sensing only, at the cap with random phases): the closed form (30) and its conditions.

    Returns:
        `holds`, `norm`, `trace` (n,): the exact condition, lambda_max(S) P_0 <= P_1 and tr(S) P_0 <= P_1; `above` (n,) dB: the
        optimum of the transmit step above the closed form.
    """
    _, _, step, channels, digest = _at_cap(system, seed, first, stop)
    form = closed_form(channels, step.v)
    value = step.result.value / step.scaled.unit_w
    return {
        "scenes": digest,
        "feasible": np.asarray(step.feasible),
        "holds": form.holds,
        "norm": form.norm_condition,
        "trace": form.trace_condition,
        "above": 10.0 * np.log10(value / form.value),
    }


def amplitudes(system: System, seed: int, first: int, stop: int) -> Arrays:
    """Proposition 4: derivatives of log CRB by log a_n at the cap, and the amplitudes at which `direct` ends.

    Returns:
        `fixed` (n,): the largest derivative at fixed beams, `best`: the largest with the best beams for each surface; `below`:
        share of the elements that `direct` leaves more than 0.01 dB below the cap; `lowest` dB: the lowest of its amplitudes.
    """
    model, scene, rng, digest = chunk_of(system, seed, first, stop)
    _, _, step, channels, _ = _at_cap(system, seed, first, stop)
    square = np.abs(step.v) ** 2
    diagonal = np.diagonal(np.linalg.inv(step.beams.cov), axis1=1, axis2=2).real / square
    receive = model.noise_bs_w / model.num_snapshots * scene.reference["inverse_diagonal"] / square  # type: ignore[attr-defined]
    fixed = -2.0 * diagonal / diagonal.sum(1, keepdims=True) - 2.0 * receive / channels.receive(np.abs(step.v))[:, None]
    solution = baselines.make("direct", model).solve(model.known(scene), rng)
    level = 20.0 * np.log10(np.abs(solution.design.coefficients) / scene.reference["cap"][:, None])
    return {
        "scenes": digest,
        "feasible": np.asarray(step.feasible & solution.feasible),
        "fixed": fixed.max(1),
        "best": log_value_gradient(channels, step)[1].max(1),
        "below": (level < -0.01).mean(1),
        "lowest": level.min(1),
    }


def scaling(system: System, seed: int, first: int, stop: int) -> Arrays:
    """Propositions 6 to 8 (sensing only): R and a^2 scaled together, from the best beams at the cap.

    Returns:
        `beta` (n,) dB: best factor of a^2; `gain` (n,) dB: the fall of the CRB; `formula` (n,) dB: the factor of the closed form;
        `loss` (n,) dB: CRB at the closed form's factor above that at the best one.
    """
    model, scene, step, channels, digest = _at_cap(system, seed, first, stop)
    beams, sensing = channels.design(step.beams)

    def crb(factor: np.ndarray) -> np.ndarray:
        v = step.v * np.sqrt(factor)[:, None]
        design = model.design(beams=beams, sensing_beams=sensing, coefficients=v)
        return np.asarray(model.evaluate(scene, model.canonical(scene, design)).objective)

    best, _ = joint_scaling(channels, step.v, step.beams)
    formula = stationary_point(channels, step.v, step.beams)
    return {
        "scenes": digest,
        "feasible": np.asarray(step.feasible),
        "beta": 10.0 * np.log10(best),
        "gain": crb(np.ones(len(scene))) - crb(best),
        "formula": 10.0 * np.log10(formula),
        "loss": crb(formula) - crb(best),
    }


def noise(system: System, seed: int, first: int, stop: int) -> Arrays:
    """The neglected noise (n,) dB over the noise of the second pass, and the loop gain a ||H||, at the design of `ao`."""
    model, scene, rng, digest = chunk_of(system, seed, first, stop)
    solution = baselines.make("ao", model).solve(model.known(scene), rng)
    largest = np.abs(solution.design.coefficients).max(1)
    return {
        "scenes": digest,
        "feasible": np.asarray(solution.feasible),
        "ratio": model.diagnostics(scene, solution.design)["neglected_noise_db"],
        "loop": 20.0 * np.log10(largest * np.linalg.norm(scene.target_response, 2, axis=(1, 2))),
    }


@dataclass(kw_only=True)
class WithoutScaling(AlternatingOptimisation):
    """`ao` without the joint scaling."""

    name: str = "ao_without_scaling"

    def surface(
        self, channels: Channels, v: ComplexArray, beams: Beams, generators: list[np.random.Generator]
    ) -> tuple[ComplexArray, ComplexArray]:
        """Phase step, amplitude step."""
        a = np.abs(v)
        u = self.phase_step(channels, a, v / a, beams, generators)
        moved = self.amplitude_step(channels, a, u, beams) * u
        return moved, moved


def gaps(system: System, policy: str, options: Mapping[str, Any], seed: int, first: int, stop: int) -> Arrays:
    """Gap of a policy to the bound (n,) dB, `rounds` (n,) after which it does not change, `seconds` (n,) of CPU per scene."""
    model, scene, rng, digest = chunk_of(system, seed, first, stop)
    made: Any = WithoutScaling if policy == "ao_without_scaling" else None
    solver: Any = made(system=model, **options) if made else baselines.make(policy, model, **options)
    begin = time.process_time()
    solution = solver.solve(model.known(scene), rng)
    seconds = (time.process_time() - begin) / len(scene)
    found = baselines.bound(model, scene)
    metrics = model.evaluate(scene, solution.design)
    moved = np.abs(np.diff(solution.history, axis=0)) > 1e-9
    last = np.where(moved.any(0), len(moved) - np.argmax(moved[::-1], axis=0), 0) if len(moved) else np.zeros(len(scene))
    return {
        "scenes": digest,
        "feasible": np.asarray(metrics.feasible),
        "possible": np.asarray(found.status != "infeasible"),
        "objective": np.asarray(metrics.objective),
        "gap": np.asarray(metrics.objective) - np.asarray(found.value),
        "rounds": last,
        "seconds": np.full(len(scene), seconds),
    }
