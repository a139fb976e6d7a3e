"""For every rule of `imgctl lint`: Dockerfiles that break it and the same ones put right."""

# ruff: noqa: E501 - addresses of wheels are long

from __future__ import annotations

BASE = "FROM nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3\n"
EMPTY35 = "FROM nvcr.io/nvidia/l4t-base:r35.2.1\n"
JETPACK35 = "FROM nvcr.io/nvidia/l4t-jetpack:r35.4.1\n"
JETPACK36 = "FROM nvcr.io/nvidia/l4t-jetpack:r36.4.0\n"
R32 = "FROM nvcr.io/nvidia/l4t-base:r32.7.1\nENV NVIDIA_REQUIRE_JETPACK=csv-mounts=all\n"
QUIET = "ARG DEBIAN_FRONTEND=noninteractive\n"
REDIST = "https://developer.download.nvidia.com/compute/redist/jp"
TORCH36 = (
    f"{REDIST}/v61/pytorch/torch-2.5.0a0+872d972e41.nv24.08.17622132-cp310-cp310-linux_aarch64.whl"
)
TORCH35 = f"{REDIST}/v512/pytorch/torch-2.1.0a0+41361538.nv23.06-cp38-cp38-linux_aarch64.whl"
PIP = "RUN pip3 install --no-cache-dir "

# rule -> (bad, good). Both are whole Dockerfiles; the good one need only be free of that rule.
SAMPLES: dict[str, list[tuple[str, str]]] = {
    "base-unknown": [
        ("FROM nvcr.io/nvidia/l4t-pytorch:r35.4.1-pth2.1-py3\n", BASE),
        ("FROM nvcr.io/nvidia/l4t-base:r35.4.1\n", "FROM nvcr.io/nvidia/l4t-base:35.4.1\n"),
        (
            "FROM local-harbor.com/nvcr/nvidia/l4t-base:r36.4.0\n",
            "FROM nvcr.io/nvidia/l4t-base:r36.2.0\n",
        ),
        (
            "ARG L4T=r99.1.1\nFROM nvcr.io/nvidia/l4t-base:${L4T}\n",
            "ARG L4T\nFROM nvcr.io/nvidia/l4t-base:${L4T}\n",
        ),
        (
            "FROM nvcr.io/nvidia/l4t-cuda:12.6-runtime\n",
            "FROM nvcr.io/nvidia/l4t-cuda:12.6.11-runtime\n",
        ),
        (
            "FROM nvcr.io/nvidia/l4t-base:r36.4.0 AS x\nFROM x\n",
            "FROM nvcr.io/nvidia/pytorch:24.07-py3-igpu\n",
        ),
    ],
    "base-latest": [
        ("FROM nvcr.io/nvidia/l4t-base\n", EMPTY35),
        ("FROM ubuntu:latest\n", "FROM ubuntu:22.04\n"),
        ("FROM ubuntu\n", f"FROM ubuntu@sha256:{'0' * 64}\n"),
        ("FROM ubuntu AS a\nFROM a\n", "FROM ubuntu:22.04 AS a\nFROM a\nFROM scratch\n"),
    ],
    "base-platform": [
        (
            "FROM --platform=linux/amd64 ubuntu:22.04\n",
            "FROM --platform=linux/arm64 ubuntu:22.04\n",
        ),
        (
            "FROM --platform=$BUILDPLATFORM ubuntu:22.04\n",
            "FROM --platform=$BUILDPLATFORM golang:1.23 AS b\nFROM --platform=$TARGETPLATFORM ubuntu:22.04\n",
        ),
    ],
    "base-without-cuda": [
        (
            f"{EMPTY35}{QUIET}{PIP}{TORCH35}\n",
            f"{EMPTY35}{QUIET}RUN apt-get update && apt-get install -y cuda-libraries-11-4 libcudnn8\n{PIP}{TORCH35}\n",
        ),
        (
            f"{EMPTY35}{PIP}--extra-index-url {REDIST}/v51 tensorflow==2.11.0+nv23.03\n",
            f"{JETPACK35}{PIP}{TORCH35}\n",
        ),
        (
            f"FROM ubuntu:22.04\n{PIP}{TORCH36}\n",
            f"{R32}{PIP}--extra-index-url {REDIST}/v461 tensorflow==2.7.0+nv22.1\n",
        ),
    ],
    "base-without-cupti": [
        (
            f"FROM nvcr.io/nvidia/l4t-cuda:12.6.11-runtime\n{PIP}{TORCH36}\n",
            f"FROM nvcr.io/nvidia/l4t-cuda:12.6.11-runtime\n{QUIET}RUN apt-get install -y cuda-cupti-12-6 cuda-nvtx-12-6\n{PIP}{TORCH36}\n",
        )
    ],
    "apt-upgrade": [
        (
            f"{BASE}RUN apt-get update && apt-get -y upgrade\n",
            f"{BASE}RUN apt-get update && apt-get install -y --only-upgrade curl\n",
        ),
        (f"{BASE}RUN sudo apt dist-upgrade -y\n", f"{BASE}RUN echo apt upgrade is not run\n"),
        (f"{BASE}RUN bash -c 'apt-get full-upgrade'\n", f"{BASE}RUN pip3 install --upgrade pip\n"),
        (
            f'{BASE}RUN ["/bin/sh", "-c", "apt-get update && apt-get upgrade -y"]\n',
            f'{BASE}RUN ["echo", "apt-get", "upgrade"]\n',
        ),
        (
            f"{BASE}RUN <<EOF\napt-get update\napt-get upgrade -y\nEOF\n",
            f"{BASE}RUN <<EOF\n# apt-get upgrade\napt-get update\nEOF\n",
        ),
    ],
    "apt-l4t-packages": [
        (
            f"{BASE}RUN apt-get install -y nvidia-jetpack\n",
            f"{BASE}RUN apt-get install -y cuda-libraries-11-4 nvidia-cuda-dev\n",
        ),
        (
            f"{BASE}RUN apt-get install -y curl \\\n  nvidia-l4t-core=35.2.1-1\n",
            f"{BASE}RUN apt-get download nvidia-l4t-core && dpkg-deb -x *.deb /\n",
        ),
        (
            f"{BASE}RUN apt install -y nvidia-jetpack-dev\n",
            f"{BASE}RUN apt-mark hold nvidia-l4t-core\n",
        ),
    ],
    "apt-soc-source": [
        (
            f'{EMPTY35}RUN echo "deb https://repo.download.nvidia.com/jetson/t234 r35.2 main" > /etc/apt/sources.list.d/x.list\n',
            f'{EMPTY35}RUN echo "deb https://repo.download.nvidia.com/jetson/common r35.2 main" > /etc/apt/sources.list.d/x.list\n',
        ),
        (
            "FROM ubuntu:24.04\nRUN echo 'deb https://repo.download.nvidia.com/jetson/som r38.2 main' > /x\n",
            f"{R32}RUN echo 'deb https://repo.download.nvidia.com/jetson/t194 r32.7 main' > /x\n",
        ),
    ],
    "apt-suite-mismatch": [
        (
            f"{EMPTY35}RUN echo 'deb https://repo.download.nvidia.com/jetson/common r36.4 main' > /x\n",
            f"{EMPTY35}RUN echo 'deb https://repo.download.nvidia.com/jetson/common r35.2 main' > /x\n",
        ),
        (
            "FROM ubuntu:20.04\nRUN echo 'deb https://repo.download.nvidia.com/jetson/common r36.4 main' > /x\n",
            "FROM ubuntu:22.04\nRUN echo 'deb https://repo.download.nvidia.com/jetson/common r36.4 main' > /x\n",
        ),
        (
            "FROM nvcr.io/nvidia/l4t-jetpack:r36.3.0\nRUN echo 'deb https://repo.download.nvidia.com/jetson/common r36.4 main' > /x\n",
            "FROM nvcr.io/nvidia/l4t-base:r36.2.0\nRUN echo 'deb https://repo.download.nvidia.com/jetson/common r36.4 main' > /x\n",
        ),
    ],
    "apt-key": [
        (
            f"{EMPTY35}RUN wget -qO- https://example.com/k.asc | apt-key add -\n",
            f"{EMPTY35}RUN wget -qO- https://example.com/k.asc | gpg --dearmor -o /usr/share/keyrings/k.gpg\n",
        ),
    ],
    "apt-frontend": [
        (
            f"{EMPTY35}RUN apt-get install -y tzdata\n",
            f"{EMPTY35}{QUIET}RUN apt-get install -y tzdata\n",
        ),
        (
            f"FROM ubuntu:22.04 AS a\n{QUIET}FROM ubuntu:22.04\nRUN apt-get install -y tzdata\n",
            f"{EMPTY35}RUN DEBIAN_FRONTEND=noninteractive apt-get install -y tzdata\n",
        ),
        (
            f"{JETPACK35}RUN apt-get update; apt-get install -y git\n",
            f"{BASE}RUN apt-get install -y git\n",
        ),
    ],
    "apt-frontend-stays": [
        (f"{EMPTY35}ENV DEBIAN_FRONTEND=noninteractive\n", f"{EMPTY35}{QUIET}"),
        (
            f"{EMPTY35}ENV DEBIAN_FRONTEND noninteractive\n",
            f"FROM ubuntu:22.04 AS a\nENV DEBIAN_FRONTEND=noninteractive\n{EMPTY35}",
        ),
    ],
    "gpu-import": [
        (
            f"{R32}RUN python3 -c 'import torch; print(torch.__version__)'\n",
            f"{R32}CMD python3 -c 'import torch'\n",
        ),
        (
            f"{R32}RUN python3 - <<EOF\nimport numpy\nfrom tensorrt import Builder\nEOF\n",
            f"{R32}RUN python3 -c 'import torchless'\n",
        ),
        (
            f'{BASE}RUN cd /x && python3.8 -c "import tensorrt"\n',
            f"{BASE}RUN python3 -c 'import cv2'\n",
        ),
        (f"{BASE}RUN nvidia-smi\n", f"{BASE}RUN pip3 download torch\n"),
        (
            f"{R32}RUN python3 -c 'import numpy as np, torch'\n",
            f"{R32}RUN python3 fetch.py --import torch\n",
        ),
        (
            f"{R32}RUN python3 -c 'import cv2'\n",
            "FROM python:3.11\nRUN python3 -c 'import torch'\n",
        ),
    ],
    "cpu-torch": [
        (f"{BASE}{PIP}torch\n", f"{BASE}{PIP}{TORCH35}\n"),
        (f"{JETPACK36}{PIP}'torchvision>=0.20' pillow\n", f"{JETPACK36}{PIP}torchmetrics\n"),
        (
            f"{JETPACK36}RUN python3 -m pip install torch==2.5.0 --index-url https://download.pytorch.org/whl/cpu\n",
            f"{JETPACK36}RUN python3 -m pip install --index-url https://wheels.example.com/simple torch==2.5.0\n",
        ),
        (
            f"{JETPACK36}ARG W=torch\n{PIP}$W\n",
            f"{JETPACK36}ENV PIP_INDEX_URL=https://wheels.example.com/simple\n{PIP}torch\n",
        ),
        (f"{JETPACK36}RUN uv pip install torch\n", "FROM python:3.11\nRUN pip install torch\n"),
        # Another index beside the general one: pip takes the CPU build from the latter.
        (
            f"{JETPACK36}{PIP}torch --extra-index-url https://wheels.example.com/simple\n",
            f"{JETPACK36}{PIP}torch==2.5.0+ours --extra-index-url https://wheels.example.com/simple\n",
        ),
        (
            f"{JETPACK36}{PIP}torch -i https://wheels.example.com/s --extra-index-url https://pypi.python.example/simple\n",
            f"{JETPACK36}RUN uv pip install --no-cache torch --extra-index-url https://wheels.example.com/simple\n",
        ),
        (
            f"{JETPACK36}{PIP}torch -f /wheels\n",
            f"{JETPACK36}{PIP}torch --no-index -f /wheels\n",
        ),
        (
            f"{JETPACK36}ENV PIP_EXTRA_INDEX_URL=https://wheels.example.com/simple\n{PIP}torch\n",
            f"FROM ubuntu:24.04\nRUN echo 'deb https://repo.download.nvidia.com/jetson/common r39.2 main' > /x\n{PIP}torch --extra-index-url https://download.pytorch.org/whl/cu130\n",
        ),
    ],
    "torch-by-index": [
        (f"{JETPACK36}{PIP}torch --extra-index-url {REDIST}/v61\n", f"{JETPACK36}{PIP}{TORCH36}\n"),
        (
            f"{JETPACK36}{PIP}-f{REDIST}/v61 torch\n",
            f"{JETPACK36}{PIP}--extra-index-url {REDIST}/v61 tensorflow==2.16.1+nv24.08\n",
        ),
    ],
    "pulls-torch": [
        (f"{BASE}{PIP}ultralytics\n", f"{BASE}{PIP}--no-deps ultralytics\n"),
        (f"{BASE}{PIP}'timm==0.9' numpy\n", f"{BASE}{PIP}-c /constraints.txt timm==0.9\n"),
        (f"{JETPACK35}{PIP}pytorch_lightning\n", f"{JETPACK35}{PIP}{TORCH35} pytorch_lightning\n"),
        (f"{BASE}{PIP}accelerate\n", f"{BASE}ENV PIP_CONSTRAINT=/c.txt\n{PIP}accelerate\n"),
        (f"{BASE}{PIP}kornia\n", f"FROM nvcr.io/nvidia/pytorch:25.06-py3-igpu\n{PIP}kornia\n"),
    ],
    "cpu-tensorflow": [
        (
            f"{JETPACK36}{PIP}tensorflow\n",
            f"{JETPACK36}{PIP}--extra-index-url {REDIST}/v61 tensorflow==2.16.1+nv24.08\n",
        ),
        (
            f"{JETPACK36}{PIP}--extra-index-url {REDIST}/v61 tensorflow\n",
            f"{R32}{PIP}--pre --extra-index-url {REDIST}/v44 tensorflow\n",
        ),
        (
            "FROM ubuntu:24.04\n" + f"{PIP}--break-system-packages tensorflow==2.19.0\n",
            f"{JETPACK36}{PIP}tensorflow-datasets\n",
        ),
    ],
    "wheel-python": [
        (f"{BASE}{PIP}{TORCH36}\n", f"{BASE}{PIP}{TORCH35}\n"),
        (
            f"{BASE}{PIP}https://x.example/foo-1.0-cp38-cp38-manylinux_2_17_x86_64.whl\n",
            f"{BASE}{PIP}https://x.example/foo-1.0-cp38-cp38-manylinux_2_17_aarch64.whl\n",
        ),
        (
            f"{R32}{PIP}/tmp/foo-1.0-cp38-cp38-linux_aarch64.whl\n",
            f"{R32}{QUIET}RUN apt-get install -y python3.8\n{PIP}/tmp/foo-1.0-cp38-cp38-linux_aarch64.whl\n",
        ),
        (
            f"{R32}{PIP}/tmp/foo-1.0-cp37-abi3-linux_aarch64.whl\n",
            f"{BASE}{PIP}/tmp/foo-1.0-cp37-abi3-linux_aarch64.whl /tmp/bar-2-py3-none-any.whl\n",
        ),
    ],
    "wheel-name": [
        (
            f"{R32}{PIP}https://nvidia.box.com/shared/static/fjtbno0vpo676a25cgvuqc1wty0fkkg6.whl\n",
            f"{R32}{PIP}/wheels/*.whl\n",
        ),
        (
            f"{R32}RUN wget -O torch.whl https://example.com/x && pip3 install torch.whl\n",
            f"{R32}{PIP}torch-1.10.0-cp36-cp36m-linux_aarch64.whl\n",
        ),
        (
            f"{BASE}{PIP}'torch @ https://example.com/torch.whl#sha256=0'\n",
            f"{BASE}{PIP}https://example.com/$WHEEL.whl\n",
        ),
    ],
    "wheel-jetpack": [
        (
            f"{JETPACK36}{PIP}{REDIST}/v60/pytorch/torch-2.4.0a0+07cecf4168.nv24.05.14710581-cp310-cp310-linux_aarch64.whl\n",
            f"{JETPACK36}{PIP}{TORCH36}\n",
        ),
        (
            f"{R32}RUN wget -O torch-1.4.0-cp36-cp36m-linux_aarch64.whl https://nvidia.box.com/shared/static/ncgzus5o23uck9i5oth2n8n06k340l6k.whl\n",
            f"{R32}RUN wget -O torch-1.4.0-cp36-cp36m-linux_aarch64.whl https://nvidia.box.com/shared/static/c3d7vm4gcs9m728j6o5vjay2jdedqb55.whl\n",
        ),
        (
            f"{JETPACK36}{PIP}--extra-index-url {REDIST}/v60 tensorflow==2.16.1+nv24.07\n",
            f"{JETPACK35}{PIP}--extra-index-url {REDIST}/v51 tensorflow==2.11.0+nv23.03\n",
        ),
        (
            f"FROM nvcr.io/nvidia/l4t-jetpack:r36.3.0\n{PIP}{TORCH36.replace('+', '%2B').replace('.com', '.cn')}\n",
            f"{JETPACK35}{PIP}{REDIST}/v502/pytorch/torch-1.13.0a0+d0d6b1f2.nv22.10-cp38-cp38-linux_aarch64.whl\n",
        ),
        (
            f"{JETPACK36}{PIP}{REDIST}/v60dp/tensorflow/tensorflow-2.15.0+nv24.02-cp310-cp310-linux_aarch64.whl\n",
            f"{JETPACK36}RUN case $J in 5) pip3 install {TORCH35};; *) pip3 install {TORCH36};; esac\n",
        ),
    ],
    "get-pip": [
        (
            f"{R32}RUN curl https://bootstrap.pypa.io/get-pip.py | python3\n",
            f"{R32}RUN curl https://bootstrap.pypa.io/pip/3.6/get-pip.py | python3\n",
        ),
        (
            f"{BASE}ADD https://bootstrap.pypa.io/get-pip.py /\n",
            f"{JETPACK36}ADD https://bootstrap.pypa.io/get-pip.py /\n",
        ),
    ],
    "cusparselt-missing": [
        (
            f"{JETPACK36}{PIP}{TORCH36}\n",
            f"{JETPACK36}RUN wget -qO- https://x.example/libcusparse_lt-0.6.2.3.tar.xz | tar -xJ # cusparselt\n{PIP}{TORCH36}\n",
        ),
        (
            f"{JETPACK36}{PIP}{REDIST}/v60/pytorch/torch-2.4.0a0+3bcc3cddb5.nv24.07.16234504-cp310-cp310-linux_aarch64.whl\n",
            f"{JETPACK36}{PIP}{REDIST}/v60/pytorch/torch-2.4.0a0+07cecf4168.nv24.05.14710581-cp310-cp310-linux_aarch64.whl\n",
        ),
    ],
    "numpy-illegal-instruction": [
        (f"{R32}{PIP}numpy\n", f"{R32}{PIP}numpy==1.19.4\n"),
        (f"{R32}{PIP}numpy==1.19.5\n", f"{R32}{PIP}'numpy<1.19.5'\n"),
        (f"{R32}{PIP}'numpy>=1.18'\n", f"{R32}ENV OPENBLAS_CORETYPE=ARMV8\n{PIP}numpy\n"),
        (f"{R32}{PIP}numpy>=1.16,!=1.17\n", f"{BASE}{PIP}numpy\n"),
    ],
    "numpy-2": [
        (f"{JETPACK36}{PIP}{TORCH36} numpy\n", f"{JETPACK36}{PIP}{TORCH36} 'numpy>=1.23,<2'\n"),
        (
            f"{JETPACK36}{PIP}{TORCH36}\n{PIP}'numpy>=1.23'\n",
            f"{JETPACK36}{PIP}{TORCH36}\n{PIP}numpy==1.26.4\n",
        ),
        (f"{JETPACK36}{PIP}{TORCH36}\n{PIP}numpy==2.0.0\n", f"{JETPACK36}{PIP}numpy\n"),
        (
            f"{JETPACK36}{PIP}{TORCH36}\n{PIP}numpy~=2.0\n",
            f"{JETPACK36}{PIP}{TORCH36}\n{PIP}numpy~=1.26\n",
        ),
    ],
    "pip-managed-environment": [
        (
            f"FROM ubuntu:24.04\n{PIP}requests\n",
            f"FROM ubuntu:24.04\n{PIP}--break-system-packages requests\n",
        ),
        (
            f"FROM ubuntu:24.04\n{PIP}requests\n",
            f"FROM ubuntu:24.04\nENV PIP_BREAK_SYSTEM_PACKAGES=1\n{PIP}requests\n",
        ),
        (
            f"FROM ubuntu:24.04\n{PIP}requests\n",
            "FROM ubuntu:24.04\nRUN python3 -m venv /v && /v/bin/pip install --no-cache-dir requests\n",
        ),
        (
            f"FROM ubuntu:24.04\n{PIP}requests\n",
            f"FROM nvcr.io/nvidia/pytorch:25.08-py3\n{PIP}requests\n",
        ),
        (f"FROM ubuntu:24.04\n{PIP}requests\n", f"FROM ubuntu:22.04\n{PIP}requests\n"),
    ],
    "pip-cache": [
        (f"{BASE}RUN pip3 install requests\n", f"{BASE}{PIP}requests\n"),
        (
            f"{BASE}RUN pip install requests\n",
            f"{BASE}RUN --mount=type=cache,target=/root/.cache/pip pip install requests\n",
        ),
        (
            f"{BASE}RUN pip install requests\n",
            f"{BASE}ENV PIP_NO_CACHE_DIR=1\nRUN pip install requests\n",
        ),
    ],
    "stale-index": [
        (
            f"FROM dustynv/l4t-pytorch:r36.4.0\n{PIP}requests\n",
            f"FROM dustynv/l4t-pytorch:r36.4.0\nENV PIP_INDEX_URL= PIP_TRUSTED_HOST= UV_DEFAULT_INDEX=\n{PIP}requests\n",
        ),
        (
            f"FROM dustynv/l4t-ml:r35.4.1\n{PIP}requests\n",
            f"FROM dustynv/l4t-ml:r35.4.1\n{PIP}--index-url https://wheels.example.com/simple requests\n",
        ),
    ],
    "nvcc-r32": [
        (f"{R32}RUN nvcc -o a a.cu\n", f"{BASE}RUN nvcc -o a a.cu\n"),
        (
            f"{R32}RUN /usr/local/cuda/bin/nvcc a.cu\n",
            f"{R32}{QUIET}RUN apt-get install -y cuda-nvcc-10-2\nRUN nvcc a.cu\n",
        ),
        (f"{R32}RUN cd /s && nvcc a.cu\n", f"{R32}RUN nvcc --version\n"),
    ],
    "chmod-undoes-link": [
        (f"{BASE}COPY --link --chmod=755 a.py /home/\n", f"{BASE}COPY --link a.py /home/\n"),
        (
            f"{BASE}COPY --chmod=755 --link=true a.py /home/\n",
            f"{BASE}COPY --chmod=755 a.py /home/\n",
        ),
    ],
    "link-owner-name": [
        (
            f"{BASE}COPY --link --chown=app:app a.py /home/\n",
            f"{BASE}COPY --link --chown=1000:1000 a.py /home/\n",
        ),
        (f"{BASE}COPY --link --chown=app a.py /home/\n", f"{BASE}COPY --chown=app a.py /home/\n"),
    ],
    "link-over-symlink": [
        (f"{BASE}COPY --link tool /bin/tool\n", f"{BASE}COPY --link tool /usr/bin/tool\n"),
        (f"{BASE}COPY --link x /var/run/\n", f"{BASE}COPY --link x /run/\n"),
        (f"{R32}COPY --link x.so /var/lock/x\n", f"{R32}COPY --link x.so /lib/x.so\n"),
        (
            f"{JETPACK35}COPY --link x.so /usr/local/cuda/lib64/\n",
            f"{EMPTY35}COPY --link x.so /usr/local/cuda/lib64/\n",
        ),
        (f'{BASE}COPY --link ["a", "/lib/a"]\n', f"{BASE}COPY a /lib/a\n"),
    ],
    "not-graftable": [
        (f"{BASE}WORKDIR /app\nCOPY --link a /app/\n", f"{BASE}COPY --link a /app/\n"),
        (f"{BASE}COPY a /app/\n", f'{BASE}ENV A=1\nCOPY --link --chown=0:0 a /app/\nCMD ["a"]\n'),
        (
            f"{BASE}RUN true\n",
            f"FROM ubuntu:22.04 AS b\nRUN true\n{BASE}COPY --link --from=b /x /x\n",
        ),
        (f"{BASE}ADD https://x.example/a /a\n", f"{BASE}USER 1000\n"),
        ("FROM ubuntu:22.04 AS b\nRUN true\nFROM b\n", BASE),
    ],
    "copies-qemu": [
        (f"{BASE}COPY qemu-aarch64-static /usr/bin/\n", f"{BASE}COPY --link a /usr/bin/\n"),
        (
            f"{BASE}COPY --from=multiarch/qemu-user-static /usr/bin/qemu-aarch64-static /usr/bin/\n",
            f"{BASE}RUN echo qemu-aarch64-static\n",
        ),
    ],
    "syntax-line": [
        (f"# syntax=docker/dockerfile:1\n{BASE}", f"# a comment on syntax\n{BASE}"),
        (
            f"# check=skip=all\n#syntax = docker/dockerfile:1.7\n{BASE}",
            f"{BASE}# syntax=docker/dockerfile:1\n",
        ),
    ],
    "stubs-in-library-path": [
        (
            f"{BASE}ENV LD_LIBRARY_PATH=/usr/local/cuda/lib64/stubs:$LD_LIBRARY_PATH\n",
            f"{BASE}ENV LIBRARY_PATH=/usr/local/cuda/lib64/stubs\n",
        ),
        (
            f"{BASE}ENV A=1 \\\n  LD_LIBRARY_PATH=/x:/usr/local/cuda/lib64/stubs\n",
            f"FROM ubuntu:22.04 AS b\nENV LD_LIBRARY_PATH=/cuda/lib64/stubs\n{BASE}",
        ),
        (
            f"{BASE}ENV LD_LIBRARY_PATH /usr/local/cuda/lib64/stubs\n",
            f"{BASE}ENV LD_LIBRARY_PATH=/usr/local/cuda/lib64\n",
        ),
    ],
    "require-jetpack": [
        ("FROM nvcr.io/nvidia/l4t-base:r32.7.1\n", R32),
        ("FROM nvcr.io/nvidia/l4t-pytorch:r32.7.1-pth1.10-py3\n", BASE),
    ],
    "gpu-not-visible": [
        (
            f"FROM ubuntu:24.04\n{PIP}--break-system-packages --index-url https://download.pytorch.org/whl/cu130 torch\n",
            f"FROM ubuntu:24.04\nENV NVIDIA_VISIBLE_DEVICES=all\n{PIP}--break-system-packages --index-url https://download.pytorch.org/whl/cu130 torch\n",
        ),
        (
            f"FROM ubuntu:22.04\n{QUIET}RUN apt-get install -y cuda-libraries-12-6\n",
            f"FROM ubuntu:22.04\n{QUIET}RUN apt-get install -y curl\n",
        ),
    ],
    "suppression": [
        (
            f"# imgctl: ignore=no-such-rule because\n{BASE}",
            f"# imgctl: ignore=apt-upgrade the mirror is frozen\n{BASE}",
        ),
        (f"# imgctl: ignore=apt-upgrade\n{BASE}", f"# imgctl ignores this\n{BASE}"),
        (f"{BASE}# imgctl: ignore= because\nRUN true\n", BASE),
    ],
}

_LINKS = {
    "link-webredirect": [("http://jetson.webredirect.org/jp6/cu126", "https://example.com/jp6")],
    "link-ai-lab-dev": [("https://pypi.jetson-ai-lab.dev/jp6/cu126", "https://pypi.jetson-ai-lab.io/jp6/cu126"), ("https://apt.jetson-ai-lab.dev/x", "https://x.example")],
    "link-ai-lab-jp45": [("https://pypi.jetson-ai-lab.io/jp5/cu114", "https://pypi.jetson-ai-lab.io/jp6/cu126"), ("https://pypi.jetson-ai-lab.io/jp4", "https://x.example")],
    "link-ai-lab-cuda": [("https://pypi.jetson-ai-lab.io/jp6/cu124", "https://pypi.jetson-ai-lab.io/jp6/cu126"), ("https://pypi.jetson-ai-lab.io/jp6/cu130", "https://pypi.jetson-ai-lab.io/jp6/cu129")],
    "link-ai-lab-jp7": [("https://pypi.jetson-ai-lab.io/jp7/cu130", "https://pypi.jetson-ai-lab.io/sbsa/cu130")],
    "link-ai-lab-cu132": [("https://pypi.jetson-ai-lab.io/sbsa/cu132", "https://pypi.jetson-ai-lab.io/sbsa/cu130")],
    "link-ai-lab-fragile": [("https://pypi.jetson-ai-lab.io/jp6/cu126/+f/a/x.whl", "https://pypi.jetson-ai-lab.io/jp6/cu124")],
    "link-box": [("https://nvidia.box.com/shared/static/x.whl", "https://example.box.com/x"), ("https://nvidia.app.box.com/x", "https://x.example")],
    "link-redist-v46": [(f"{REDIST}/v46/pytorch/torch-1.10.whl", f"{REDIST}/v461/pytorch/x.whl")],
    "link-torch-111": [(f"{REDIST}/v461/pytorch/torch-1.11.0a0+17540c5-cp36-cp36m-linux_aarch64.whl", f"{REDIST}/v461/pytorch/torch-1.11.0a0+17540c5+nv22.01-cp36-cp36m-linux_aarch64.whl")],
    "link-redist-missing": [(f"{REDIST}/v62/pytorch/x.whl", f"{REDIST}/v61/x.whl"), (f"{REDIST}/v513", f"{REDIST}/v512"), (f"{REDIST}/jp6", f"{REDIST}/v60dp")],
    "link-torch-200-dir": [(f"{REDIST}/v51/pytorch/torch-2.0.0+nv23.05-cp38-cp38-linux_aarch64.whl", f"{REDIST}/v511/pytorch/torch-2.0.0+nv23.05-cp38-cp38-linux_aarch64.whl")],
    "link-torch-210-dir": [(f"{REDIST}/v511/pytorch/torch-2.1.0a0+41361538.nv23.06-cp38-cp38-linux_aarch64.whl", TORCH35)],
    "link-torch-22-dir": [(f"{REDIST}/v60/pytorch/torch-2.2.0a0+6a974be.nv23.11-cp310-cp310-linux_aarch64.whl", f"{REDIST}/v60dp/pytorch/torch-2.2.0a0+6a974be.nv23.11-cp310-cp310-linux_aarch64.whl")],
    "link-torch-25-name": [(f"{REDIST}/v61/pytorch/torch-2.5.0a0+872d972e41.nv24.08-cp310-cp310-linux_aarch64.whl", TORCH36)],
    "link-internal-key": [("https://l4t-repo.nvidia.com/jetson-ota-internal.key", "https://repo.download.nvidia.com/jetson/jetson-ota-public.asc")],
    "link-three-part-suite": [("https://repo.download.nvidia.com/jetson/common r35.2.1 main", "https://repo.download.nvidia.com/jetson/common r35.2 main")],
    "link-t264": [("https://repo.download.nvidia.com/jetson/t264 r38.2 main", "https://repo.download.nvidia.com/jetson/common r38.2 main")],
    "link-forum-uploads": [("https://forums.developer.nvidia.com/uploads/short-url/x.whl", "https://forums.developer.nvidia.com/t/72048")],
    "link-wrong-host": [("https://developer.nvidia.com/w/compute/redist/jp/v461/x", f"{REDIST}/v461/x")],
    "link-torch-200-name": [("https://x.example/torch-2.0.0.nv23.05-cp38-cp38-linux_aarch64.whl", "https://x.example/torch-2.0.0+nv23.05-cp38-cp38-linux_aarch64.whl"), ("https://nvidia.box.com/shared/static/sct3njlmea4whlf6ud9tj1853zi3vb1v", "https://x.example")],
}  # fmt: skip

SAMPLES |= {
    rule: [
        (f"{BASE}RUN wget -q {bad} -O /tmp/x\n", f"{BASE}RUN wget -q {good} -O /tmp/x\n")
        for bad, good in pairs
    ]
    for rule, pairs in _LINKS.items()
}
