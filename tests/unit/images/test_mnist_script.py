"""The mnist job: what it logs, what it finds, how it ends. Trains for real, on the CPU."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.unit.images.idx import images_file, labels_file, write_dataset
from tests.unit.images.scripts import load, start

SCRIPT = "mnist/pytorch-mnist.py"
NOWHERE = ["--mirror", "http://127.0.0.1:1/"]  # refuses connections at once
TRAIN_LINE = re.compile(r"Train Epoch: (\d+) \[(\d+)/(\d+) \((\d+)%\)\]\tLoss: (\d+\.\d{6})")
TEST_LINE = re.compile(r"Test set: Average loss: (\d+\.\d{4}), Accuracy: (\d+)/(\d+) \((\d+)%\)")


@pytest.fixture
def mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, in a working folder that has no data around it."""
    work = tmp_path / "app" / "work"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    module = load(SCRIPT)
    monkeypatch.setattr(module, "DOWNLOAD_ROOTS", ("../data", str(tmp_path / "temporary")))
    return module


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A root folder for --data with a small data set in MNIST/raw."""
    write_dataset(tmp_path / "set" / "MNIST" / "raw")
    return tmp_path / "set"


# --- training ------------------------------------------------------------------------------------


def test_training_learns_and_logs_as_the_classic_example_does(
    mnist: ModuleType, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mnist.main(["--data", str(data), "--epochs", "2", "--batch-size", "32"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert lines[0] == f"Device: cpu, PyTorch {torch.__version__}"
    assert lines[1].startswith("Train Epoch: 1 [0/320 (0%)]\tLoss: 2.")
    training = [TRAIN_LINE.fullmatch(line) for line in lines if line.startswith("Train")]
    assert [match.groups()[:4] for match in training if match] == [
        ("1", "0", "320", "0"),
        ("2", "0", "320", "0"),
    ]
    losses = [float(match.group(5)) for match in training if match]
    assert losses[1] < losses[0] / 2

    results = [TEST_LINE.fullmatch(line) for line in lines if line.startswith("Test")]
    assert len(results) == 2
    assert all(match is not None for match in results)
    assert results[1] is not None
    assert results[1].group(3, 4) == ("100", "100")  # squares at ten places are easily told apart
    # Each result stands between empty lines.
    at = next(index for index, line in enumerate(lines) if line.startswith("Test"))
    assert (lines[at - 1], lines[at + 1]) == ("", "")


def test_the_interval_of_the_log_lines(
    mnist: ModuleType, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mnist.main(["--data", str(data), "--epochs", "1", "--batch-size", "64", "--log-interval", "2"])
    lines = capsys.readouterr().out.splitlines()
    shown = [line.split("\t")[0] for line in lines if line.startswith("Train")]
    assert shown == [
        "Train Epoch: 1 [0/320 (0%)]",
        "Train Epoch: 1 [128/320 (40%)]",
        "Train Epoch: 1 [256/320 (80%)]",
    ]


def run(mnist: ModuleType, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """Train one short epoch and return everything on standard output."""
    assert mnist.main(["--epochs", "1", "--batch-size", "64", *options]) == 0
    return capsys.readouterr().out


def test_the_same_seed_gives_the_same_figures_and_another_seed_others(
    mnist: ModuleType, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--data", str(data))
    first = run(mnist, capsys, *options, "--seed", "3")
    assert run(mnist, capsys, *options, "--seed", "3") == first
    assert run(mnist, capsys, *options, "--seed", "4") != first


def test_a_dry_run_does_one_batch_of_each_epoch(
    mnist: ModuleType, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mnist.main(["--data", str(data), "--dry-run", "--epochs", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:16] for line in lines if "Epoch" in line] == [
        "Train Epoch: 1 [",
        "Train Epoch: 2 [",
    ]


def test_the_learning_rate_falls_by_gamma_after_each_epoch(
    mnist: ModuleType, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    plain = mnist.train

    def train(*arguments: object) -> None:
        rates.append(arguments[4].param_groups[0]["lr"])  # type: ignore[attr-defined]
        plain(*arguments)

    monkeypatch.setattr(mnist, "train", train)
    mnist.main(["--data", str(data), "--dry-run", "--epochs", "3", "--lr", "0.8"])
    assert rates == pytest.approx([0.8, 0.56, 0.392])


def test_defaults_of_the_options(mnist: ModuleType) -> None:
    assert vars(mnist.parse([])) == {
        "batch_size": 64,
        "test_batch_size": 1000,
        "epochs": 14,
        "lr": 1.0,
        "gamma": 0.7,
        "no_cuda": False,
        "no_mps": False,
        "dry_run": False,
        "seed": 1,
        "log_interval": 10,
        "save_model": False,
        "data": None,
        "mirror": None,
    }


@pytest.mark.parametrize("option", ["--batch-size", "--test-batch-size", "--log-interval"])
def test_a_count_of_zero_is_a_usage_error(
    mnist: ModuleType, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        mnist.main([option, "0"])
    assert stop.value.code == 2
    assert "0 is not above 0" in capsys.readouterr().err


def test_save_model_writes_weights_that_load_again(mnist: ModuleType, data: Path) -> None:
    assert mnist.main(["--data", str(data), "--dry-run", "--epochs", "1", "--save-model"]) == 0
    weights = torch.load("mnist_cnn.pt", weights_only=True)
    mnist.Net().load_state_dict(weights)
    assert sum(tensor.numel() for tensor in weights.values()) == 1_199_882
    assert [path.name for path in Path().iterdir()] == ["mnist_cnn.pt"]


def test_pixels_are_scaled_and_normalised(mnist: ModuleType, data: Path) -> None:
    digits = mnist.load_digits(str(data / "MNIST" / "raw"), "t10k")
    pixels, label = digits[3]
    raw = (data / "MNIST" / "raw" / "t10k-images-idx3-ubyte").read_bytes()
    expected = (raw[16 + 3 * 784] / 255 - 0.1307) / 0.3081
    assert pixels.shape == (1, 28, 28)
    assert pixels.dtype == torch.float32
    assert float(pixels[0, 0, 0]) == pytest.approx(expected, abs=1e-6)
    assert int(label) == 3


def test_it_runs_where_pytorch_is_old(
    mnist: ModuleType,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    newer = run(mnist, capsys, "--data", str(data))
    monkeypatch.delattr(torch.backends, "mps")
    monkeypatch.delattr(torch, "frombuffer")
    with pytest.warns(UserWarning, match="TypedStorage is deprecated"):
        older = run(mnist, capsys, "--data", str(data))
    assert older == newer


def test_cuda_that_does_not_work_is_said_plainly(
    mnist: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cuda(tensor: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.Tensor, "cuda", cuda)
    assert mnist.main([]) == 1
    assert "CUDA is there but does not work" in capsys.readouterr().err


# --- finding the data ----------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["MNIST/raw", "raw", ""])
@pytest.mark.parametrize("packed", [True, False])
def test_data_is_found_without_being_named(
    mnist: ModuleType, tmp_path: Path, folder: str, packed: bool
) -> None:
    write_dataset(tmp_path / "app" / "data" / folder, packed=packed)
    assert mnist.main([*NOWHERE, "--dry-run", "--epochs", "1"]) == 0


@pytest.mark.parametrize("place", [".", "data"])
def test_data_is_found_beside_the_script(
    mnist: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(mnist, "__file__", str(tmp_path / "home" / "pytorch-mnist.py"))
    raw = write_dataset(tmp_path / "home" / place / "MNIST" / "raw")
    assert Path(mnist.locate_or_fetch(None, ())) == raw


def test_the_images_own_folders_are_searched(mnist: ModuleType) -> None:
    folders = mnist.search_folders(None)
    assert {"/data/MNIST/raw", "/home/data/MNIST/raw", "../data/MNIST/raw"} <= set(folders)


def test_a_folder_that_is_named_is_the_only_one_searched(
    mnist: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dataset(tmp_path / "app" / "data" / "MNIST" / "raw")
    assert mnist.main(["--data", str(tmp_path / "other"), *NOWHERE]) == 3


def test_no_data_and_no_network(
    mnist: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mnist.main(NOWHERE) == 3
    shown = capsys.readouterr().err
    assert "neither here nor reachable" in shown
    assert "../data/MNIST/raw" in shown
    assert "Connection refused" in shown
    assert "--data DIR" in shown
    assert not (tmp_path / "app" / "data").exists()


def test_the_files_that_lack_are_named(
    mnist: ModuleType, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    assert mnist.main(["--data", str(data), *NOWHERE]) == 3
    assert "lacks t10k-labels-idx1-ubyte" in capsys.readouterr().err


def images_are(content: bytes) -> dict[str, bytes]:
    return {"train-images-idx3-ubyte": content}


WHOLE = images_file(20, random.Random(1))
DAMAGES = {
    "truncated images": (images_are(WHOLE[:-1]), "announces 15680 bytes, 15679 follow"),
    "no header": (images_are(b"\0\0"), "is truncated: 2 bytes"),
    "an empty file": (images_are(b""), "is truncated: 0 bytes"),
    "more than announced": (images_are(WHOLE + b"x"), "announces 15680 bytes, 15681 follow"),
    "a web page": (images_are(b"<html>" + bytes(99)), "has the magic 1013478509, not 2051"),
    "labels as images": (images_are(labels_file(20) + bytes(9)), "has the magic 2049, not 2051"),
    "fewer images than labels": (images_are(WHOLE), "holds 20 images"),
    "no images": (images_are(images_file(0, random.Random(1))), "no 28x28 images"),
    "a label of 77": (
        {"train-labels-idx1-ubyte": labels_file(319)[:4] + b"\0\0\1\x40" + bytes([77] * 320)},
        "holds the label 77",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_data_is_refused(
    mnist: ModuleType, data: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files, message = DAMAGES[name]
    for file, content in files.items():
        (data / "MNIST" / "raw" / file).write_bytes(content)
    assert mnist.main(["--data", str(data), *NOWHERE]) == 4
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("cut", [5, 200])
def test_a_gzip_that_breaks_off_is_refused(
    mnist: ModuleType, data: Path, cut: int, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = data / "MNIST" / "raw" / "train-images-idx3-ubyte"
    plain.with_name(plain.name + ".gz").write_bytes(gzip.compress(plain.read_bytes())[:cut])
    plain.unlink()
    assert mnist.main(["--data", str(data), *NOWHERE]) == 4
    assert "train-images-idx3-ubyte.gz is truncated or damaged" in capsys.readouterr().err


def test_a_gzip_that_is_none_is_refused(mnist: ModuleType, data: Path) -> None:
    plain = data / "MNIST" / "raw" / "train-images-idx3-ubyte"
    plain.with_name(plain.name + ".gz").write_bytes(b"not gzip at all")
    plain.unlink()
    assert mnist.main(["--data", str(data), *NOWHERE]) == 4


# --- downloading ---------------------------------------------------------------------------------


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """The requests are no part of the test's output."""


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """The address of a server on loopback that has the four .gz files."""
    folder = write_dataset(tmp_path / "mirror", packed=True)
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(folder))
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_data_is_downloaded_once_and_used_from_then_on(
    mnist: ModuleType, tmp_path: Path, mirror: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checksums = {
        path.name.removesuffix(".gz"): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (tmp_path / "mirror").iterdir()
    }
    monkeypatch.setattr(mnist, "SHA256", checksums)
    dry = ["--dry-run", "--epochs", "1"]
    # The first mirror refuses, the second has it.
    assert mnist.main([*dry, *NOWHERE, "--mirror", mirror]) == 0
    raw = tmp_path / "app" / "data" / "MNIST" / "raw"
    assert sorted(path.name for path in raw.iterdir()) == sorted(f"{n}.gz" for n in checksums)
    assert mnist.main([*dry, *NOWHERE]) == 0


def test_a_download_with_another_checksum_is_not_kept(
    mnist: ModuleType, tmp_path: Path, mirror: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mnist.main(["--mirror", mirror]) == 3
    assert "has another checksum, not kept" in capsys.readouterr().err
    assert not (tmp_path / "app" / "data").exists()


def test_a_mirror_must_be_an_http_address(
    mnist: ModuleType, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mnist.main(["--mirror", f"file://{data}/"]) == 3
    assert "not an http(s) address" in capsys.readouterr().err


# --- as a process --------------------------------------------------------------------------------


def test_sigterm_ends_it_with_143_after_flushed_lines(tmp_path: Path, data: Path) -> None:
    with start(SCRIPT, "--data", str(data), "--epochs", "100000", cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()  # arrives at once although stdout is a pipe
        second = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 143
        assert first.startswith("Device: cpu")
        assert second.startswith("Train Epoch: 1 [0/320 (0%)]")
        assert "Traceback" not in process.stderr.read()


def test_sigterm_leaves_no_loader_worker_behind(tmp_path: Path, data: Path) -> None:
    # Under CUDA the loaders have a worker each; here one is asked for by hand.
    with_worker = (
        "import functools, sys; from tests.unit.images.scripts import load; "
        f"script = load({SCRIPT!r}); "
        "script.DataLoader = functools.partial(script.DataLoader, num_workers=1); "
        f"sys.exit(script.main(['--data', {str(data)!r}, '--epochs', '100000']))"
    )
    command = [sys.executable, "-c", with_worker]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("Train Epoch: 1 ["):
            pass
        stopped = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 143
        process.stdout.read()  # ends only when no worker holds the pipe any more
        # A worker left alone notices after five seconds by itself.
        assert time.monotonic() - stopped < 4
