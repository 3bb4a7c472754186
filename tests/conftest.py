"""Type and shape annotations are checked while the tests run, and Hypothesis draws the same examples each time."""

from __future__ import annotations

from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("ondes", "annotations.checked")

settings.register_profile("ondes", derandomize=True, deadline=None)
settings.load_profile("ondes")
