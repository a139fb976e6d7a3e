#!/usr/bin/env python3
"""Load a GPU with dense layers and time it: shows how much of a GPU this pod really gets.

Each round makes random input on the CPU, copies it to the device, runs it through a stack of
square linear layers and sums the result; the sum and the seconds are printed and the seconds
appended to a file. The last line sums the run up, so that pods sharing one GPU can be compared:
its TFLOP/s are those of the layers alone, since a slow CPU is no sign of a shared GPU.
Works on Python 3.6 with PyTorch 1.2 (JetPack 4) and everything newer.

Exit codes: 0 done; 1 failed (CUDA error, out of memory); 2 wrong options; 3 no CUDA device;
130 interrupted; 143 stopped by SIGTERM (both sum up the rounds that were done).
"""

import argparse
import json
import math
import os
import resource
import signal
import statistics
import sys
import threading
import time
from typing import Any, Dict, List, NamedTuple, Optional, TextIO

import torch
from torch import nn

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NO_CUDA = 3
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
Summary = Dict[str, Any]


class Round(NamedTuple):
    """How long one round took, in seconds: all of it, and the layers on the device."""

    seconds: float
    device_seconds: float


def positive(text: str) -> int:
    """An integer above zero, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("%s is not above 0" % text)
    return value


def parse(argv: Optional[List[str]]) -> argparse.Namespace:
    """The command line; a wrong one exits with 2."""
    parser = argparse.ArgumentParser(
        description="Time a stack of linear layers on the GPU.",
        epilog="exit codes: 1 failed, 2 wrong options, 3 no CUDA device",
    )
    option = parser.add_argument
    option("--layers", type=positive, default=14, metavar="N", help="linear layers (14)")
    option("--width", type=positive, default=5000, metavar="N", help="their width (5000)")
    option("--batch", type=positive, default=64, metavar="N", help="batches of rows (64)")
    option("--rows", type=positive, default=100, metavar="N", help="rows per batch (100)")
    option("--rounds", type=positive, default=100, metavar="N", help="timed rounds (100)")
    option("--dtype", choices=sorted(DTYPES), default="float32", help="numbers (float32)")
    option("--device", choices=("cuda", "cpu"), default="cuda", help="where to compute (cuda)")
    option("--seed", type=int, metavar="S", help="seed of weights and input (random)")
    option(
        "--output",
        default="/tmp/time_cost_0.txt",  # noqa: S108
        metavar="FILE",
        help="seconds of each round, one per line (/tmp/time_cost_0.txt)",
    )
    option(
        "--json",
        action="store_true",
        help="the summary as JSON on standard output, the rounds on standard error",
    )
    return parser.parse_args(argv)


def build_layers(args: argparse.Namespace) -> nn.Module:
    """The stack of square linear layers, on the device, weights requiring a gradient.

    One layer at a time: CPU and GPU of a Jetson share one memory, so that a whole stack made on
    the CPU first would take twice the room.
    """
    kind = DTYPES[args.dtype]
    layers = [nn.Linear(args.width, args.width).to(args.device, kind) for _ in range(args.layers)]
    return nn.Sequential(*layers)


def synchronize(device: str) -> None:
    """Wait until the device did all its work; without it only the launches would be timed."""
    if device == "cuda":
        torch.cuda.synchronize()


def one_round(layers: nn.Module, args: argparse.Namespace, log: TextIO) -> Round:
    """Do, print and time one round. Its tensors die here, so memory stays flat."""
    start = time.perf_counter()
    rows = torch.randn(size=(args.batch, args.rows, args.width))
    rows = rows.to(args.device, DTYPES[args.dtype])
    synchronize(args.device)
    placed = time.perf_counter()
    total = torch.sum(layers(rows))
    synchronize(args.device)
    summed = time.perf_counter()
    print(total, file=log)
    seconds = time.perf_counter() - start
    print(seconds, file=log, flush=True)
    return Round(seconds, summed - placed)


def run_rounds(
    args: argparse.Namespace, rounds: List[Round], log: TextIO, stop: threading.Event
) -> None:
    """The rounds until `stop`; each one goes to list and file as soon as it is done."""
    if args.seed is not None:
        torch.manual_seed(args.seed)
    with open(args.output, "w") as output:
        layers = build_layers(args)
        synchronize(args.device)
        while len(rounds) < args.rounds and not stop.is_set():
            rounds.append(one_round(layers, args, log))
            output.write("%s\n" % rounds[-1].seconds)
            output.flush()


def nearest_rank(values: List[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(percent / 100.0 * len(values)) - 1)]


def summarise(args: argparse.Namespace, rounds: List[Round]) -> Summary:
    """The figures of the rounds done: seconds, TFLOP/s (two operations per weight and row), MiB."""
    seconds = [one.seconds for one in rounds]
    on_device = statistics.median(one.device_seconds for one in rounds)
    operations = 2.0 * args.batch * args.rows * args.width * args.width * args.layers
    if args.device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        name = properties.name
        memory = torch.cuda.max_memory_allocated() / 2.0**20
        total: Optional[float] = properties.total_memory / 2.0**20
    else:
        name, total = "cpu", None
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return {
        "rounds": len(rounds),
        "median_seconds": round(statistics.median(seconds), 6),
        "p95_seconds": round(nearest_rank(seconds, 95), 6),
        "device_median_seconds": round(on_device, 6),
        "tflops": round(operations / on_device / 1e12, 4),
        "device": name,
        "dtype": args.dtype,
        "peak_memory_mib": round(memory, 1),
        "total_memory_mib": None if total is None else round(total, 1),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }


def summary_line(summary: Summary) -> str:
    """The summary as one line."""
    memory = "%.0f MiB" % summary["peak_memory_mib"]
    if summary["total_memory_mib"] is not None:
        memory += " of %.0f MiB" % summary["total_memory_mib"]
    timing = "median %.4f s, p95 %.4f s, layers %.4f s" % (
        summary["median_seconds"],
        summary["p95_seconds"],
        summary["device_median_seconds"],
    )
    speed = "%.3f TFLOP/s %s" % (summary["tflops"], summary["dtype"])
    parts = (timing, speed, summary["device"], "memory " + memory)
    return "Summary: %d rounds, %s" % (summary["rounds"], ", ".join(parts))


def report(args: argparse.Namespace, rounds: List[Round]) -> None:
    """Print the summary of the rounds that were done, if any were."""
    if not rounds:
        return
    summary = summarise(args, rounds)
    print(json.dumps(summary) if args.json else summary_line(summary), flush=True)


def complain(line: str) -> None:
    """One line of error."""
    print("gpu-test: %s" % line, file=sys.stderr, flush=True)


def main(argv: Optional[List[str]] = None) -> int:
    """Run the load; return its exit code."""
    args = parse(argv)
    log = sys.stderr if args.json else sys.stdout
    if args.device == "cuda" and not torch.cuda.is_available():
        built = "built for CUDA %s" % torch.version.cuda if torch.version.cuda else "a CPU build"
        complain("no CUDA device (PyTorch %s, %s)" % (torch.__version__, built))
        complain("run under the nvidia runtime on the device, or pass --device cpu")
        return EXIT_NO_CUDA
    stop = threading.Event()
    # Between rounds, not by an exception: one raised in a finaliser would be lost.
    signal.signal(signal.SIGTERM, lambda signum, frame: stop.set())
    device = torch.cuda.get_device_name(0) if args.device == "cuda" else "cpu"
    print("Device: %s, PyTorch %s" % (device, torch.__version__), file=log, flush=True)
    rounds: List[Round] = []
    try:
        run_rounds(args, rounds, log, stop)
        code = EXIT_TERMINATED if stop.is_set() else 0
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except OSError as error:
        complain("cannot write %s: %s" % (args.output, os.strerror(error.errno or 0)))
        return EXIT_USAGE
    except RuntimeError as error:
        complain(str(error))
        code = EXIT_FAILED
    report(args, rounds)
    return code


if __name__ == "__main__":
    sys.exit(main())
