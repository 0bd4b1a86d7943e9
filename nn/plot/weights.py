"""The kernels of convolutions."""

from __future__ import annotations

import math

import numpy as np

from ..checks import whole_number
from ..conv import Conv2d
from ..inspection.inputs import find_convolution
from ..module import Module
from .parts import Figure, first, mosaic, new_figure, signed_mosaics

__all__ = ["kernels"]


def kernels(model: Module, layer: Module | str | None = None, n: int = 64) -> Figure:
    """The weights (KH, KW, C / groups, O) of a convolution as small images, all on one colour scale around 0.

    One image for each of the first n outputs: signed for one input channel, in colours (grey is 0) for three. For
    other numbers of channels a row for each of the first 16 outputs, with the first 16 input channels.

    layer   a convolution or its name in the model ("0", "features.3"); the first one unless it is given

    Raises ValueError where there is no such convolution, ImportError without matplotlib.

    >>> import nn
    >>> figure = nn.plot.kernels(nn.Sequential(nn.Conv2d(1, 8, 3, rng=0)))
    >>> figure.get_suptitle()
    'kernels of layer 0, 3x3: all 8 outputs'
    """
    n = whole_number("plot.kernels", "n", n)
    name, conv = find_convolution("plot.kernels", model, layer, (Conv2d,))
    weight = conv.weight.data
    height, width, channels, outputs = weight.shape
    scale = float(np.abs(weight).max()) or 1.0
    title = f"kernels of layer {name}, {height}x{width}"
    if channels in (1, 3):
        tiles = np.moveaxis(weight, 3, 0)[:n]  # (KH, KW, C, O) -> (n, KH, KW, C)
        columns = math.ceil(math.sqrt(len(tiles)))
        title += f": {first(len(tiles), outputs)} outputs"
    else:
        tiles = weight[:, :, :16, :16].transpose(3, 2, 0, 1)  # (KH, KW, C, O) -> (O, C, KH, KW)
        columns = tiles.shape[1]
        title += (f"\nrows: {first(len(tiles), outputs)} outputs, "
                  f"columns: {first(columns, channels)} input channels")
        tiles = tiles.reshape(-1, height, width, 1)  # (O, C, KH, KW) -> (O * C, KH, KW, 1)
    rows = math.ceil(len(tiles) / columns)
    figure = new_figure("plot.kernels", 0.55 * columns + 1.6, 0.55 * rows + 0.9)
    ax = figure.subplots()
    if channels == 3:
        mosaic(ax, tiles / (2 * scale) + 0.5, columns)
        title += f"\ncolours: grey is 0, full colour ±{scale:.2g}"
    else:
        signed_mosaics(figure, [ax], [tiles[..., 0]], columns, scale)
    figure.suptitle(title, fontsize=10)
    return figure
