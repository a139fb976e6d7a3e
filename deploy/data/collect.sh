#!/bin/sh
# Prints what `imgctl node check --facts FILE` needs to know of a device. Reads only; POSIX sh.
# Values that look like secrets are left out.
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin:/usr/local/bin
section() { printf '== %s\n' "$1"; }
quiet() { "$@" 2>/dev/null; }
hidden() {
    sed -E -e "s/(([Pp]ass|[Aa]uth|[Tt]oken|[Ss]ecret)[A-Za-z_]*[\"']?[[:space:]]*[=:][[:space:]]*)(\"([^\"\\\\]|\\\\.)*\"|'[^']*'|[^]\"'[:space:]{}[,]+)/\1\"HIDDEN\"/g" \
        -e 's#(://)[^/@"[:space:]]*@#\1HIDDEN@#g'
}
# A daemon that does not answer shall not hold us up.
limited() { if command -v timeout >/dev/null; then quiet timeout 15 "$@"; else quiet "$@"; fi; }
value() { quiet sed -nE "s/^[[:space:]]*\"?$1\"?[[:space:]]*[:=][[:space:]]*[\"']([^\"']*)[\"'].*/\1/p" "$2" | head -n 1; }

section release; quiet head -n 1 /etc/nv_tegra_release
section model; quiet cat /proc/device-tree/model | tr '\0' '\n'; echo
section compatible; quiet cat /proc/device-tree/compatible | tr '\0' '\n'
section packages
quiet dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' \
    nvidia-l4t-core nvidia-jetpack nvidia-container-toolkit nvidia-container-toolkit-base \
    nvidia-container-runtime nvidia-container cuda-toolkit-'*' docker.io docker-ce containerd \
    containerd.io
section apt; quiet grep -rhs 'repo.download.nvidia.com/jetson' /etc/apt/sources.list /etc/apt/sources.list.d | hidden
section docker; limited docker version --format '{{.Server.Version}}'
section daemon.json; quiet cat /etc/docker/daemon.json | hidden
section containerd; quiet containerd --version
section config.toml; quiet cat /etc/containerd/config.toml | hidden
section config.dump; limited containerd config dump | hidden
section disk
for folder in "$(value data-root /etc/docker/daemon.json)" "$(value root /etc/containerd/config.toml)" \
    /var/lib/docker /var/lib/containerd /var/lib; do
    if [ -d "$folder" ]; then quiet df -Pk "$folder" | tail -n 1; break; fi
done
section memory; quiet grep MemTotal /proc/meminfo
section jtop; quiet python3 -c 'import jtop; print(jtop.__version__)'
section disk.root; quiet df -Pk / | tail -n 1
section edgecore.yaml
quiet grep -hE '^ *(cgroupDriver|remoteRuntimeEndpoint|containerRuntimeEndpoint):' /etc/kubeedge/config/edgecore.yaml
section edgecore; quiet edgecore --version
section end
