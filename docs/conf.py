"""How Sphinx makes the site: ``make docs``. Pages are Markdown; nothing is fetched, when building or when reading."""

from __future__ import annotations

from contagion import __version__

project = "contagion"
author = copyright = "The contagion developers"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
nitpicky = False
exclude_patterns = []

autosummary_generate = False
autodoc_typehints = "none"  # the signature says them already
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"contagion {version}"
html_static_path = ["assets"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style, pygments_dark_style = "friendly", "monokai"
