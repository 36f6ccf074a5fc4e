"""In these tests the shapes in the annotations are checked at every call (by beartype)."""

import sys

from jaxtyping import install_import_hook

PURE_MODULES = ["mathwright.rl.advantages", "mathwright.rl.divergence", "mathwright.rl.losses"]

if not any(name in sys.modules for name in PURE_MODULES):
    install_import_hook(PURE_MODULES, "beartype.beartype")
