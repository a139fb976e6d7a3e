#!/usr/bin/env python3
"""Train a small convolutional network on MNIST: the training job of the mnist image.

Needs PyTorch and nothing else: the data set's IDX files are read here, so that images without
torchvision can run it. Works on Python 3.6 with PyTorch 1.2 (JetPack 4) and everything newer.

Exit codes: 0 trained; 1 failed (CUDA error, disk); 2 wrong options; 3 the data is neither there
nor reachable; 4 the data is damaged; 130 interrupted; 143 stopped by SIGTERM.
"""

import argparse
import gzip
import hashlib
import multiprocessing
import os
import signal
import struct
import sys
import tempfile
import urllib.request
import zlib
from http.client import HTTPException
from types import FrameType
from typing import Any, Dict, List, Optional, Tuple

import torch
import torch.nn.functional as functional
from torch import nn, optim
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset

EXIT_FAILED = 1
EXIT_NO_DATA = 3
EXIT_DAMAGED = 4
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

IMAGES_MAGIC = 2051
LABELS_MAGIC = 2049
SIDE = 28
CLASSES = 10
# Mean and standard deviation of the training images' pixels, scaled to 0..1.
PIXEL_MEAN = 0.1307
PIXEL_DEVIATION = 0.3081

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
# The second because an image's folders may be read-only in a pod.
DOWNLOAD_ROOTS = ("../data", os.path.join(tempfile.gettempdir(), "mnist-data"))
NETWORK_TIMEOUT = 20  # seconds without an answer or a byte
SHA256 = {
    "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}  # of the gzip files


class Failure(Exception):
    """A reason to stop that the user can act on; carries the exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def say(line: str) -> None:
    """Print at once: block-buffered output would hold the log back from `kubectl logs`."""
    print(line, flush=True)


def note(line: str) -> None:
    """A line about what goes on that is no result."""
    print(line, file=sys.stderr, flush=True)


class Digits(Dataset):
    """Images (n, 28, 28) and labels (n) of bytes; an item is a (1, 28, 28) float and its class."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.images = images
        self.labels = labels.long()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Tuple[torch.Tensor, torch.Tensor]:
        pixels = self.images[index].unsqueeze(0).float().div_(255)
        return pixels.sub_(PIXEL_MEAN).div_(PIXEL_DEVIATION), self.labels[index]


def find_file(folder: str, name: str) -> Optional[str]:
    """The path of the unpacked file, else of its .gz, else None."""
    for path in (os.path.join(folder, name), os.path.join(folder, name + ".gz")):
        if os.path.isfile(path):
            return path
    return None


def missing_files(folder: str) -> List[str]:
    """The names of the four files that are not in the folder."""
    return [name for name in SHA256 if find_file(folder, name) is None]


def search_folders(data: Optional[str]) -> List[str]:
    """Folders that may hold the files: under `data` alone when given, else the usual places."""
    script = os.path.dirname(os.path.abspath(__file__))
    usual = (script, os.path.join(script, "data"), "/data", "/home/data", *DOWNLOAD_ROOTS)
    roots = (data,) if data else usual
    layouts = (os.path.join("MNIST", "raw"), "raw", "")
    folders = [os.path.normpath(os.path.join(root, tail)) for root in roots for tail in layouts]
    return list(dict.fromkeys(folders))


def locate_or_fetch(data: Optional[str], mirrors: Tuple[str, ...]) -> str:
    """The folder with all four files, downloaded first when they are nowhere. Raises Failure."""
    folders = search_folders(data)
    for folder in folders:
        if not missing_files(folder):
            return folder
    partly = [folder for folder in folders if len(missing_files(folder)) < len(SHA256)]
    try:
        return fetch(writable_target(data, partly), mirrors)
    except (OSError, Failure) as error:
        lines = ["the MNIST data is neither here nor reachable"]
        lines.append("  looked in: " + ", ".join(folders))
        for folder in partly:
            lines.append("  %s lacks %s" % (folder, ", ".join(missing_files(folder))))
        lines.append("  download: %s" % error)
        lines.append("  put the four *-ubyte(.gz) files in DIR/MNIST/raw and pass --data DIR")
        raise Failure(EXIT_NO_DATA, "\n".join(lines)) from error


def writable_target(data: Optional[str], partly: List[str]) -> str:
    """Where a download goes: what was begun, --data, ../data, or a temporary folder."""
    if partly and os.access(partly[0], os.W_OK):
        return partly[0]
    if data:
        return os.path.join(data, "MNIST", "raw")
    for root in DOWNLOAD_ROOTS:
        if may_write(root):
            return os.path.join(root, "MNIST", "raw")
    raise Failure(EXIT_NO_DATA, "no writable folder for it")


def may_write(folder: str) -> bool:
    """Whether the folder, or the nearest one above that exists, can be written to."""
    folder = os.path.abspath(folder)
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    return os.access(folder, os.W_OK)


def fetch(folder: str, mirrors: Tuple[str, ...]) -> str:
    """Download the files the folder lacks, from the first mirror that has them all."""
    refusals: List[str] = []
    for mirror in mirrors:
        try:
            for name in missing_files(folder):
                fetch_file(mirror, name, folder)
            return folder
        except (OSError, HTTPException, Failure) as error:
            refusals.append("%s: %s" % (mirror, error))
    raise Failure(EXIT_NO_DATA, "; ".join(refusals) or "no mirror given")


def fetch_file(mirror: str, name: str, folder: str) -> None:
    """Download one .gz, check its SHA-256, and only then give it its name."""
    url = mirror.rstrip("/") + "/" + name + ".gz"
    note("Downloading %s" % url)
    if not url.startswith(("http://", "https://")):
        raise Failure(EXIT_NO_DATA, "not an http(s) address")
    with urllib.request.urlopen(url, timeout=NETWORK_TIMEOUT) as reply:  # noqa: S310
        content = reply.read()  # at most 10 MB
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise Failure(EXIT_NO_DATA, "%s.gz has another checksum, not kept" % name)
    os.makedirs(folder, exist_ok=True)
    partial = os.path.join(folder, "%s.gz.part-%d" % (name, os.getpid()))
    try:
        with open(partial, "wb") as target:
            target.write(content)
        os.replace(partial, os.path.join(folder, name + ".gz"))
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def read_idx(path: str, magic: int) -> Tuple[Tuple[int, ...], bytes]:
    """An IDX file's dimensions and bytes, checked against its own header. Raises Failure."""
    try:
        with gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb") as source:
            content = source.read()
    except (EOFError, zlib.error) as error:
        raise Failure(EXIT_DAMAGED, "%s is truncated or damaged: %s" % (path, error)) from error
    except OSError as error:
        # gzip reports a bad header as a plain OSError without a number.
        code = EXIT_DAMAGED if error.errno is None else EXIT_NO_DATA
        raise Failure(code, "%s cannot be read: %s" % (path, error)) from error
    rank = magic & 0xFF
    header = 4 + 4 * rank
    if len(content) < header:
        raise Failure(EXIT_DAMAGED, "%s is truncated: %d bytes" % (path, len(content)))
    found = struct.unpack(">I", content[:4])[0]
    if found != magic:
        raise Failure(EXIT_DAMAGED, "%s has the magic %d, not %d" % (path, found, magic))
    shape = struct.unpack(">%dI" % rank, content[4:header])
    expected = 1
    for length in shape:
        expected *= length
    if len(content) - header != expected:
        raise Failure(
            EXIT_DAMAGED,
            "%s is truncated or damaged: its header announces %d bytes, %d follow"
            % (path, expected, len(content) - header),
        )
    return shape, content[header:]


def byte_tensor(content: bytes) -> torch.Tensor:
    """A uint8 tensor of these bytes; torch.frombuffer came with PyTorch 1.10."""
    if hasattr(torch, "frombuffer"):
        return torch.frombuffer(bytearray(content), dtype=torch.uint8)
    return torch.ByteTensor(torch.ByteStorage.from_buffer(content))


def load_digits(folder: str, kind: str) -> Digits:
    """The data set `train` or `t10k` from a folder that holds all its files. Raises Failure."""
    images_path = find_file(folder, kind + "-images-idx3-ubyte")
    labels_path = find_file(folder, kind + "-labels-idx1-ubyte")
    if images_path is None or labels_path is None:
        raise Failure(EXIT_NO_DATA, "%s lost its %s files" % (folder, kind))
    shape, pixels = read_idx(images_path, IMAGES_MAGIC)
    (count,), classes = read_idx(labels_path, LABELS_MAGIC)
    if shape[1:] != (SIDE, SIDE) or shape[0] == 0:
        raise Failure(EXIT_DAMAGED, "%s holds no 28x28 images: %s" % (images_path, (shape,)))
    if shape[0] != count:
        message = "%s holds %d images, %s %d labels"
        raise Failure(EXIT_DAMAGED, message % (images_path, shape[0], labels_path, count))
    if max(classes) >= CLASSES:
        raise Failure(EXIT_DAMAGED, "%s holds the label %d" % (labels_path, max(classes)))
    return Digits(byte_tensor(pixels).view(shape), byte_tensor(classes))


class Net(nn.Module):
    """Two 3x3 convolutions, a pooling and two dense layers; log-probabilities of ten classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=3, stride=1)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3, stride=1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(64 * 12 * 12, 128)
        self.fc2 = nn.Linear(128, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(n, 1, 28, 28) -> (n, 10)."""
        features = functional.relu(self.conv2(functional.relu(self.conv1(images))))
        features = self.dropout1(functional.max_pool2d(features, 2))
        hidden = self.dropout2(functional.relu(self.fc1(torch.flatten(features, 1))))
        return functional.log_softmax(self.fc2(hidden), dim=1)


def train(
    args: argparse.Namespace,
    model: nn.Module,
    device: torch.device,
    loader: DataLoader,
    optimizer: optim.Optimizer,
    epoch: int,
) -> None:
    """One pass over the training data; with --dry-run only its first batch."""
    model.train()
    size = len(loader.dataset)
    for index, (images, labels) in enumerate(loader):
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        loss = functional.nll_loss(model(images), labels)
        loss.backward()
        optimizer.step()
        if index % args.log_interval == 0:
            progress = (epoch, index * len(images), size, 100.0 * index / len(loader), loss.item())
            say("Train Epoch: {} [{}/{} ({:.0f}%)]\tLoss: {:.6f}".format(*progress))
            if args.dry_run:
                return


def test(model: nn.Module, device: torch.device, loader: DataLoader) -> None:
    """Print average loss and accuracy on the test data."""
    model.eval()
    size = len(loader.dataset)
    total_loss = 0.0
    correct = 0
    with torch.no_grad():
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            output = model(images)
            total_loss += functional.nll_loss(output, labels, reduction="sum").item()
            correct += int(output.argmax(dim=1).eq(labels).sum().item())
    result = (total_loss / size, correct, size, 100.0 * correct / size)
    say("\nTest set: Average loss: {:.4f}, Accuracy: {}/{} ({:.0f}%)\n".format(*result))


def positive(text: str) -> int:
    """An integer above zero, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("%s is not above 0" % text)
    return value


DATA_HELP = """folder with MNIST/raw/*-ubyte[.gz] (else found beside this script, in /data,
/home/data or ../data)"""
MIRROR_HELP = "download from here instead of the public mirrors (may be repeated)"


def parse(argv: Optional[List[str]]) -> argparse.Namespace:
    """The command line; a wrong one exits with 2."""
    parser = argparse.ArgumentParser(
        description="Train a small network on MNIST.",
        epilog="exit codes: 1 failed, 2 wrong options, 3 no data, 4 damaged data",
    )
    option = parser.add_argument
    option("--batch-size", type=positive, default=64, metavar="N", help="training batch (64)")
    option("--test-batch-size", type=positive, default=1000, metavar="N", help="test batch (1000)")
    option("--epochs", type=int, default=14, metavar="N", help="passes over the data (14)")
    option("--lr", type=float, default=1.0, metavar="LR", help="learning rate (1.0)")
    option("--gamma", type=float, default=0.7, metavar="M", help="its factor per epoch (0.7)")
    option("--no-cuda", action="store_true", help="do not use CUDA")
    option("--no-mps", action="store_true", help="do not use a Mac's GPU")
    option("--dry-run", action="store_true", help="one batch per epoch")
    option("--seed", type=int, default=1, metavar="S", help="seed of the random numbers (1)")
    option("--log-interval", type=positive, default=10, metavar="N", help="batches per line (10)")
    option("--save-model", action="store_true", help="write mnist_cnn.pt")
    option("--data", metavar="DIR", help=DATA_HELP)
    option("--mirror", action="append", metavar="URL", help=MIRROR_HELP)
    return parser.parse_args(argv)


def choose_device(args: argparse.Namespace) -> torch.device:
    """CUDA, else a Mac's GPU, else the CPU. Raises Failure when CUDA is there but does not work."""
    if not args.no_cuda and torch.cuda.is_available():
        try:
            (torch.ones(1).cuda() + 1).item()
        except RuntimeError as error:
            message = "CUDA is there but does not work: %s (--no-cuda trains on the CPU)" % error
            raise Failure(EXIT_FAILED, message) from error
        return torch.device("cuda")
    mps = getattr(torch.backends, "mps", None)  # absent before PyTorch 1.12
    if not args.no_mps and mps is not None and mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def describe(device: torch.device) -> str:
    """The first line of the log: what the training runs on."""
    versions = "PyTorch %s" % torch.__version__
    if device.type == "cuda":
        return "Device: cuda (%s), %s, CUDA %s" % (
            torch.cuda.get_device_name(0),
            versions,
            torch.version.cuda,
        )
    return "Device: %s, %s" % (device.type, versions)


def save(model: nn.Module, path: str) -> None:
    """Write the weights aside and rename: a pod that dies meanwhile leaves no half a file."""
    aside = path + ".part"
    try:
        torch.save(model.state_dict(), aside)
        os.replace(aside, path)
    finally:
        if os.path.exists(aside):
            os.remove(aside)


def run(args: argparse.Namespace) -> None:
    """Train as the options say. Raises Failure."""
    device = choose_device(args)
    say(describe(device))
    folder = locate_or_fetch(args.data, tuple(args.mirror or MIRRORS))
    train_data, test_data = load_digits(folder, "train"), load_digits(folder, "t10k")
    note("Data: %s (%d training, %d test images)" % (folder, len(train_data), len(test_data)))
    torch.manual_seed(args.seed)
    extra: Dict[str, Any] = {}
    if device.type == "cuda":
        extra = {"num_workers": 1, "pin_memory": True, "shuffle": True}
    train_loader = DataLoader(train_data, batch_size=args.batch_size, **extra)
    test_loader = DataLoader(test_data, batch_size=args.test_batch_size, **extra)
    model = Net().to(device)
    optimizer = optim.Adadelta(model.parameters(), lr=args.lr)
    scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        train(args, model, device, train_loader, optimizer, epoch)
        test(model, device, test_loader)
        scheduler.step()
    if args.save_model:
        save(model, "mnist_cnn.pt")


def on_sigterm(signum: int, frame: Optional[FrameType]) -> None:
    """Leave with the code a shell would report; as a container's process 1 nothing else would.

    At once: an exception raised here is lost when it lands in a finaliser or a fork's hook, as
    the loaders' workers have them. Every line is flushed, so nothing is lost by it.
    """
    for worker in multiprocessing.active_children():
        worker.terminate()
    os._exit(EXIT_TERMINATED)


def main(argv: Optional[List[str]] = None) -> int:
    """Run the job; return its exit code."""
    args = parse(argv)
    signal.signal(signal.SIGTERM, on_sigterm)
    try:
        run(args)
    except Failure as error:
        note("pytorch-mnist: %s" % error)
        return error.code
    except (OSError, RuntimeError) as error:
        note("pytorch-mnist: %s" % error)
        return EXIT_FAILED
    except KeyboardInterrupt:
        note("pytorch-mnist: interrupted")
        return EXIT_INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
