"""The toy paper of `tests/toy` stands in the registry, so that every test over the registries covers it too."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import ris_gym
from ris_gym import registry


def _import_package(name: str, folder: Path) -> None:
    """Import a folder as a package without adding its parent to `sys.path` (`tests/baselines` would hide `baselines`)."""
    spec = spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


if "toy" not in registry.PAPERS:
    _import_package("toy", Path(__file__).parent / "toy")
    ris_gym.register("toy", "Toy", system="toy.system", env="toy.env", baselines="toy.baselines")
