"""Training that survives: kill real runs with SIGKILL at random moments, resume them, and compare with a run left alone.

    python benchmarks/survival.py                                  20 kills of `ris-gym train`, PPO and SAC, a tiny system
    python benchmarks/survival.py --forks --kills 4                quicker: children of one process that has imported everything;
                                                                   half of the kills hit the middle of a file operation

A life is one training run with a budget of steps. It is started, killed after a random time (a third of the kills anywhere from
the start of the program on, most of which is imports; the others from the beginning of training on), and started again, until it
ends by itself; then the next life begins, until all kills are done. Checked at every kill: every file can be read, TensorBoard's
up to its last whole record; nothing that was unfinished at an earlier kill is still there once the run has started again; the
checkpoint never goes back, and its curve is the beginning of the undisturbed one. Checked at the end of a life: the agent's
files are, byte for byte, the undisturbed ones, and so are the whole curve, also as TensorBoard shows it, and the learner's state.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - after the number of threads

SYSTEM = ["--system.num-antennas", "2", "--system.num-elements", "4", "--system.num-sensing-beams", "1"]
# fmt: off
SMALL = {
    "ppo": ["--ppo.num-envs", "4", "--ppo.n-steps", "4", "--ppo.batch-size", "16", "--ppo.n-epochs", "1"],
    "sac": ["--sac.num-envs", "4", "--sac.train-freq", "4", "--sac.gradient-steps", "2", "--sac.batch-size", "16",
            "--sac.buffer-size", "128", "--sac.learning-starts", "32", "--sac.critic-hidden", "8", "--sac.critic-first", "20"],
    "unfolded": ["--unfolded.layers", "2", "--unfolded.batch", "4", "--unfolded.hidden", "8", "--unfolded.width", "4"],
}
# fmt: on
"""Flags of a tiny system and tiny learners: what is tested is the run around them."""
NAME = "run"


def command(algorithm: str, steps: int, folder: Path) -> list[str]:
    """Arguments of `ris-gym` for one life."""
    budget = ["--minutes", "None", "--steps", str(steps), "--validation-scenes", "4", "--reference", "None", "--no-progress"]
    small = ["--network.hidden", "8", "--env.horizon", "4"]
    return [
        "train", "beampattern", "--algorithm", algorithm, *SYSTEM, *budget, *small, *SMALL[algorithm],
        "--name", NAME, "--folder", str(folder),
    ]  # fmt: skip


class Program:
    """`ris-gym train` as a process of its own."""

    def __init__(self, arguments: list[str], aim: tuple[str, int] | None = None) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "agents.cli", *arguments], stdout=subprocess.DEVNULL)

    def wait(self, seconds: float | None) -> int | None:
        """The exit code, or None if it still runs after `seconds`."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()


class Fork:
    """The same in a child of this process; with an aim (function, n) it kills itself in the n-th call of that file operation."""

    def __init__(self, arguments: list[str], aim: tuple[str, int] | None = None) -> None:
        self.process = multiprocessing.get_context("fork").Process(target=_child, args=(arguments, aim))
        self.process.start()

    def wait(self, seconds: float | None) -> int | None:
        """The exit code, or None if it still runs after `seconds`."""
        self.process.join(seconds)
        return self.process.exitcode

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.join()


AIMS = ("replace", "fsync", "unlink", "rmdir", "mkdir")


def _child(arguments: list[str], aim: tuple[str, int] | None) -> None:
    if aim is not None:
        name, left = aim
        original = getattr(os, name)

        def deadly(*args: Any, **keywords: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **keywords)

        setattr(os, name, deadly)
    raise SystemExit(_train(arguments))


def _train(arguments: list[str]) -> int:
    from agents import cli

    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        return cli.main(arguments)


def same(a: Any, b: Any) -> bool:
    """Whether two nested states are equal, bit for bit."""
    import torch

    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def inspect(folder: Path) -> dict[str, Any]:
    """Read every file of a run; raises if one cannot be read. Returns the checkpoint, unfinished files, number of event files."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

    from agents import artefact
    from agents.files import is_temporary
    from agents.runs import Run

    run = Run(folder)
    unfinished = {path for path in folder.rglob(".*") if is_temporary(path) or path.name.endswith(".old")}
    for path in folder.rglob("*"):
        if not path.is_file() or any(parent in unfinished for parent in (path, *path.parents)):
            continue
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                _ = [file[name] for name in file.files]
        elif path.name.startswith("events."):
            _ = list(RawEventFileLoader(str(path)).Load())
    checkpoint = run.load_checkpoint()
    if checkpoint is not None or artefact.is_artefact(folder):
        artefact.read(folder)
    events = len(list(folder.glob("tensorboard/events.*")))
    return {"checkpoint": checkpoint, "unfinished": unfinished, "events": events, "finished": run.finished}


def files(folder: Path) -> dict[str, bytes]:
    """The agent's bytes."""
    return {path.name: path.read_bytes() for path in sorted((folder / "agent").iterdir())}


def tensorboard(folder: Path) -> list[tuple[int, float]]:
    """The validation curve as TensorBoard shows it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"), {"scalars": 0})
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars("validation/penalised_score")]


def until_training(process: Any, folder: Path) -> None:
    """Wait until the run begins to train (it opens a file for TensorBoard), or ends."""
    before = set(folder.glob("tensorboard/events.*"))
    while process.wait(0.01) is None and set(folder.glob("tensorboard/events.*")) == before:
        pass


def survive(algorithm: str, kills: int, steps: int, seed: int, folder: Path, start: Any) -> dict[str, Any]:
    """Do all kills; raises AssertionError where a promise is broken. Returns counts."""
    rng = np.random.default_rng(seed)
    began = time.perf_counter()
    process = start(command(algorithm, steps, folder / "alone"))
    until_training(process, folder / "alone" / NAME)
    training = time.perf_counter()
    code = process.wait(None)
    whole, training = time.perf_counter() - began, time.perf_counter() - training
    assert code == 0, f"the undisturbed run ended with {code}"
    start(command(algorithm, steps, folder / "again")).wait(None)
    assert files(folder / "alone" / NAME) == files(folder / "again" / NAME), "two undisturbed runs differ"
    alone = inspect(folder / "alone" / NAME)
    curve = alone["checkpoint"]["pauses"]["curve"]
    counts: dict[str, Any] = {"algorithm": algorithm, "kills": 0, "lives": 0, "before_checkpoint": 0, "unfinished": 0, "at": []}
    while counts["kills"] < kills:
        life = folder / f"life{counts['lives']}"
        counts["lives"] += 1
        before: dict[str, Any] | None = None
        while True:
            aim = None
            if start is Fork and counts["kills"] < kills and rng.random() < 0.5:
                aim = (str(rng.choice(AIMS)), int(rng.geometric(0.06)))
            process = start(command(algorithm, steps, life), aim)
            if aim or counts["kills"] >= kills:
                code = process.wait(None)
            elif rng.random() < 1 / 3:
                code = process.wait(float(rng.uniform(0.0, whole)))
            else:
                until_training(process, life / NAME)
                code = process.wait(float(rng.uniform(0.0, training)))
            if code is None:
                process.kill()
                code = -signal.SIGKILL
            now = inspect(life / NAME)
            if before is not None and before["checkpoint"] is not None:
                old, new = before["checkpoint"], now["checkpoint"]
                assert new is not None and _steps(new) >= _steps(old), "the checkpoint went back"
            if now["checkpoint"] is not None:
                part = now["checkpoint"]["pauses"]["curve"]
                assert part == curve[: len(part)], "the curve is not a continuation"
            if before is not None and now["events"] > before["events"]:
                assert not before["unfinished"] & now["unfinished"], "a started run left unfinished files of the killed one"
            before = now
            if code == 0:
                break
            assert code == -signal.SIGKILL, f"a resumed run ended with {code}"
            counts["kills"] += 1
            counts["at"].append(_steps(now["checkpoint"]) / steps)
            counts["before_checkpoint"] += now["checkpoint"] is None
            counts["unfinished"] += bool(now["unfinished"])
        assert before["finished"] and not before["unfinished"], "the finished run left unfinished files"
        assert tensorboard(life / NAME) == tensorboard(folder / "alone" / NAME), "TensorBoard shows another curve"
        assert files(life / NAME) == files(folder / "alone" / NAME), "the agent differs from the undisturbed one"
        ours, theirs = before["checkpoint"], alone["checkpoint"]
        assert same(ours["pauses"], theirs["pauses"]), "the curve differs from the undisturbed one"
        assert same(ours["learner"], theirs["learner"]), "the learner's state differs from the undisturbed one"
    return counts


def _steps(checkpoint: dict[str, Any] | None) -> int:
    if checkpoint is None:
        return 0
    learner = checkpoint["learner"]
    return int(learner["num_timesteps"] if "num_timesteps" in learner else learner["steps"])


def main() -> None:
    """Parse the command line and run."""
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithms", nargs="+", choices=sorted(SMALL), default=["ppo", "sac", "unfolded"])
    parser.add_argument("--kills", type=int, default=20, help="per algorithm")
    parser.add_argument("--steps", type=int, default=1600, help="budget of a life")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--forks", action="store_true", help="children of this process instead of new programs")
    arguments = parser.parse_args()
    start: Any = Program
    if arguments.forks:
        import agents.pictures

        agents.pictures.agent_picture = lambda agent, scene: None  # most of the time of so short a run
        start = Fork
    for algorithm in arguments.algorithms:
        with tempfile.TemporaryDirectory() as folder:
            if arguments.forks:  # imports everything for the children
                _train(command(algorithm, 64, Path(folder) / "imports"))
            found = survive(algorithm, arguments.kills, arguments.steps, arguments.seed, Path(folder), start)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
