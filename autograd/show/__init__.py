"""The graph shown: as text and as a picture."""

from .dot import draw
from .keeping import keep
from .text import listing

__all__ = ["draw", "keep", "listing"]
