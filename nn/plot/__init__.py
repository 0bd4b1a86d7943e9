"""Pictures of training and of what a network has learned; each function returns a matplotlib Figure.

Figures are made without pyplot, so nothing global is touched and no screen is needed:
`nn.plot.history(history).savefig("history.png")`. Needs matplotlib: pip install 'im2grad[plot]'. The numbers behind
them are to be had without it, from `nn.inspection`.
"""

from .attribution import grad_cam, integrated_gradients, saliency
from .classes import confusion_matrix, predictions
from .excitation import activation_maximization
from .maps import feature_maps
from .signals import histograms
from .training import history
from .weights import kernels

__all__ = ["activation_maximization", "confusion_matrix", "feature_maps", "grad_cam", "histograms", "history",
           "integrated_gradients", "kernels", "predictions", "saliency"]
