"""The command line `ris-gym`.

    ris-gym list                                             environments, presets, policies, trained agents
    ris-gym demo [SYSTEM] --minutes 3                        train an agent and compare it with the optimisers
    ris-gym train [SYSTEM] --minutes 10 --ppo.num-envs 256   train an agent (--algorithm ppo, sac or unfolded)
    ris-gym compare [SYSTEM] --policies ao random runs/NAME  compare policies on frozen scenes
    ris-gym reproduce [FIGURE ...] --quick                   figures of the papers: CSV, JSON, PNG; without a name: the names
    ris-gym play [SYSTEM] --policy runs/NAME                 an episode as a GIF
    ris-gym bench                                            throughput of the environments

SYSTEM is a registered system (default beampattern); its parameters are flags such as --system.num-elements 64, over the values
of --preset NAME. `ris-gym COMMAND --help` lists all flags of a command.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["main"]

DEFAULT = "beampattern"
"""The system of a command line that names none."""


@dataclasses.dataclass(frozen=True)
class List:
    """Show environments, presets, policies and trained agents."""

    folder: str = "runs"
    """Where runs are."""


@dataclasses.dataclass(frozen=True)
class Compare:
    """Compare policies on the same frozen scenes and write CSV, JSON and PNG."""

    system: Any
    policies: tuple[str, ...] = ()
    """Names of baselines and folders of agents; NAME=FOLDER,FOLDER,... is one recipe with several runs. None given: the paper's
    proposal and `random`."""
    scenes: str | None = None
    """A declared set (`ris-gym list` shows them) or an npz file of channels; None: frozen test scenes."""
    count: int = 100
    """Number of scenes of the frozen set: the first ones."""
    episode: str | None = None
    """Form of episode that the scenes are drawn for, where it has scenes of its own; None: that of the agents, if any."""
    reference: str | None = None
    """The policy that differences are taken to; None: the paper's proposal."""
    csi_error: float = 0.0
    """Relative error of what the policies know (frozen test set)."""
    penalty: float | None = None
    """Penalised score = score - penalty * cost; None: the system's default."""
    seed: int = 0
    """Of the policies' own random numbers."""
    folder: str = "runs"
    name: str = "comparison"
    """Files are <folder>/<name>.csv, .json, .png."""


@dataclasses.dataclass(frozen=True)
class Play:
    """Record an episode of a policy as a GIF."""

    system: Any
    policy: str | None = None
    """A baseline or the folder of an agent; None: the paper's proposal."""
    scenes: str | None = None
    """A declared set or an npz file of channels; None: frozen test scenes."""
    episode: str | None = None
    """Form of episode; None: that of the agent or of the declared set, else the environment's default."""
    index: int = 0
    """Which scene."""
    output: str = "runs/play.gif"
    fps: float = 4.0
    """Frames per second."""


@dataclasses.dataclass(frozen=True)
class Bench:
    """Measure the throughput of every registered environment (one thread, CPU seconds)."""

    batches: tuple[int, ...] = (1, 16, 256, 4096)
    """Numbers of parallel environments."""
    sizes: tuple[str, ...] = ("4x16", "8x64")
    """Antennas x elements."""
    repeats: int = 5
    """Best of this many medians."""
    seconds: float = 0.3
    """CPU seconds per median."""
    solvers: bool = True
    """Also the fast form of the baselines against cvxpy (about half a minute)."""
    folder: str = "runs"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; errors in arguments and files are one line on stderr and exit code 2."""
    argv = list(sys.argv[1:] if argv is None else argv)
    commands: dict[str, Callable[[list[str]], None]] = {
        "list": _list,
        "demo": _demo,
        "train": _train,
        "compare": _compare,
        "reproduce": _reproduce,
        "play": _play,
        "bench": _bench,
    }
    if not argv or argv[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if argv else 2
    command = argv.pop(0)
    if command not in commands:
        print(f"ris-gym: command must be one of {', '.join(commands)}, got {command!r}", file=sys.stderr)
        return 2
    try:
        commands[command](argv)
    except (ValueError, TypeError, FileNotFoundError, RuntimeError) as error:
        if os.environ.get("RIS_GYM_TRACEBACK"):
            raise
        print(f"ris-gym {command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nris-gym {command}: interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def _parse(argv: list[str], cls: Any, prog: str) -> Any:
    import tyro

    return tyro.cli(cls, args=argv, prog=f"ris-gym {prog}")


def _system(argv: list[str]) -> tuple[Any, list[str]]:
    """The default system of a command line and the other arguments.

    It is `[SYSTEM]` with the values of `--preset` over the parameters that `--scenes` holds or is declared with; without SYSTEM
    it is the one that the scenes belong to. Without a preset and scenes it takes the preset of `--episode` (`--env.episode`), if
    that has one.
    """
    import ris_gym
    from agents import test_sets
    from agents.scenes import episode_preset

    rest, given = list(argv), None
    if rest and rest[0] in ris_gym.systems.names():
        given = rest.pop(0)
    elif rest and not rest[0].startswith("-"):
        raise ValueError(f"SYSTEM must be one of {ris_gym.systems.names()}, got {rest[0]!r}")
    preset = _flag(rest, "--preset", take=True)
    scenes = _flag(rest, "--scenes")
    found = None if scenes is None else test_sets.find(scenes)
    if found is not None:
        declared = found.system()
        if given not in (None, declared.name):
            raise ValueError(f"scenes: {scenes!r} belongs to system {declared.name!r}, not to {given!r}")
        return (declared if preset is None else ris_gym.systems.make(declared.name, preset=preset)), rest
    if scenes is not None:
        return system_of_file(scenes, given, preset), rest
    episode = _flag(rest, "--episode") or _flag(rest, "--env.episode")
    if preset is None:
        preset = episode_preset(ris_gym.systems.get(given or DEFAULT), episode)
    return ris_gym.systems.make(given or DEFAULT, preset=preset), rest


def _flag(argv: list[str], flag: str, take: bool = False) -> str | None:
    """The value of a flag, `--flag value` or `--flag=value` (None: it is not there); `take` removes it."""
    for i, word in enumerate(argv):
        if word == flag or word.startswith(f"{flag}="):
            value = word.partition("=")[2] if "=" in word else "".join(argv[i + 1 : i + 2])
            if take:
                del argv[i : i + (1 if "=" in word else 2)]
            return value
    return None


def system_of_file(path: str, name: str | None = None, preset: str | None = None) -> Any:
    """The system whose scenes a file holds: its stored parameters with the values of `preset` over them; of a file without, the
    system `name` (None: the default one) with the sizes of the arrays `bs_ris` (batch, elements, antennas) and `ris_user`
    (batch, users, elements), as far as they are parameters by themselves (not rows and columns, or users of each side).

    Raises:
        ValueError: the file belongs to another system, or the preset is unknown.
    """
    import ris_gym
    from ris_gym.arrays import load_npz

    arrays, meta = load_npz(path)
    if isinstance(meta.get("parameters"), dict):
        stored = ris_gym.load_scenes(path)[0]
        if name not in (None, stored.name):
            raise ValueError(f"scenes: {path!r} belongs to system {stored.name!r}, not to {name!r}")
        ris_gym.systems.make(stored.name, preset=preset)  # an unknown preset is named
        return dataclasses.replace(stored, **(stored.presets[preset] if preset is not None else {}))
    sizes: dict[str, int] = {}
    if "bs_ris" in arrays and arrays["bs_ris"].ndim == 3:
        sizes |= {"num_elements": arrays["bs_ris"].shape[1], "num_antennas": arrays["bs_ris"].shape[2]}
    if "ris_user" in arrays and arrays["ris_user"].ndim == 3:
        sizes |= {"num_users": arrays["ris_user"].shape[1]}
    system = ris_gym.systems.make(name or DEFAULT, preset=preset)
    counts = {field.name for field in dataclasses.fields(system) if isinstance(getattr(system, field.name), int)}
    return dataclasses.replace(system, **{key: value for key, value in sizes.items() if key in counts})


def _typed(cls: Any, system: Any, **defaults: Any) -> Any:
    """`cls` with the field `system` typed as the system's own class, so that its parameters are flags."""
    values = {"system": system, **defaults}
    fields = [(key, type(value), dataclasses.field(default=value)) for key, value in values.items()]
    typed = dataclasses.make_dataclass(cls.__name__, fields, bases=(cls,), frozen=True, kw_only=True)
    typed.__doc__ = cls.__doc__
    return typed


def _list(argv: list[str]) -> None:
    from agents.listing import print_listing

    print_listing(_parse(argv, List, "list").folder)


def _train_defaults(system: Any) -> dict[str, Any]:
    from agents.hyperparameters import SECTIONS, load

    hyper = load(system.name)
    return {name: getattr(hyper, name) for name in SECTIONS}


def _train(argv: list[str]) -> None:
    from agents.training import TrainConfig, train

    system, rest = _system(argv)
    result = train(_parse(rest, _typed(TrainConfig, system, **_train_defaults(system)), "train"))
    print(f"agent: {result.agent}  ({result.steps} steps, {result.seconds:.0f} s)")
    print(f"curves: tensorboard --logdir {result.folder}")


def _demo(argv: list[str]) -> None:
    from agents.demo import Demo, demo

    system, rest = _system(argv)
    demo(_parse(rest, _typed(Demo, system), "demo"))


def _compare(argv: list[str]) -> None:
    import baselines
    from agents.comparison import compare
    from agents.progress import Bars

    system, rest = _system(argv)
    config = _parse(rest, _typed(Compare, system), "compare")
    policies = _recipes(config.policies or (baselines.names(config.system)[0], "random"))
    what = {key: getattr(config, key) for key in ("scenes", "penalty", "seed", "reference", "episode", "count", "csi_error")}
    with Bars() as bars:
        table = compare(config.system, policies, progress=bars, **what)
    print(table)
    for path in table.save(config.folder, config.name):
        print(path)


def _recipes(policies: Sequence[str]) -> Any:
    """Policies of a command line: `NAME=A,B` stands for the runs A and B of one recipe."""
    if not any("=" in policy for policy in policies):
        return policies
    named: dict[str, Any] = {}
    for policy in policies:
        name, equals, runs = policy.partition("=")
        if name in named:
            raise ValueError(f"policies: two are named {name!r}")
        named[name] = tuple(runs.split(",")) if equals else policy
    return named


def _reproduce(argv: list[str]) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # before numpy is imported: many small matrices gain nothing from threads
    from agents.figures.answers import update_page
    from agents.progress import Bars
    from agents.reproduce import Reproduce, configuration, figures, read_overrides, reproduce, select

    words = next((i for i, word in enumerate(argv) if word.startswith("-")), len(argv))
    config = _parse(argv[words:], Reproduce, "reproduce")
    if config.list or not words:
        for name, figure in figures().items():
            print(f"{name:26} {figure.title}")
        return
    overrides = read_overrides(config.config) if config.config else None
    chosen = [(figure, configuration(figure, config.quick, config.scenes, overrides)) for figure in select(argv[:words])]
    with Bars(config.progress) as bars:
        for figure, settings in chosen:
            for path in reproduce(figure, settings, config.folder, config.output, config.jobs, config.stale, bars):
                print(path)
    if config.page:
        print(update_page(config.page))


def _play(argv: list[str]) -> None:
    from agents.play import play

    system, rest = _system(argv)
    config = _parse(rest, _typed(Play, system), "play")
    print(play(config.system, config.policy, config.output, config.scenes, config.index, config.fps, config.episode))


def _bench(argv: list[str]) -> None:
    from agents.bench import bench

    config = _parse(argv, Bench, "bench")
    bench(config.batches, config.sizes, config.repeats, config.seconds, config.folder, config.solvers)


if __name__ == "__main__":
    sys.exit(main())
