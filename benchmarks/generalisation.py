"""How far do trained agents carry: other thresholds, sizes, users, angles, and errors of the known channels.

    python benchmarks/generalisation.py --agents unfolded=runs/a,runs/b refine=runs/c,runs/d
    python benchmarks/generalisation.py --system nonorthogonal --name nonorthogonal-generalisation --agents one_shot=runs/a,runs/b

Every condition has its own frozen test scenes; agents act as they were trained (nothing is retrained), beside the system's
`REFERENCES`, the first of which differences are taken to. Results: `<folder>/<name>.csv`, `.json`, `.png`; finished conditions
are kept, so the command goes on after an interruption. A network that does not fit a condition's observation is left out there.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - after the number of threads

USERS = {"sinr_threshold_db": 8.0, "user_radius_m": 5.0}
BEAMPATTERN: dict[str, tuple[dict[str, Any], float]] = {
    "as trained": ({}, 0.0),
    "SNR 10 dB": ({"sinr_threshold_db": 10.0}, 0.0),
    "SNR 19 dB": ({"sinr_threshold_db": 19.0}, 0.0),
    "SNR 25 dB": ({"sinr_threshold_db": 25.0}, 0.0),
    "SNR 28 dB": ({"sinr_threshold_db": 28.0}, 0.0),
    "N = 8": ({"num_elements": 8, "sinr_threshold_db": 10.0}, 0.0),
    "N = 16": ({"num_elements": 16, "sinr_threshold_db": 16.0}, 0.0),
    "N = 48": ({"num_elements": 48}, 0.0),
    "N = 64": ({"num_elements": 64}, 0.0),
    "N = 64, 28 dB": ({"num_elements": 64, "sinr_threshold_db": 28.0}, 0.0),
    "M = 4": ({"num_antennas": 4}, 0.0),
    "M = 16": ({"num_antennas": 16}, 0.0),
    "CSI error 0.05": ({}, 0.05),
    "CSI error 0.1": ({}, 0.1),
    "CSI error 0.2": ({}, 0.2),
    "K = 2": ({"num_users": 2, **USERS}, 0.0),
    "K = 3, not cancelled": ({"num_users": 3, "cancel_sensing": False, **USERS}, 0.0),
    "sectors": ({"preset": "sectors"}, 0.0),
}
NONORTHOGONAL: dict[str, tuple[dict[str, Any], float]] = {
    "as trained": ({}, 0.0),
    "L = 4": ({"surface_shape": (2, 2)}, 0.0),
    "L = 36": ({"surface_shape": (6, 6)}, 0.0),
    "L = 64": ({"surface_shape": (8, 8)}, 0.0),
    "SNR -20 dB": ({"snr_db": -20.0}, 0.0),
    "SNR 20 dB": ({"snr_db": 20.0}, 0.0),
    "users at 30 m": ({"ris_user_distance_m": 30.0}, 0.0),
    "azimuths to 80 deg": ({"max_azimuth_deg": 80.0}, 0.0),
    "direction error 0.1": ({}, 0.1),
    "direction error 0.3": ({}, 0.3),
    "weight 0.25": ({"weight": 0.25}, 0.0),
    "weight 0.75": ({"weight": 0.75}, 0.0),
}
VEHICULAR: dict[str, tuple[dict[str, Any], float]] = {
    "as trained": ({"preset": "tracking"}, 0.0),
    "K = 2": ({"preset": "tracking", "num_users": 2}, 0.0),
    "K = 5": ({"preset": "tracking", "num_users": 5}, 0.0),
    "25 to 30 m/s": ({"preset": "tracking", "speed_min_mps": 25.0, "speed_max_mps": 30.0}, 0.0),
    "acceleration 4 times": ({"preset": "tracking", "acceleration_psd_m2ps3": 2.0}, 0.0),
    "reports of 0.5 m": ({"preset": "tracking", "report_std_m": 0.5}, 0.0),
    "reports of 5 m": ({"preset": "tracking", "report_std_m": 5.0}, 0.0),
    "reports every 40 frames": ({"preset": "tracking", "report_period": 40}, 0.0),
    "echoes 5 dB weaker": ({"preset": "tracking", "self_interference_db": 90.0}, 0.0),
    "echoes 5 dB stronger": ({"preset": "tracking", "self_interference_db": 100.0}, 0.0),
    "32 columns": ({"preset": "tracking", "num_cols": 32}, 0.0),
}
CONDITIONS = {"beampattern": BEAMPATTERN, "nonorthogonal": NONORTHOGONAL, "vehicular": VEHICULAR}
"""System -> name -> its fields, error of what is known (relative error of channels; of directions in beam widths)."""

REFERENCES = {
    "beampattern": ("joint", "ao", "prox_linear"),
    "nonorthogonal": ("cross_entropy", "coordinate_descent", "align"),
    "vehicular": ("look_ahead_wider", "look_ahead_wide"),
}


def condition(system_name: str, name: str, agents: dict[str, tuple[str, ...]], scenes: int) -> list[dict[str, Any]]:
    """The rows of one condition, gaps taken to the first reference."""
    import ris_gym
    from agents.comparison import compare, resolve
    from agents.scenes import frozen_scenes

    fields, csi_error = CONDITIONS[system_name][name]
    references = REFERENCES[system_name]
    system = ris_gym.systems.make(system_name, **fields)
    policies: dict[str, Any] = {reference: reference for reference in references}
    for label, runs in agents.items():
        try:
            policies[label] = tuple(resolve(system, run)[1] for run in runs)
        except ValueError as error:
            print(f"{name}: {label} left out: {error}")
    frozen = frozen_scenes(system, "test", scenes, csi_error)
    table = compare(system, policies, scenes=frozen, reference=references[0], bound=csi_error == 0.0, single=0)
    return [{"condition": name, "scenes": frozen.name, **row} for row in table.rows]


def draw(path: Path, rows: list[dict[str, Any]], reference: str) -> None:
    """Penalised score minus that of the reference, by condition."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from agents.files import write_bytes

    names = list(dict.fromkeys(row["condition"] for row in rows))
    policies = [name for name in dict.fromkeys(row["policy"] for row in rows) if name != reference]
    figure, axes = plt.subplots(figsize=(8.5, 0.36 * len(names) + 1.4), layout="constrained")
    width = 0.8 / len(policies)
    for i, policy in enumerate(policies):
        own = [row for row in rows if row["policy"] == policy]
        at = [names.index(row["condition"]) + (i - (len(policies) - 1) / 2) * width for row in own]
        value = np.array([row["score_minus_reference"] for row in own])
        low, high = (np.array([row[f"score_minus_reference_{end}"] for row in own]) for end in ("low", "high"))
        axes.errorbar(value, at, xerr=[value - low, high - value], fmt="o", ms=3.5, lw=1.0, color=f"C{i}", label=policy)
    axes.axvline(0.0, color="k", lw=0.8)
    if reference == "joint":
        axes.axvline(-0.02, color="k", lw=0.8, ls=":")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    unit = "; 0.1 = 1 dB" if reference == "joint" else ""
    axes.set_xlabel(f"penalised score minus that of {reference} (95 % interval{unit})")
    axes.grid(alpha=0.3, axis="x")
    figure.legend(loc="outside upper center", ncols=len(policies), fontsize=8)
    import io

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    write_bytes(path, buffer.getvalue())


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", nargs="+", required=True, metavar="NAME=RUN,RUN", help="groups of runs")
    parser.add_argument("--system", default="beampattern", choices=list(CONDITIONS))
    parser.add_argument("--conditions", nargs="+", help="default: all of the system")
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=Path("runs/generalisation"))
    parser.add_argument("--name", default="generalisation", help="files are <folder>/<name>.csv, .json, .png")
    arguments = parser.parse_args()
    known, reference = CONDITIONS[arguments.system], REFERENCES[arguments.system][0]
    if unknown := sorted(set(arguments.conditions or ()) - set(known)):
        parser.error(f"argument --conditions: {unknown} must be of {list(known)} for {arguments.system}")
    from agents.files import jsonable, write_csv, write_json

    agents = {name: tuple(runs.split(",")) for name, _, runs in (text.partition("=") for text in arguments.agents)}
    settings = jsonable({"agents": agents, "scenes": arguments.scenes})
    settings |= {} if arguments.system == "beampattern" else {"system": arguments.system}
    rows: list[dict[str, Any]] = []
    for name in arguments.conditions or known:
        path = arguments.folder / "conditions" / f"{name.replace(' ', '_').replace(',', '')}.json"
        stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if stored.get("settings") != settings:
            stored = {"settings": settings, "rows": jsonable(condition(arguments.system, name, agents, arguments.scenes))}
            write_json(path, stored)
        rows += stored["rows"]
        for row in stored["rows"]:
            print(
                f"{name:<22} {row['policy']:<12} {row['score']:+.3f}  minus {reference} {row['score_minus_reference']:+.3f} "
                f"[{row['score_minus_reference_low']:+.3f}, {row['score_minus_reference_high']:+.3f}]  "
                f"violated {100 * row['violation_rate']:.1f} %",
                flush=True,
            )
    path = arguments.folder / arguments.name
    write_csv(path.with_suffix(".csv"), rows)
    write_json(path.with_suffix(".json"), {"settings": settings, "reference": reference, "rows": rows})
    draw(path.with_suffix(".png"), rows, reference)


if __name__ == "__main__":
    main()
