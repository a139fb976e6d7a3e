#!/bin/sh
# Prints what `imgctl node check --facts FILE` needs to know of a device. Reads only; POSIX sh.
# Values that look like secrets are left out.
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin:/usr/local/bin
section() { printf '== %s\n' "$1"; }
quiet() { "$@" 2>/dev/null; }
hidden() { sed -E 's/(([Pp]assword|[Aa]uth|[Tt]oken|[Ss]ecret)[A-Za-z_]*"?[[:space:]]*[=:][[:space:]]*).*/\1"HIDDEN"/'; }

section release; quiet head -n 1 /etc/nv_tegra_release
section model; quiet cat /proc/device-tree/model | tr '\0' '\n'; echo
section compatible; quiet cat /proc/device-tree/compatible | tr '\0' '\n'
section packages
quiet dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' \
    nvidia-l4t-core nvidia-jetpack nvidia-container-toolkit nvidia-container-toolkit-base \
    nvidia-container-runtime nvidia-container cuda-toolkit-'*' docker.io docker-ce containerd \
    containerd.io
section apt; quiet grep -rhs 'repo.download.nvidia.com/jetson' /etc/apt/sources.list /etc/apt/sources.list.d
section docker; quiet docker version --format '{{.Server.Version}}'
section daemon.json; quiet cat /etc/docker/daemon.json | hidden
section containerd; quiet containerd --version
section config.toml; quiet cat /etc/containerd/config.toml | hidden
section disk
for folder in /var/lib/docker /var/lib/containerd /var/lib; do
    if [ -d "$folder" ]; then quiet df -Pk "$folder" | tail -n 1; break; fi
done
section memory; quiet grep MemTotal /proc/meminfo
section jtop; quiet python3 -c 'import jtop; print(jtop.__version__)'
section edgecore; quiet edgecore --version
section end
