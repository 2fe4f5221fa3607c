"""Not a part of the package: it makes `import tartan` work beside a checkout that is named tartan.

There, Python takes this directory for the package, and never asks an editable install for it.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_package = Path(__file__).parent / "tartan"
_spec = spec_from_file_location(
    __name__, _package / "__init__.py", submodule_search_locations=[str(_package)]
)
assert _spec is not None
assert _spec.loader is not None
sys.modules[__name__] = module_from_spec(_spec)
_spec.loader.exec_module(sys.modules[__name__])
