"""The TensorFlow check, against the surfaces of TensorFlow 1.15 and 2.x that it touches.

TensorFlow itself weighs half a gigabyte, so modules with the same names stand in for it.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.unit.images.scripts import load


class OpError(Exception):
    """tensorflow.errors.OpError."""


class Recorder:
    """What a fake TensorFlow was asked to do."""

    def __init__(self) -> None:
        self.devices: list[str] = []
        self.growth: list[str] = []
        self.soft_placement: list[bool] = []


def fake(version: str, gpus: list[str], *, placed_on: str, element: float = 256.0) -> Any:
    """A module with TensorFlow's names: eager and config.list_physical_devices from 2.1 on."""
    eager = version.startswith("2")
    recorder = Recorder()
    devices = [SimpleNamespace(name=name) for name in gpus]

    def physical(kind: str) -> list[SimpleNamespace]:
        return devices if kind == "GPU" else []

    def grow(gpu: SimpleNamespace, enable: bool) -> None:
        recorder.growth.append(gpu.name)

    def device(name: str) -> nullcontext[None]:
        recorder.devices.append(name)
        return nullcontext()

    matrix = {(0, 0): element}
    product = SimpleNamespace(device=placed_on, numpy=lambda: matrix)

    class Session:
        def __init__(self, config: SimpleNamespace) -> None:
            recorder.soft_placement.append(config.allow_soft_placement)

        def __enter__(self) -> Session:
            return self

        def __exit__(self, *exception: object) -> None:
            return None

        def run(self, tensor: object) -> dict[tuple[int, int], float]:
            return matrix

    def session_config(allow_soft_placement: bool) -> SimpleNamespace:
        return SimpleNamespace(
            allow_soft_placement=allow_soft_placement, gpu_options=SimpleNamespace()
        )

    config = SimpleNamespace(
        experimental=SimpleNamespace(list_physical_devices=physical, set_memory_growth=grow)
    )
    if eager:
        config.list_physical_devices = physical
    module: Any = ModuleType("tensorflow")
    module.__version__ = version
    module.config = config
    module.test = SimpleNamespace(is_built_with_cuda=lambda: bool(gpus))
    module.errors = SimpleNamespace(OpError=OpError)
    module.executing_eagerly = lambda: eager
    module.device = device
    module.ones = lambda shape: shape
    module.matmul = lambda left, right: product
    module.compat = SimpleNamespace(v1=SimpleNamespace(ConfigProto=session_config, Session=Session))
    module.recorder = recorder
    return module


GPU = "/physical_device:GPU:0"
ON_GPU = "/job:localhost/replica:0/task:0/device:GPU:0"
ON_CPU = "/job:localhost/replica:0/task:0/device:CPU:0"


@pytest.fixture
def check_gpu() -> ModuleType:
    return load("tensorflow/check_gpu.py")


def use(monkeypatch: pytest.MonkeyPatch, tensorflow: Any) -> Any:
    monkeypatch.setitem(sys.modules, "tensorflow", tensorflow)
    return tensorflow


@pytest.mark.parametrize("version", ["1.15.5", "2.11.0", "2.16.1"])
def test_a_gpu_that_works(
    check_gpu: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    version: str,
) -> None:
    tensorflow = use(monkeypatch, fake(version, [GPU], placed_on=ON_GPU))
    assert check_gpu.main([]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"TensorFlow {version}",
        "Built with CUDA: yes",
        f"GPUs: {GPU}",
        f"Multiplied 256x256 on {ON_GPU}",
    ]
    assert tensorflow.recorder.devices == ["/GPU:0"]
    assert tensorflow.recorder.growth == [GPU]


def test_version_1_may_not_move_the_work_to_the_cpu(
    check_gpu: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensorflow = use(monkeypatch, fake("1.15.5", [GPU], placed_on="/device:GPU:0"))
    assert check_gpu.main([]) == 0
    assert tensorflow.recorder.soft_placement == [False]


def test_no_gpu(
    check_gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tensorflow = use(monkeypatch, fake("2.11.0", [], placed_on=ON_CPU))
    assert check_gpu.main([]) == 3
    captured = capsys.readouterr()
    assert "GPUs: none" in captured.out
    assert "Built with CUDA: no" in captured.out
    assert "no GPU" in captured.err
    assert tensorflow.recorder.devices == []


def test_a_cpu_is_enough_when_allowed(
    check_gpu: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, fake("2.11.0", [], placed_on=ON_CPU))
    assert check_gpu.main(["--cpu"]) == 0


def test_work_that_ended_up_on_the_cpu_is_no_success(
    check_gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, fake("2.11.0", [GPU], placed_on=ON_CPU))
    assert check_gpu.main([]) == 3
    assert f"the work went to {ON_CPU}" in capsys.readouterr().err


def test_a_wrong_product_fails(check_gpu: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, fake("2.11.0", [GPU], placed_on=ON_GPU, element=0.0))
    assert check_gpu.main([]) == 1


def test_tensorflow_that_is_not_there(
    check_gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert check_gpu.main([]) == 1
    assert "TensorFlow cannot be loaded" in capsys.readouterr().err


def test_a_size_of_zero_is_a_usage_error(check_gpu: ModuleType) -> None:
    with pytest.raises(SystemExit) as stop:
        check_gpu.main(["--size", "0"])
    assert stop.value.code == 2
