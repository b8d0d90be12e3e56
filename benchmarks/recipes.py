"""The training recipes of `benchmarks/learning.py`: changes to `agents/hyperparameters/<system>.yaml`, by system and name.

`MAIN` are the learners that are compared; `ABLATIONS` change one thing of `refine` (PPO) or of `unfolded` at a time.
`fields` of a recipe are parameters of the system in training alone.
`REFERENCES` are the policies without learning beside them, `STRONG` the best local solver among these. These three are by `task`:
a system, or `<system>-<episode>` where scenes are sequential.
"""

from __future__ import annotations

from typing import Any

Recipe = dict[str, Any]

ONE_SHOT: Recipe = {
    "env": {"episode": "one_shot", "control": "full", "observation": "csi"},
    "network": {"kind": "flat", "hidden": 256, "ignore": ()},
}
LEARNERS: dict[str, Recipe] = {
    "refine": {},
    "one_shot": {**ONE_SHOT, "ppo": {"log_std_init": -0.5}},
    "sac_refine": {"algorithm": "sac"},
    "sac_one_shot": {
        "algorithm": "sac",
        **ONE_SHOT,
        "sac": {
            "train_freq": 1,
            "gradient_steps": 1,
            "critic_hidden": 128,
            "learning_rate": 1e-3,
            "ent_coef": 1e-3,
            "log_std_init": -0.5,
            "target_entropy": -1.5,
        },
    },
    "unfolded": {"algorithm": "unfolded"},
}
"""`refine` is the YAML file as it is; `one_shot` the papers' form: raw channels in, a design out."""

MAIN: dict[str, tuple[str, ...]] = {
    "beampattern": tuple(LEARNERS),
    "active_crb": ("refine", "unfolded"),
    "multifunctional": ("refine", "unfolded"),
    "nonorthogonal": ("one_shot", "refine"),
    "nonorthogonal-tracking": ("aim", "tracking"),
    "vehicular": ("full",),
    "anchor": ("entropy",),
}
"""What is trained unless recipes are named."""


def ablations(channels: tuple[str, ...]) -> dict[str, Recipe]:
    """What the systems share; `channels` are the parts of the observation that hold them."""
    return {
        "ppo_csi": {"env": {"observation": "csi"}, "network": {"ignore": ()}},
        "ppo_no_ascent": {"network": {"ignore": (*channels, "ascent", "ascent_log_norm")}},
        "ppo_surface": {"env": {"control": "surface"}},
        "ppo_horizon_8": {"env": {"horizon": 8}},
        "ppo_horizon_32": {"env": {"horizon": 32}},
        "ppo_step_0.1": {"env": {"step_size": 0.1}},
        "ppo_step_0.5": {"env": {"step_size": 0.5}},
        "unfolded_8_layers": {"algorithm": "unfolded", "unfolded": {"layers": 8}},
        "unfolded_16_layers": {"algorithm": "unfolded", "unfolded": {"layers": 16}},
        "unfolded_no_elements": {"algorithm": "unfolded", "unfolded": {"width": 0}},
        "unfolded_schedule": {"algorithm": "unfolded", "unfolded": {"width": 0, "context": False}},
        "unfolded_surface": {"algorithm": "unfolded", "unfolded": {"control": "surface", "layers": 16, "batch": 32}},
        "unfolded_structured": {"algorithm": "unfolded", "unfolded": {"control": "structured", "layers": 16, "batch": 32}},
    }


ABLATIONS: dict[str, dict[str, Recipe]] = {
    "beampattern": ablations(("bs_ris", "ris_user", "bs_user")) | {"ppo_structured": {"env": {"control": "structured"}}},
    "active_crb": ablations(("bs_ris", "ris_user", "target_response")) | {"ppo_full": {"env": {"control": "full"}}},
    "multifunctional": ablations(("bs_ris", "bs_sensor", "ris_user", "target_steering", "sensor_steering"))
    | {
        "ppo_structured": {"env": {"control": "structured"}},
        "ppo_full": {"env": {"control": "full"}},
        "unfolded_constant": {"algorithm": "unfolded", "unfolded": {"anneal": False}},
    },
}
"""Observation, control, horizon and step size of PPO in `refine`; parts of the unfolded network. `ppo_no_ascent`: the local
frame with the first derivative alone; `unfolded_no_elements`: without the network shared over elements; `unfolded_schedule`:
learned schedule alone; `unfolded_constant`: first metric equal in all layers. A recipe that names what the YAML file has anyway
repeats `refine` or `unfolded`."""

NONORTHOGONAL: dict[str, Recipe] = {
    "one_shot": {},
    "refine": {"env": {"episode": "refine"}, "ppo": {"num_envs": 128, "n_steps": 16, "gamma": 0.9}},
    "tracking": {
        "env": {"episode": "tracking"},
        "network": {"keep": 1.0},
        "ppo": {"num_envs": 128, "n_steps": 8, "gamma": 0.0},
    },
    "aim": {"algorithm": "aim", "env": {"episode": "tracking"}},
}
"""The YAML file is `one_shot` here, an index per element; `refine` sets one per step. Of a moving user: `tracking` sets all in
every frame, `aim` learns where to point."""
VEHICULAR: dict[str, Recipe] = {
    "full": {},
    "surface": {"env": {"control": "surface"}},
    "box": {"env": {"action": "box"}, "ppo": {"ent_coef": 0.0}},
    "short_sighted": {"ppo": {"gamma": 0.0}},
    "no_entropy": {"ppo": {"ent_coef": 0.0}},
    "flat": {"network": {"kind": "flat", "hidden": 64, "critic": "global"}},
}
"""The YAML file is `full`: share and widths of every vehicle, as indices. `surface`: the widths alone, the share is need-only
(without a requirement: event-triggered). The others change one thing of `full`; `short_sighted` values the frame at hand
alone."""
ENTROPY: Recipe = {"fields": {"score_kind": "entropy"}}
ANCHOR: dict[str, Recipe] = {
    "entropy": ENTROPY,
    "hit": {"ppo": {"gamma": 1.0}},
    "short_sighted": {**ENTROPY, "ppo": {"gamma": 0.0}},
    "flat": {**ENTROPY, "network": {"kind": "flat", "hidden": 128}},
}
"""`entropy`: rewarded in training for what a pilot takes from the posterior's entropy; `hit`: for the right beam at the end. Both
are compared by hits. `short_sighted` values the pilot at hand alone, as `information_greedy` does."""
RECIPES: dict[str, dict[str, Recipe]] = {system: LEARNERS | changes for system, changes in ABLATIONS.items()} | {
    "nonorthogonal": NONORTHOGONAL,
    "vehicular": VEHICULAR,
    "anchor": ANCHOR,
}

REFERENCES: dict[str, tuple[str, ...]] = {
    "beampattern": ("ao", "joint", "separate", "information_only", "prox_linear", "gradient", "random"),
    "active_crb": ("ao", "direct", "transmit_only", "zero_forcing", "prox_linear", "gradient", "random"),
    "multifunctional": ("ao", "ascent", "prox_linear", "gradient", "random"),
    "nonorthogonal": ("coordinate_descent", "cross_entropy", "align", "max_gain", "gradient", "random"),
    "nonorthogonal-tracking": ("hold", "fold", "widen", "oracle", "cross_entropy", "align", "random"),
    "vehicular": (
        "look_ahead_wider", "look_ahead_wide", "look_ahead", "myopic_wide", "myopic",
        "need_only_wider", "need_only_wide", "need_only", "event_wider", "event_wide", "event",
        "fixed_wide", "fixed", "always_wide", "always", "never_wide", "never", "random",
    ),
    "anchor": ("information_greedy", "posterior_matching", "thompson", "exhaustive", "random"),
}
STRONG = {
    "beampattern": "joint", "active_crb": "direct", "multifunctional": "ascent", "nonorthogonal": "coordinate_descent",
    "nonorthogonal-tracking": "hold", "vehicular": "look_ahead_wide", "anchor": "information_greedy",
}  # fmt: skip
"""Where the system (of a preset) does not have it, the paper's proposal takes its place. In tracking: what is to be beaten."""

EPISODES = {"vehicular": 64, "anchor": 512}
"""Validation scenes where each is an episode of many decisions; 16 where these are dear."""


def task(system: str, episode: str | None = None) -> str:
    """What is learned: the key of `MAIN`, `REFERENCES` and `STRONG`."""
    return system if episode is None else f"{system}-{episode}"


def label(recipe: str) -> str:
    """The recipe with its algorithm, for people."""
    algorithm, _, rest = recipe.partition("_")
    if algorithm not in ("ppo", "sac", "unfolded", "aim"):
        algorithm, rest = "ppo", recipe
    return f"{algorithm.upper() if len(algorithm) == 3 else algorithm} {rest.replace('_', ' ')}".strip()
