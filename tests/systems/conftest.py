"""Helper modules of this folder, importable by name without putting the folder on `sys.path`."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

for _path in Path(__file__).parent.glob("*_brute.py"):
    if _path.stem not in sys.modules:
        _spec = spec_from_file_location(_path.stem, _path)
        assert _spec is not None and _spec.loader is not None
        sys.modules[_path.stem] = _module = module_from_spec(_spec)
        _spec.loader.exec_module(_module)
