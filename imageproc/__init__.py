"""The image service. ``__version__`` is the one place where its version is written."""

__version__ = "0.2.0"
