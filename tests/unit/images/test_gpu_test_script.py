"""The GPU load: its rounds, its figures, how it ends. Runs for real, small, on the CPU."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.unit.images.scripts import load, start

SCRIPT = "gpu-test/test.py"
SMALL = ["--device", "cpu", "--layers", "3", "--width", "40", "--batch", "4", "--rows", "5"]
SUMMARY = re.compile(
    r"Summary: (\d+) rounds, median \d+\.\d{4} s, p95 \d+\.\d{4} s, layers \d+\.\d{4} s,"
    r" \d+\.\d{3} TFLOP/s float32, cpu, memory \d+ MiB"
)


@pytest.fixture
def gpu_test() -> ModuleType:
    return load(SCRIPT)


def test_defaults_are_the_classic_load(gpu_test: ModuleType) -> None:
    assert vars(gpu_test.parse([])) == {
        "layers": 14,
        "width": 5000,
        "batch": 64,
        "rows": 100,
        "rounds": 100,
        "dtype": "float32",
        "device": "cuda",
        "seed": None,
        "output": "/tmp/time_cost_0.txt",
        "json": False,
    }


def test_each_round_prints_its_sum_and_seconds_and_writes_the_seconds(
    gpu_test: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times = tmp_path / "time_cost_0.txt"
    times.write_text("a line of an earlier run\n")
    assert gpu_test.main([*SMALL, "--rounds", "4", "--output", str(times)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Device: cpu, PyTorch {torch.__version__}"
    rounds = lines[1:-1]
    assert len(rounds) == 8
    for total, seconds in zip(rounds[::2], rounds[1::2], strict=True):
        assert re.fullmatch(r"tensor\(-?\d+\.\d+, grad_fn=<SumBackward0>\)", total)
        assert float(seconds) > 0
    assert times.read_text().splitlines() == rounds[1::2]
    match = SUMMARY.fullmatch(lines[-1])
    assert match is not None
    assert match.group(1) == "4"


def test_the_weights_track_gradients_as_in_training(gpu_test: ModuleType) -> None:
    layers = gpu_test.build_layers(gpu_test.parse(SMALL))
    assert [tuple(layer.weight.shape) for layer in layers] == [(40, 40)] * 3
    assert all(parameter.requires_grad for parameter in layers.parameters())


def test_json_leaves_one_object_on_standard_output(
    gpu_test: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "times")
    assert gpu_test.main([*SMALL, "--rounds", "3", "--json", "--output", output]) == 0
    captured = capsys.readouterr()
    summary = json.loads(captured.out)
    assert summary["rounds"] == 3
    assert summary["device"] == "cpu"
    assert summary["torch"] == torch.__version__
    assert summary["p95_seconds"] >= summary["median_seconds"] > 0
    assert summary["median_seconds"] > summary["device_median_seconds"] > 0
    assert summary["peak_memory_mib"] > 1
    assert captured.err.count("tensor(") == 3


def test_the_figures(gpu_test: ModuleType) -> None:
    args = gpu_test.parse(["--device", "cpu"])
    seconds = [0.5] * 60 + [1.0] * 35 + [2.0] * 5
    summary = gpu_test.summarise(args, [gpu_test.Round(one, one - 0.25) for one in seconds])
    assert summary["median_seconds"] == 0.5
    assert summary["p95_seconds"] == 1.0  # 95 of 100 rounds took no longer
    assert summary["device_median_seconds"] == 0.25
    # 64 x 100 rows through 14 layers of 5000 x 5000 weights, two operations each
    assert summary["tflops"] == pytest.approx(2 * 6400 * 14 * 25e6 / 0.25 / 1e12)


@pytest.mark.parametrize(
    ("values", "percent", "expected"), [([3.0], 95, 3.0), ([2.0, 1.0], 50, 1.0), ([1, 2], 51, 2)]
)
def test_percentile_is_the_nearest_rank(
    gpu_test: ModuleType, values: list[float], percent: float, expected: float
) -> None:
    assert gpu_test.nearest_rank(values, percent) == expected


def test_a_seed_repeats_the_sums(
    gpu_test: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    for _ in range(2):
        gpu_test.main([*SMALL, "--seed", "1", "--rounds", "2", "--output", str(tmp_path / "t")])
        shown.append([line for line in capsys.readouterr().out.splitlines() if "tensor" in line])
    assert shown[0] == shown[1]
    assert shown[0][0] != shown[0][1]


def test_without_cuda_it_refuses(
    gpu_test: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times = tmp_path / "times"
    assert gpu_test.main(["--output", str(times)]) == 3
    shown = capsys.readouterr()
    assert "no CUDA device" in shown.err
    assert "--device cpu" in shown.err
    assert shown.out == ""
    assert not times.exists()


def test_an_output_that_cannot_be_written(
    gpu_test: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gpu_test.main([*SMALL, "--output", str(tmp_path / "no" / "times")]) == 2
    assert "No such file or directory" in capsys.readouterr().err


def test_too_little_memory_ends_with_one_clear_line(
    gpu_test: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    huge = [*SMALL, "--batch", "1000000000", "--rows", "1000000", "--output", str(tmp_path / "t")]
    assert gpu_test.main(huge) == 1
    assert "gpu-test:" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--rounds", "--layers", "--width", "--batch", "--rows"])
def test_a_count_of_zero_is_a_usage_error(gpu_test: ModuleType, option: str) -> None:
    with pytest.raises(SystemExit) as stop:
        gpu_test.main([option, "0"])
    assert stop.value.code == 2


def test_sigterm_sums_up_the_rounds_done(tmp_path: Path) -> None:
    options = [*SMALL, "--rounds", "100000000", "--output", str(tmp_path / "t")]
    with start(SCRIPT, *options, cwd=tmp_path) as process:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read().splitlines()
        assert process.wait(timeout=20) == 143
    assert SUMMARY.fullmatch(rest[-1])
