"""The system `anchor`: parameters, scenes, metrics, decisions. Source: the model page, part B."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ris_gym import diagnostics
from ris_gym import variables as var
from ris_gym.arrays import Array, namespace
from ris_gym.systems import checks
from ris_gym.systems.anchor import codebook, physics
from ris_gym.systems.anchor.records import AnchorDesign, AnchorMetrics, AnchorScene
from ris_gym.systems.base import Episode, System, check_control, check_raw

SCORES = ("hit", "gain", "entropy")
PILOTS = Episode(
    "pilots", "blocks", "terminated", length="num_pilots", designed=False,
    fixed=("horizon", "start", "step_size", "csi_error", "correlation"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Anchor(System):
    """A device finds its direction psi from the powers of its own pilots, echoed by a surface whose codewords it chooses.

    Pilot: `z = |sqrt(S) exp(j phi) + n|^2`, `S = snr |g_w(psi)|^2`, `g_w(psi) = sum_i v_i exp(j pi i psi)`, phi unknown. The
    belief is the posterior of psi on G = `oversample` N points, from a uniform prior. Objective: 1 if the announced beam (of N)
    is the right one.

    Args:
        num_elements: N, a power of two (spacing of a quarter of the wavelength); num_pilots: T.
        oversample: points of the posterior per beam.
        element_snr_db: SNR of one element; with all N in phase 20 lg N more.
        wide_codewords: codewords below the finest level, `phase` (unit modulus) or `off` (elements switched off).
        codeword_iterations: alternating projections of `phase`.
        pilot_cost: of a pilot, in units of the score.
        score_kind: what is scored beside the pilots: `hit` (1 for the right beam, at the end), `gain` (lg of the gain of the
            announced beam over N^2, plus 1, at the end), `entropy` (fall of the posterior's entropy, bit / log2 N, every pilot).
        allow_stop: one more action, 2 N - 2, ends at once.

    Raises:
        ValueError, TypeError: a field breaks its rule; the message names field, value and rule.

    Source: model page, part B (arXiv survey on intelligent surfaces, Section IV-D; formulas and numbers ours).
    """

    name: ClassVar[str] = "anchor"
    unit: ClassVar[str] = "hit"
    default_penalty: ClassVar[float] = 0.0
    controls: ClassVar[tuple[str, ...]] = ("full", "surface")
    observations: ClassVar[tuple[str, ...]] = ("csi",)
    episodes: ClassVar[tuple[Episode, ...]] = (PILOTS,)
    hidden: ClassVar[tuple[str, ...]] = ("direction", "pilot_phase", "pilot_noise")
    csi_errors: ClassVar[bool] = False
    final: ClassVar[tuple[str, ...]] = ("objective", "entropy_bits", "pilots", "direction_error")
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {},
        "low": {"element_snr_db": -26.0},
        "high": {"element_snr_db": -18.0},
        "stop": {"allow_stop": True, "num_pilots": 48},
    }
    scene: ClassVar[type] = AnchorScene
    design: ClassVar[type] = AnchorDesign

    num_elements: int = 64
    num_pilots: int = 24
    oversample: int = 4
    element_snr_db: float = -22.0
    wide_codewords: str = "phase"
    codeword_iterations: int = 200
    pilot_cost: float = 0.02
    score_kind: str = "hit"
    allow_stop: bool = False

    def __post_init__(self) -> None:
        for name, least, most in (
            ("num_elements", 2, 4096), ("num_pilots", 1, None), ("oversample", 1, 64), ("codeword_iterations", 0, 10**5),
        ):  # fmt: skip
            object.__setattr__(self, name, checks.integer(name, getattr(self, name), least, most))
        if self.num_elements & (self.num_elements - 1):
            raise ValueError(f"num_elements must be a power of two, got {self.num_elements!r}")
        object.__setattr__(self, "element_snr_db", checks.real("element_snr_db", self.element_snr_db, -100.0, 60.0))
        object.__setattr__(self, "pilot_cost", checks.real("pilot_cost", self.pilot_cost, 0.0, 1.0))
        for name, allowed in (("wide_codewords", codebook.KINDS), ("score_kind", SCORES)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}")
        checks.flag("allow_stop", self.allow_stop)

    # -- derived ------------------------------------------------------------------------------------------------------------

    @property
    def num_codewords(self) -> int:
        """2 N - 2; the action that stops has this index."""
        return 2 * self.num_elements - 2

    @property
    def element_snr(self) -> float:
        """SNR of one element, linear."""
        return float(10.0 ** (self.element_snr_db / 10.0))

    @property
    def num_points(self) -> int:
        """G, points of the posterior."""
        return self.oversample * self.num_elements

    @cached_property
    def grid(self) -> np.ndarray:
        """psi_g = -1 + (2 g + 1) / G, (G,)."""
        return np.asarray(-1.0 + (2.0 * np.arange(self.num_points) + 1.0) / self.num_points)

    def beam(self, direction: np.ndarray) -> np.ndarray:
        """Beam of a direction, `min(N - 1, floor((psi + 1) N / 2))`, int64."""
        found = np.floor((np.asarray(direction) + 1.0) * (0.5 * self.num_elements))
        return np.clip(found, 0, self.num_elements - 1).astype(np.int64)

    def coefficients(self, design: AnchorDesign) -> np.ndarray:
        """v (B, N) of the codewords of a design, complex128; 0 where it stops."""
        v = codebook.codebook(self.num_elements, self.wide_codewords, self.codeword_iterations)
        index = np.asarray(design.codeword)
        return np.where((index < self.num_codewords)[:, None], v[np.minimum(index, self.num_codewords - 1)], 0.0)

    def masses(self, known: AnchorScene) -> np.ndarray:
        """Posterior mass of every beam, (B, N)."""
        return physics.belief(self, np.asarray(known.log_posterior)).mass

    def defaults_for(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Discrete actions; an episode has `num_pilots` steps."""
        return {"action": "discrete", "horizon": self.num_pilots}

    # -- the world ----------------------------------------------------------------------------------------------------------

    def sample(
        self, rng: np.random.Generator, batch: int = 1, csi_error: float = 0.0, dtype: str = "complex128"
    ) -> AnchorScene:
        """Draw episodes: a uniform direction, the phases and noises of all pilots, the uniform belief.

        Raises:
            ValueError: `batch`, `csi_error` (which must be 0: the belief is the error) or `dtype` is out of range.
        """
        checks.integer("batch", batch, 0)
        if csi_error:
            raise ValueError(f"csi_error must be 0 for {self.name}, got {csi_error!r}")
        shape = (batch, self.num_pilots)
        normal = rng.standard_normal((2, *shape))
        scene = AnchorScene(
            direction=2.0 * rng.random(batch) - 1.0,
            pilot_phase=2.0 * np.pi * rng.random(shape),
            pilot_noise=math.sqrt(0.5) * (normal[0] + 1j * normal[1]),
            **self._fresh(batch),
        )
        return scene.astype(dtype)

    def _fresh(self, batch: int) -> dict[str, np.ndarray]:
        """Nothing sent, nothing known."""
        shape = (batch, self.num_pilots)
        return {
            "log_posterior": np.zeros((batch, self.num_points)), "codeword": np.full(shape, -1, np.int64),
            "power": np.zeros(shape), "frame": np.zeros(batch, np.int64),
        }  # fmt: skip

    def frames(self, scene: AnchorScene) -> int:
        """Decisions that the scenes still hold, the least of the batch."""
        return int(np.min(np.where(self.finished(scene), 0, self.num_pilots - scene.frame), initial=self.num_pilots))

    def finished(self, scene: AnchorScene) -> np.ndarray:
        """(B,) bool: all pilots are used, or the device has stopped."""
        return physics.ended(self, scene)

    def success(self, metrics: AnchorMetrics) -> np.ndarray:  # type: ignore[override]
        """Whether the decision is the right beam."""
        return np.asarray(metrics.objective > 0.5)

    def check_scene(self, arrays: Mapping[str, np.ndarray]) -> AnchorScene:
        """Validate arrays; without a belief nothing has been sent yet."""
        pilots = (self.num_pilots,)
        belief = {"log_posterior": (self.num_points,), "codeword": pilots, "power": pilots, "frame": ()}
        found = checks.scene_arrays(
            arrays, {"direction": (), "pilot_phase": pilots, "pilot_noise": pilots}, belief, {"pilot_noise"}
        )
        checks.all_or_none(found, tuple(belief))
        if np.any(np.abs(found["direction"]) > 1.0):
            raise ValueError(f"array 'direction' must be in [-1, 1], got {np.max(np.abs(found['direction'])):g}")
        if "frame" not in found:
            return AnchorScene(**found, **self._fresh(len(found["direction"])))
        for name, low, high in (("codeword", -1, self.num_codewords), ("frame", 0, self.num_pilots)):
            array = found[name]
            if np.any(wrong := (array < low) | (array > high) | (array != np.floor(array))):
                raise ValueError(f"array {name!r} must hold integers in [{low}, {high}], got {array[wrong][0]:g}")
            found[name] = array.astype(np.int64)
        if np.any(found["power"] < 0.0):
            raise ValueError("array 'power' must be at least 0")
        if np.any(np.abs(found["log_posterior"].max(axis=1)) > 1e-3):
            raise ValueError("array 'log_posterior' must have the maximum 0")
        return AnchorScene(**found)

    def evaluate(self, scene: AnchorScene, design: AnchorDesign) -> AnchorMetrics:
        """Metrics after the design's pilot; at what is known: before it. numpy only (a codeword has no derivative)."""
        return physics.play(self, scene, design, move=False)[0]

    def advance(
        self, scene: AnchorScene, design: AnchorDesign, rng: np.random.Generator, correlation: float, csi_error: float
    ) -> AnchorScene:
        """The scene after the design's pilot."""
        return self.step(scene, design, rng)[1]

    def step(
        self, scene: AnchorScene, design: AnchorDesign, rng: np.random.Generator, correlation: float = 0.95,
        csi_error: float = 0.0,
    ) -> tuple[AnchorMetrics, AnchorScene]:  # fmt: skip
        """Send the pilot and update the belief; all numbers are in the scene."""
        return physics.play(self, scene, design, move=True)

    def channel_diagnostics(self, scene: AnchorScene, design: AnchorDesign) -> dict[str, np.ndarray]:
        """`|g_w(psi)|^2 / N^2` of the codeword in dB, at least -200 (and where the device stops)."""
        sends = np.asarray(design.codeword) < self.num_codewords
        index = np.where(sends, design.codeword, 0)
        gain = physics.true_gain(self, np.asarray(scene.direction, float), index) / self.num_elements**2
        return {"channel_gain_db": diagnostics.gain_db(np.sqrt(np.where(sends, gain, 0.0))[:, None])}

    # -- decisions ----------------------------------------------------------------------------------------------------------

    @cached_property
    def _variables(self) -> var.Variables:
        return (var.Variable("codeword", (), "choice", "surface", self.num_codewords + self.allow_stop),)

    def variables(self, control: str = "full") -> var.Variables:
        """`codeword`, one of 2 N - 2 (one more with `allow_stop`)."""
        check_control(self, control)
        return self._variables

    def decode(self, known: AnchorScene, raw: Array, control: str = "full") -> AnchorDesign:
        """The codeword of a raw number (B, 1); the decision is the posterior's."""
        check_raw(self, known, raw, control)
        index = self._variables[0].value(raw)
        xp = namespace(index)
        return AnchorDesign(codeword=index, decision=xp.full_like(index, -1))

    def encode(self, known: AnchorScene, design: AnchorDesign, control: str = "full") -> np.ndarray:
        """The raw number of the codeword; a decision of its own is lost."""
        check_control(self, control)
        return np.asarray(self._variables[0].raw(self.project(known, design).codeword))

    def project(self, scene: AnchorScene, design: AnchorDesign) -> AnchorDesign:
        """Indices clipped to their ranges."""
        xp = namespace(design.codeword)
        n = self._variables[0].n
        assert n is not None
        return AnchorDesign(
            codeword=xp.clip(design.codeword, 0, n - 1), decision=xp.clip(design.decision, -1, self.num_elements - 1)
        )

    def start(self, known: AnchorScene, control: str = "full") -> np.ndarray:
        """The first half of all directions, codeword 0."""
        check_control(self, control)
        return np.tile(self._variables[0].raw(np.zeros((1, 1))), (len(known), 1))

    # -- what an agent sees -------------------------------------------------------------------------------------------------

    def observe_scene(self, known: AnchorScene) -> dict[str, np.ndarray]:
        """Beam masses, entropy, time left, SNR (model page, part B)."""
        found = physics.belief(self, np.asarray(known.log_posterior))
        left = 1.0 - np.asarray(known.frame, np.float32) / self.num_pilots
        task = np.full_like(left, self.element_snr_db / 20.0)
        return {
            "beam_mass": np.log10(self.num_elements * found.mass + 1e-3),
            "entropy": found.entropy[:, None] / math.log2(self.num_elements),
            "pilots_left": left[:, None],
            "element_snr": task[:, None],
        }
