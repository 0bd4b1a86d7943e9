"""What goes on inside a model, in numbers: arrays in, arrays out, without matplotlib.

`nn.plot` has a picture of each under the same name. Every function takes a model and images (arrays or Tensors),
works in eval mode, and leaves the model as it was: its modes, `.grad`s, running averages and hooks.

    saliency, integrated_gradients, grad_cam                what in an image speaks for a class
    activation_maximization, top_images, receptive_field    what a filter looks for
    feature_maps, histograms, dead_units                    what the layers make of images
"""

from .attribution import IntegratedGradients, grad_cam, integrated_gradients, saliency
from .excitation import TopImages, activation_maximization, receptive_field, top_images
from .maps import feature_maps
from .recording import Stage
from .signals import Histogram, Histograms, Units, dead_units, histograms

__all__ = ["Histogram", "Histograms", "IntegratedGradients", "Stage", "TopImages", "Units", "activation_maximization",
           "dead_units", "feature_maps", "grad_cam", "histograms", "integrated_gradients", "receptive_field",
           "saliency", "top_images"]
