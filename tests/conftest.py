"""Beside the modules that tests of several folders share, so that pytest finds them."""
