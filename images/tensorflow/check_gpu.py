#!/usr/bin/env python3
"""Prove that TensorFlow can use the GPU here: name the devices and multiply on one.

Works with TensorFlow 1.15 and 2.x, on Python 3.6 and everything newer.

Exit codes: 0 a GPU did the work (with --cpu: any device); 1 TensorFlow failed; 2 wrong options;
3 no GPU.
"""

import argparse
import os
import sys
from typing import Any, List, Optional, Tuple

EXIT_FAILED = 1
EXIT_NO_GPU = 3


def parse(argv: Optional[List[str]]) -> argparse.Namespace:
    """The command line; a wrong one exits with 2."""
    parser = argparse.ArgumentParser(
        description="Check that TensorFlow uses the GPU.",
        epilog="exit codes: 1 TensorFlow failed, 2 wrong options, 3 no GPU",
    )
    parser.add_argument("--cpu", action="store_true", help="a CPU is good enough")
    parser.add_argument("--size", type=int, default=256, metavar="N", help="matrix side (256)")
    args = parser.parse_args(argv)
    if args.size < 1:
        parser.error("--size must be above 0")
    return args


def list_gpus(tensorflow: Any) -> List[Any]:
    """The GPUs TensorFlow sees, each allowed to grow its memory instead of taking it all.

    A Jetson's CPU and GPU share one memory, so taking all of it would starve the rest.
    """
    config = tensorflow.config
    # 2.1 moved the function out of `experimental`; 1.15 and 2.0 have it only there.
    lister = getattr(config, "list_physical_devices", config.experimental.list_physical_devices)
    gpus = list(lister("GPU"))
    for gpu in gpus:
        config.experimental.set_memory_growth(gpu, True)
    return gpus


def multiply(tensorflow: Any, device: str, size: int) -> Tuple[str, float]:
    """Multiply two matrices of ones on `device`; the device that did it and one element."""
    eager = tensorflow.executing_eagerly()
    with tensorflow.device(device):
        ones = tensorflow.ones((size, size))
        product = tensorflow.matmul(ones, ones)
    if eager:
        return str(product.device), float(product.numpy()[0, 0])
    # 1.x: the session refuses, rather than moves, what cannot run on the device asked for.
    options = tensorflow.compat.v1.ConfigProto(allow_soft_placement=False)
    options.gpu_options.allow_growth = True
    with tensorflow.compat.v1.Session(config=options) as session:
        return str(product.device), float(session.run(product)[0, 0])


def check(tensorflow: Any, args: argparse.Namespace) -> int:
    """Print version, build, devices and the product; return the exit code."""
    print("TensorFlow %s" % tensorflow.__version__)
    print("Built with CUDA: %s" % ("yes" if tensorflow.test.is_built_with_cuda() else "no"))
    gpus = list_gpus(tensorflow)
    print("GPUs: %s" % (", ".join(gpu.name for gpu in gpus) or "none"), flush=True)
    if not gpus and not args.cpu:
        sys.stderr.write("check_gpu: no GPU; run under the nvidia runtime, or pass --cpu\n")
        return EXIT_NO_GPU
    wanted = "GPU" if gpus else "CPU"
    device, element = multiply(tensorflow, "/%s:0" % wanted, args.size)
    if abs(element - args.size) > 1e-3 * args.size:
        sys.stderr.write("check_gpu: wrong product: %s, not %d\n" % (element, args.size))
        return EXIT_FAILED
    if wanted not in device.upper():
        sys.stderr.write("check_gpu: the work went to %s\n" % device)
        return EXIT_NO_GPU
    print("Multiplied %dx%d on %s" % (args.size, args.size, device), flush=True)
    return 0


def main(argv: Optional[List[str]] = None) -> int:
    """Run the check; return its exit code."""
    args = parse(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its log would bury our lines
    try:
        import tensorflow
    except ImportError as error:
        sys.stderr.write("check_gpu: TensorFlow cannot be loaded: %s\n" % error)
        return EXIT_FAILED
    try:
        return check(tensorflow, args)
    except (RuntimeError, ValueError, tensorflow.errors.OpError) as error:
        sys.stderr.write("check_gpu: %s\n" % error)
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
