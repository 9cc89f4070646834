"""Beside the modules that tests of several folders share, so that pytest finds them."""

from __future__ import annotations

import os

from hypothesis import settings

# The suite says the same every time; HYPOTHESIS_PROFILE=search looks for new counterexamples.
settings.register_profile("steady", derandomize=True)
settings.register_profile("search", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
