#!/bin/sh
# Lists the layers that this device's container engines hold, for `imgctl bundle --inventory`.
# Reads only; as root, or as a user who may ask Docker and containerd.
#   imgctl bundle --script | ssh DEVICE sudo sh > inventory.txt
namespace=${IMGCTL_NAMESPACE:-k8s.io}

echo "imgctl inventory"
if command -v docker >/dev/null 2>&1; then
    for image in $(docker image ls --all --quiet --no-trunc 2>/dev/null | sort -u); do
        docker image inspect --format '{{json .RootFS.Layers}}' "$image" 2>/dev/null
    done
fi
if command -v ctr >/dev/null 2>&1; then
    ctr --namespace "$namespace" snapshots ls 2>/dev/null | awk '$NF == "Committed" { print $1 }'
fi
exit 0
