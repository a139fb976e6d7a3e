"""Says which device it runs on. Works on the Python 3.6 of JetPack 4 and everything newer."""

import torch


def main() -> None:
    """Add two numbers on the GPU, or say that there is none."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name(0) if device.type == "cuda" else "CPU"
    print("device:", name, "sum:", float(torch.ones(2, device=device).sum()))


if __name__ == "__main__":
    main()
