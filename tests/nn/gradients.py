"""gradcheck for layers: by their input and by their parameters, to second order."""

import autograd as ag

__all__ = ["check_layer"]


def check_layer(layer, x):
    """Compares the layer's gradients by x and by all parameters it holds as attributes with differences."""
    names = [name for name, _ in layer.named_parameters()]
    values = [parameter.data.copy() for _, parameter in layer.named_parameters()]

    def f(x, *parameters):
        for name, parameter in zip(names, parameters, strict=True):
            setattr(layer, name, parameter)
        return layer(x)

    report = ag.gradcheck(f, x, *values, order=2)
    assert report, str(report)
