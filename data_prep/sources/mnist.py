"""MNIST, FashionMNIST, and users' own images in the same four idx files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from data_prep.manifest import LabelSpec
from data_prep.sources.idx_images import IdxImages


def fashion_mnist(raw: Path | None) -> IdxImages:
    """FashionMNIST: 60,000 + 10,000 grey 28 x 28 pictures of clothes in ten classes (Xiao et al. 2017)."""
    values = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    return IdxImages(
        name="fashion_mnist",
        title="FashionMNIST",
        home="https://github.com/zalandoresearch/fashion-mnist",
        licence="MIT",
        label=LabelSpec("class", 10, values),
        md5={
            "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
            "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
            "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
        },
        size=(28, 28),
        mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        system_folder=Path("/usr/share/datasets/fashion-mnist"),  # Debian's dataset-fashion-mnist
        raw=raw,
    )


def fashion_mnist_held_out(raw: Path | None) -> IdxImages:
    """FashionMNIST with its last 5,000 training images as ``valid``, for model selection without test images."""
    return replace(fashion_mnist(raw), name="fashion_mnist_held_out", held_out=5000)


def mnist(raw: Path | None) -> IdxImages:
    """MNIST: 60,000 + 10,000 grey 28 x 28 handwritten digits (LeCun et al. 1998)."""
    return IdxImages(
        name="mnist",
        title="MNIST",
        home="http://yann.lecun.com/exdb/mnist/",
        licence="CC BY-SA 3.0",
        label=LabelSpec("digit", 10, tuple(str(digit) for digit in range(10))),
        md5={
            "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        },
        size=(28, 28),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        raw=raw,
    )


def idx_folder(raw: Path | None, *, files: str = "") -> IdxImages:
    """A user's own grey images in four idx files, as MNIST's, EMNIST's, KMNIST's and QMNIST's are.

    ``files``: what the names of the files begin with, where a folder holds several data sets.
    """
    return IdxImages(
        name="idx_folder",
        title="a folder of idx files",
        home="your own: the four files of the MNIST family, in the folder that --raw names",
        licence="that of the files",
        files=files,
        raw=raw,
    )
