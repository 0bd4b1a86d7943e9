"""TensorFlow, NHWC, each step as a graph (tf.function)."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"  # read when it is imported

import tensorflow as tf

from tasks import LEARNING_RATE, MOMENTUM, NETWORKS, images_and_labels

layers = tf.keras.layers


def about() -> dict[str, str]:
    return {"TensorFlow": tf.__version__}


def train(network: str, batch: int, image: list[int]) -> tuple:
    net, facts = _network(network, image)
    opt = tf.keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM)
    x, labels = (tf.constant(array) for array in images_and_labels(batch, image))

    @tf.function
    def graph(x: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = net(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        gradients = tape.gradient(loss, net.trainable_variables)
        opt.apply_gradients(zip(gradients, net.trainable_variables, strict=True))
        return loss

    return lambda: float(graph(x, labels)), facts


def infer(network: str, batch: int, image: list[int]) -> tuple:
    net, facts = _network(network, image)
    x = tf.constant(images_and_labels(batch, image)[0])
    graph = tf.function(lambda x: net(x, training=False))
    return lambda: graph(x).numpy(), facts


def _network(name: str, image: list[int]) -> tuple:
    x = inputs = tf.keras.Input(image)
    for kind, *sizes in NETWORKS[name]:
        x = LAYERS[kind](x, *sizes)
    net = tf.keras.Model(inputs, x)
    return net, {"parameters": sum(int(tf.size(p)) for p in net.trainable_variables)}


def _conv(x: tf.Tensor, channels: int, kernel: int, padding: int) -> tf.Tensor:
    return layers.Conv2D(channels, kernel, padding="same" if padding else "valid")(x)


def _conv_norm(x: tf.Tensor, channels: int, stride: int) -> tf.Tensor:
    x = layers.Conv2D(channels, 3, stride, padding="same", use_bias=False)(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def _block(x: tf.Tensor, channels: int, stride: int) -> tf.Tensor:
    out = layers.ReLU()(_conv_norm(x, channels, stride))
    out = _conv_norm(out, channels, 1)
    if stride > 1:
        x = x[:, ::stride, ::stride, :]
    if x.shape[-1] < channels:
        x = tf.keras.ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, channels - x.shape[-1])))
    return layers.ReLU()(layers.Add()([out, x]))


LAYERS = {
    "conv": _conv,
    "conv_norm": _conv_norm,
    "block": _block,
    "relu": lambda x: layers.ReLU()(x),
    "pool": lambda x: layers.MaxPooling2D(2)(x),
    "mean": lambda x: layers.GlobalAveragePooling2D()(x),
    "flatten": lambda x: layers.Flatten()(x),
    "dense": lambda x, units: layers.Dense(units)(x),
}
