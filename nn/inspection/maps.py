"""What every layer makes of one image."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd.tensor import value_of

from ..module import Module, evaluating
from .inputs import check_model, checked_images, chunks
from .recording import Stage, recorded_stages

__all__ = ["feature_maps"]


def feature_maps(model: Module, image: Any) -> list[Stage]:
    """What every layer makes of an image (H, W, C) or (1, H, W, C): a Stage for each call, in order.

    Its `out` is an array, (1, h, w, K) or (1, K) for most layers. Calls are those of modules that hold no others, and
    of conv2d, relu, tanh, leaky_relu, elu and poolings where no layer stands around them. The model is in eval mode;
    nothing of it is changed. Bytes (uint8) are divided by 255 first.

    Raises ValueError for more than one image, TypeError for other types.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Conv2d(1, 8, 3, rng=0), nn.ReLU(), nn.GlobalAvgPool2d())
    >>> for stage in nn.inspection.feature_maps(model, np.ones((6, 6, 1), np.float32)):
    ...     print(stage.name, stage.kind, stage.role, stage.out.shape)
    0 Conv2d linear (1, 4, 4, 8)
    1 ReLU activation (1, 4, 4, 8)
    2 GlobalAvgPool2d pooling (1, 8)
    """
    check_model("feature_maps", model)
    image = np.asarray(value_of(image))
    image = image[None] if image.ndim == 3 else image
    if image.ndim != 4 or len(image) != 1:
        raise ValueError(f"feature_maps: expected one image (H, W, C) or (1, H, W, C), got shape {image.shape}; "
                         "give images[0]")
    [(_, x)] = chunks(checked_images("feature_maps", image), 1)
    with evaluating(), ag.no_grad(), recorded_stages(model) as stages:
        model(x)
    return [stage._replace(out=stage.out.data) for stage in stages]
