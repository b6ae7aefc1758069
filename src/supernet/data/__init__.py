"""Image sets, their batches, and the streams that a search or a training pulls batches from.

``images.load`` reads a set, ``split.split`` parts it, ``batches.Batches`` and ``augment.Augment`` make batches of it, and
``streams.Data`` holds the batches of a run and remembers where each stream is. Sets known by name stand in ``SETS``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownSet:
    """A set that is known by name: what it is, where it lies below a data folder, how to get it, and whom to cite."""

    about: str
    folders: tuple[str, ...] = ()
    get: str = ""
    cite: str = ""


_IDX_FILES = "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz"

SETS: dict[str, KnownSet] = {
    "digits": KnownSet(
        about="1,797 handwritten digits, 1x8x8, 10 classes; comes with scikit-learn",
        cite="E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998",
    ),
    "mnist": KnownSet(
        about="70,000 handwritten digits, 1x28x28, 10 classes; idx files in MNIST/raw",
        folders=("MNIST/raw", "MNIST", "mnist"),
        get=f"get {_IDX_FILES} from the MNIST page (http://yann.lecun.com/exdb/mnist) and put them in MNIST/raw there",
        cite="Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-Based Learning Applied to Document Recognition, 1998",
    ),
    "fashion-mnist": KnownSet(
        about="70,000 pictures of clothes, 1x28x28, 10 classes; idx files in FashionMNIST/raw",
        folders=("FashionMNIST/raw", "FashionMNIST", "fashion-mnist", "fashion_mnist"),
        get=f"get {_IDX_FILES} from https://github.com/zalandoresearch/fashion-mnist and put them in FashionMNIST/raw there",
        cite="H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, 2017, https://arxiv.org/abs/1708.07747",
    ),
    "cifar10": KnownSet(
        about="60,000 photographs, 3x32x32, 10 classes; the Python version, in cifar-10-batches-py",
        folders=("cifar-10-batches-py",),
        get="get cifar-10-python.tar.gz from the CIFAR page (https://www.cs.toronto.edu/~kriz/cifar.html) and unpack it there",
        cite="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    ),
    "cifar100": KnownSet(
        about="60,000 photographs, 3x32x32, 100 classes; the Python version, in cifar-100-python",
        folders=("cifar-100-python",),
        get="get cifar-100-python.tar.gz from the CIFAR page (https://www.cs.toronto.edu/~kriz/cifar.html) and unpack it there",
        cite="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    ),
}
