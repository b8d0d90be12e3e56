"""Helper modules of this folder, importable by name without putting the folder on `sys.path`."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

for _name in (
    "active_crb_brute", "active_crb_designs", "active_crb_samples",
    "multifunctional_brute", "multifunctional_rules", "multifunctional_designs",
    "nonorthogonal_brute",
    "vehicular_brute",
):
    if _name not in sys.modules:
        _spec = spec_from_file_location(_name, Path(__file__).with_name(f"{_name}.py"))
        assert _spec is not None and _spec.loader is not None
        sys.modules[_name] = _module = module_from_spec(_spec)
        _spec.loader.exec_module(_module)
