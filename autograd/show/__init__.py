"""The graph shown, as text and as a picture, and where its time goes."""

from .dot import draw
from .keeping import keep
from .profiling import profile
from .replaying import replay
from .text import listing

__all__ = ["draw", "keep", "listing", "profile", "replay"]
