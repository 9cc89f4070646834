"""Loss contagion in leveraged crypto and derivatives markets."""

__version__ = "0.1.0"
