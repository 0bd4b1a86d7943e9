"""PyTorch, eager, in either of its memory layouts: `contiguous` (NCHW) or `channels_last`."""

import warnings

import torch
from torch import nn
from torch.nn import functional

from tasks import LEARNING_RATE, MOMENTUM, NETWORKS, images_and_labels, sums_of_squares
from tasks import chain as chain_of


def about() -> dict[str, str]:
    kernels = f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
    return {"PyTorch": f"{torch.__version__} ({kernels})"}


def train(network: str, batch: int, image: list[int], layout: str) -> tuple:
    net, x, labels, facts = _network(network, batch, image, layout)
    opt = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)

    def step() -> float:
        loss = functional.cross_entropy(net(x), labels)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss.item()

    return step, facts


def infer(network: str, batch: int, image: list[int], layout: str) -> tuple:
    net, x, _, facts = _network(network, batch, image, layout)
    net.eval()

    def step() -> torch.Tensor:
        with torch.inference_mode():
            return net(x)

    return step, facts


def _network(name: str, batch: int, image: list[int], layout: str) -> tuple:
    images, labels = images_and_labels(batch, image)
    memory_format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lazy modules say that they are new
        net = nn.Sequential(*(LAYERS[kind](*sizes) for kind, *sizes in NETWORKS[name]))
        with torch.no_grad():
            net(x[:2])  # here they learn how many channels come in
    net.to(memory_format=memory_format)
    return net, x, torch.from_numpy(labels), {"parameters": sum(p.numel() for p in net.parameters())}


def _conv_norm(channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.LazyConv2d(channels, 3, stride, padding=1, bias=False), nn.BatchNorm2d(channels))


class Block(nn.Module):
    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.first = _conv_norm(channels, stride)
        self.second = _conv_norm(channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.second(functional.relu(self.first(x)))
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if x.shape[1] < out.shape[1]:
            x = functional.pad(x, (0, 0, 0, 0, 0, out.shape[1] - x.shape[1]))
        return functional.relu(out + x)


LAYERS = {
    "conv": lambda channels, kernel, padding: nn.LazyConv2d(channels, kernel, padding=padding),
    "conv_norm": _conv_norm,
    "block": Block,
    "relu": nn.ReLU,
    "pool": lambda: nn.MaxPool2d(2),
    "mean": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "flatten": nn.Flatten,
    "dense": nn.LazyLinear,
}


def chain(ops: int) -> tuple:
    x, w, b = (torch.tensor(value, requires_grad=True) for value in (1.0, 1.0, 0.0))

    def step() -> tuple:
        x.grad = w.grad = b.grad = None
        y = chain_of(x, w, b, torch.sin, ops)
        y.backward()
        return y.detach(), x.grad, w.grad, b.grad

    return step, sums_of_squares(t.numpy() for t in step())
