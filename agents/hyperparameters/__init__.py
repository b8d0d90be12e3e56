"""Hyperparameters: typed records, and one YAML file per environment over `default.yaml`.

`load("beampattern")` reads `default.yaml`, then `beampattern.yaml` over it. Values in these files were chosen on
validation scenes only.
"""

from __future__ import annotations

import dataclasses
import math
from importlib import resources
from typing import Any, Literal

from agents.hyperparameters.aim import AimSettings
from agents.hyperparameters.ppo import PPOSettings
from agents.hyperparameters.sac import SACSettings
from agents.hyperparameters.unfolded import UnfoldedSettings

__all__ = [
    "SECTIONS", "AimSettings", "EnvSettings", "Hyperparameters", "Network", "PPOSettings", "SACSettings", "UnfoldedSettings",
    "load",
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Network:
    """The actor and the critic, see `agents.networks`."""

    kind: Literal["token", "flat", "tree"] = "token"
    """`token`: shared over elements and antennas, for any number of them; `flat`: a plain multilayer perceptron; `tree`: shared
    over the codewords of a hierarchical codebook."""
    hidden: int = 64
    """Width of the hidden layers."""
    skip_init: dict[str, float] = dataclasses.field(default_factory=dict)
    """First values of the learned factors with which the observed directions (`direction`, `ascent[0]`, ...) are added to the
    action (token networks); the others are 0."""
    ignore: tuple[str, ...] = ()
    """Parts of the observation that a token network does not see."""
    raw_phases: bool = False
    """Whether tokens see their raw phases."""
    keep: float = 0.0
    """Discrete actions: what the logit of the current index is above those of the others at first; 0: nothing."""
    relative: bool = False
    """Discrete actions: whether logits of phases are for rotations from the current index."""
    critic: Literal["global", "tokens"] = "global"
    """What PPO's critic of a token network sees: the global numbers alone (margins, gains, time left), or the tokens too."""

    def __post_init__(self) -> None:
        if self.critic not in ("global", "tokens"):
            raise ValueError(f"network.critic must be 'global' or 'tokens', got {self.critic!r}")
        if self.hidden < 1:
            raise ValueError(f"network.hidden must be at least 1, got {self.hidden}")
        if not math.isfinite(self.keep):
            raise ValueError(f"network.keep must be finite, got {self.keep!r}")

    def spec(self) -> dict[str, Any]:
        """The description that an artefact stores."""
        spec = dataclasses.asdict(self) | {"ignore": list(self.ignore)}
        if self.kind != "token":
            del spec["skip_init"]
        if self.kind != "token" or self.critic == "global":
            del spec["critic"]
        for name in ("keep", "relative"):  # only discrete actions have them
            if not spec[name]:
                del spec[name]
        return spec


@dataclasses.dataclass(frozen=True)
class EnvSettings:
    """Keywords of the environment; None leaves the environment's own default."""

    episode: str = "refine"
    control: str | None = None
    action: str | None = None
    observation: str | None = "local"
    horizon: int | None = None
    step_size: float | None = None
    start: str | None = None
    penalty: float | None = None
    csi_error: float | None = None
    dtype: str | None = None

    def kwargs(self) -> dict[str, Any]:
        """The keywords that are set."""
        return {key: value for key, value in dataclasses.asdict(self).items() if value is not None}


@dataclasses.dataclass(frozen=True)
class Hyperparameters:
    """Everything that one YAML file may set: a section for every algorithm, and what they share."""

    ppo: PPOSettings = dataclasses.field(default_factory=PPOSettings)
    sac: SACSettings = dataclasses.field(default_factory=SACSettings)
    unfolded: UnfoldedSettings = dataclasses.field(default_factory=UnfoldedSettings)
    aim: AimSettings = dataclasses.field(default_factory=AimSettings)
    network: Network = dataclasses.field(default_factory=Network)
    env: EnvSettings = dataclasses.field(default_factory=EnvSettings)

    def of(self, algorithm: str) -> dict[str, dict[str, Any]]:
        """The sections that define a run of `algorithm`, as plain dicts: its own and the shared ones."""
        return {name: dataclasses.asdict(getattr(self, name)) for name in (algorithm, "network", "env")}


SECTIONS: dict[str, Any] = {
    "ppo": PPOSettings,
    "sac": SACSettings,
    "unfolded": UnfoldedSettings,
    "aim": AimSettings,
    "network": Network,
    "env": EnvSettings,
}
"""Section of a YAML file -> its record."""


def load(system: str) -> Hyperparameters:
    """The hyperparameters of a system: `default.yaml` with `<system>.yaml` over it, if there is one."""
    import yaml

    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for name in ("default.yaml", f"{system}.yaml"):
        file = resources.files(__package__).joinpath(name)
        if not file.is_file():
            continue
        for section, values in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).items():
            if section not in sections:
                raise ValueError(f"{name}: section {section!r} must be one of {sorted(sections)}")
            sections[section].update(values or {})
    return Hyperparameters(**{name: _build(cls, sections[name], system) for name, cls in SECTIONS.items()})


def _build(cls: type, values: dict[str, Any], system: str) -> Any:
    known = {field.name for field in dataclasses.fields(cls)}
    if unknown := sorted(set(values) - known):
        raise ValueError(f"hyperparameters of {system!r}: {cls.__name__} has no {unknown}; it has {sorted(known)}")
    return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
