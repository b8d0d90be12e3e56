"""The training recipes of `benchmarks/learning.py`: changes to `agents/hyperparameters/<system>.yaml`, by name.

`MAIN` are the learners that are compared; `ABLATIONS` change one thing of `refine` (PPO) or of `unfolded` at a time.
"""

from __future__ import annotations

from typing import Any

Recipe = dict[str, Any]

CHANNELS = ("bs_ris", "ris_user", "bs_user")
ONE_SHOT: Recipe = {
    "env": {"episode": "one_shot", "control": "full", "observation": "csi"},
    "network": {"kind": "flat", "hidden": 256, "ignore": ()},
}
MAIN: dict[str, Recipe] = {
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

ABLATIONS: dict[str, Recipe] = {
    "ppo_csi": {"env": {"observation": "csi"}, "network": {"ignore": ()}},
    "ppo_no_ascent": {"network": {"ignore": (*CHANNELS, "ascent", "ascent_log_norm")}},
    "ppo_structured": {"env": {"control": "structured"}},
    "ppo_surface": {"env": {"control": "surface"}},
    "ppo_horizon_8": {"env": {"horizon": 8}},
    "ppo_horizon_32": {"env": {"horizon": 32}},
    "ppo_step_0.1": {"env": {"step_size": 0.1}},
    "ppo_step_0.5": {"env": {"step_size": 0.5}},
    "unfolded_8_layers": {"algorithm": "unfolded", "unfolded": {"layers": 8}},
    "unfolded_16_layers": {"algorithm": "unfolded", "unfolded": {"layers": 16}},
    "unfolded_no_elements": {"algorithm": "unfolded", "unfolded": {"width": 0}},
    "unfolded_schedule": {"algorithm": "unfolded", "unfolded": {"width": 0, "context": False}},
    "unfolded_surface": {"algorithm": "unfolded", "env": {"control": "surface"}, "unfolded": {"layers": 16, "batch": 32}},
    "unfolded_structured": {"algorithm": "unfolded", "env": {"control": "structured"}, "unfolded": {"layers": 16, "batch": 32}},
}
"""Observation, control, horizon and step size of PPO in `refine`; parts of the unfolded network. `ppo_no_ascent`: the local
frame with the first derivative alone; `unfolded_no_elements`: without the network shared over elements; `unfolded_schedule`:
learned schedule alone."""

RECIPES: dict[str, Recipe] = MAIN | ABLATIONS


def label(recipe: str) -> str:
    """The recipe with its algorithm, for people."""
    algorithm = RECIPES[recipe].get("algorithm", "ppo")
    rest = recipe.removeprefix(algorithm).strip("_").replace("_", " ")
    return f"{algorithm.upper() if len(algorithm) == 3 else algorithm} {rest}".strip()
