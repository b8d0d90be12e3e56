"""`ris-gym list`: what there is."""

from __future__ import annotations

from pathlib import Path

__all__ = ["print_listing"]


def print_listing(folder: str) -> None:
    """Print environments with presets, policies with the paper's proposal first, scene sets, and the agents under `folder`."""
    from rich.console import Console
    from rich.table import Table

    import baselines
    import ris_gym
    from agents import artefact, test_sets

    console = Console()
    table = Table(title="environments")
    for heading in ("system", "environment", "presets", "policies"):
        table.add_column(heading, overflow="fold")
    for name in ris_gym.systems.names():
        cls = ris_gym.systems.get(name)
        policies = ", ".join(baselines.names(ris_gym.systems.make(name)))
        table.add_row(name, ris_gym.registry.get(name).id, ", ".join(cls.presets) or "-", policies)
    console.print(table)
    sets = Table(title="scene sets (SHA-256 of all scenes)")
    for heading in ("set", "scenes", "hash"):
        sets.add_column(heading)
    for entry in test_sets.SETS.values():
        sets.add_row(entry.name, str(entry.count), entry.sha256[:12])
    console.print(sets)
    agents = Table(title=f"agents in {folder}")
    for heading in ("agent", "system", "steps", "validation score"):
        agents.add_column(heading, overflow="fold")
    for path in sorted(Path(folder).glob("*")):
        if not path.is_dir() or not artefact.is_artefact(path):
            continue
        try:
            stored = artefact.read(path)
        except ValueError as error:
            agents.add_row(str(path), f"unreadable: {error}", "", "")
            continue
        curve = stored.training.get("curve") or [{}]
        best = max((point["penalised_score"] for point in curve if "penalised_score" in point), default=None)
        agents.add_row(
            str(path), str(stored.system.get("system")), str(stored.training.get("steps", "-")),
            "-" if best is None else f"{best:.3f}",
        )  # fmt: skip
    console.print(agents)
