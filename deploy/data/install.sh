#!/bin/sh
# Puts the image above into this device's container engine, from the archive beside this script.
#
#   sh THIS.sh [docker|containerd]     as root, or as a user who may ask the engine
#
# Looks before that the archive is whole and that the device holds the layers left out of it, and
# afterwards that the engine has the image. What is there already is not imported again. Exit codes:
# 0 the image is there; 1 failed; 2 wrong call, or no archive; 3 the device lacks layers.
# IMGCTL_NAMESPACE, IMGCTL_CONTAINERD and IMGCTL_SNAPSHOTTER name another namespace of containerd
# than Kubernetes', its socket and its snapshotter.
set -eu

namespace=${IMGCTL_NAMESPACE:-k8s.io}
snapshotter=${IMGCTL_SNAPSHOTTER:-overlayfs}
folder=$(dirname -- "$0")
archive=$folder/$ARCHIVE

say() { printf 'bundle: %s\n' "$*" >&2; }
stop() {
    code=$1
    shift
    say "$@"
    exit "$code"
}

in_containerd() {
    ctr ${IMGCTL_CONTAINERD:+--address "$IMGCTL_CONTAINERD"} --namespace "$namespace" "$@"
}

# Docker runs on a containerd of its own, which answers too: Kubernetes' is the one with images.
find_engine() {
    if command -v ctr >/dev/null 2>&1 && [ -n "$(in_containerd images ls -q 2>/dev/null)" ]; then
        echo containerd
    elif command -v docker >/dev/null 2>&1 && docker version >/dev/null 2>&1; then
        echo docker
    elif command -v ctr >/dev/null 2>&1 && in_containerd version >/dev/null 2>&1; then
        echo containerd
    fi
}

check_archive() {
    [ -f "$archive" ] || stop 2 "$archive is missing: it belongs beside this script"
    size=$(wc -c <"$archive")
    [ "$size" -eq "$SIZE" ] ||
        stop 1 "$ARCHIVE has $((size)) of $SIZE bytes: finish the transfer (rsync --append-verify)"
    sum=$(sha256sum <"$archive")
    [ "${sum%% *}" = "$SHA256" ] || stop 1 "$ARCHIVE is damaged: transfer it again"
}

lacking() {
    stop 3 "this device lacks layers that the bundle leaves out ($NEEDED_COUNT of the image's):" \
        "take an inventory of it (imgctl bundle --script) and make another bundle"
}

docker_layers() {
    docker image inspect --format '{{json .RootFS.Layers}}' "$1" 2>/dev/null || true
}

docker_holds_needed() {
    for image in $(docker image ls --all --quiet --no-trunc | sort -u); do
        case $(docker_layers "$image") in "$NEEDED"*) return 0 ;; esac
    done
    return 1
}

# An image that is listed and cannot be unpacked is no image: only a container shows it.
docker_has_image() {
    [ "$(docker_layers "$IMAGE")" = "$LAYERS" ] || return 1
    container=$(docker create "$IMAGE" true 2>/dev/null) || return 1
    docker rm "$container" >/dev/null
}

with_docker() {
    if docker_has_image; then
        say "$IMAGE is there already"
        return
    fi
    [ -z "$NEEDED" ] || docker_holds_needed || lacking
    # Some versions say that they failed and exit with 0: what counts is what is there afterwards.
    docker load --input "$archive" >&2 || say "docker load failed"
    docker_has_image && return
    # What cannot be started shall not be listed; another image of that name stays.
    [ "$(docker_layers "$IMAGE")" != "$LAYERS" ] || docker image rm "$IMAGE" >/dev/null 2>&1 || true
    stop 1 "Docker did not take $IMAGE; look at its log"
}

unpacked() {
    in_containerd images check --snapshotter "$snapshotter" "name==$1" |
        awk -v digest="$DIGEST" '$3 == digest && $NF == "true" { found = 1 } END { exit !found }'
}

with_containerd() {
    if unpacked "$IMAGE" && unpacked "$PINNED"; then
        say "$IMAGE is there already"
        return
    fi
    [ -z "$NEEDED_CHAIN" ] ||
        in_containerd snapshots --snapshotter "$snapshotter" info "$NEEDED_CHAIN" >/dev/null 2>&1 ||
        lacking
    in_containerd images import --platform "$PLATFORM" --snapshotter "$snapshotter" "$archive" >&2 ||
        say "ctr images import failed"
    unpacked "$IMAGE" && unpacked "$PINNED" && return
    # containerd keeps the names of an image it could not unpack; another image of that name stays.
    for name in "$IMAGE" "$PINNED"; do
        in_containerd images ls "name==$name" | grep -q "$DIGEST" || continue
        in_containerd images rm "$name" >/dev/null 2>&1 || true
    done
    stop 1 "containerd did not take $IMAGE; look at its log"
}

engine=${1:-$(find_engine)}
case $engine in
    docker | containerd) ;;
    "") stop 1 "neither containerd nor Docker answers: run this as root" ;;
    *) stop 2 "unknown engine $engine: docker or containerd" ;;
esac
check_archive
"with_$engine"
say "$IMAGE is in $engine"
