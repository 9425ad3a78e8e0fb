# What the cases of Podman share: as root, or as whoever PODMAN runs as.
# shellcheck shell=sh disable=SC2154,SC2086

PODMAN=${PODMAN:-podman}
USER_ID=${USER_ID:-0}

begin() {
    $PODMAN --version >/dev/null 2>&1 || skip "no podman here"
    $PODMAN image exists "$IMAGE" || skip "podman has no $IMAGE"
}

clean() {
    pod pod rm --force --time 0 "$ID-pod" >/dev/null 2>&1 || :
    for name in "$ID" "$ID-b"; do pod rm --force --time 0 "$name" >/dev/null 2>&1 || :; done
    pod image rm --force "$ID" >/dev/null 2>&1 || :
    pod volume rm --force "$ID" >/dev/null 2>&1 || :
}

pod() { $PODMAN --runtime "$RT" "$@"; }
run() { pod run --name "$ID" "$@"; }
once() { pod run --rm --name "$ID" "$@"; }
stay() { run -d "$@" "$IMAGE" sh -c 'trap "exit 0" TERM; while :; do sleep 0.2; done' >/dev/null; }

root_only() { [ "$USER_ID" = 0 ] || skip "${1:-root only}"; }
user_only() { [ "$USER_ID" != 0 ] || skip "ordinary users only"; }
by_systemd() { [ -e /run/systemd/system ] || skip "systemd does not run here"; }
# controlled CONTROLLER…: there are cgroups that have these for whoever runs Podman.
controlled() {
    is_v2 || { [ "$USER_ID" = 0 ] && return 0; skip "ordinary users have no cgroups of v1"; }
    for controller; do
        grep -qw "$controller" /sys/fs/cgroup/cgroup.controllers || skip "no $controller controller here"
    done
}

# states: what the runtime has kept of containers.
states() {
    name=$(basename "$(readlink -f "$RT")")
    [ "$USER_ID" = 0 ] && root=/run/$name || root=/run/user/$USER_ID/$name
    find "$root" -mindepth 1 -maxdepth 1 -name '[!.]*' 2>/dev/null || :
}

# cgroups: of containers and steps.
cgroups() { find /sys/fs/cgroup -type d \( -name 'libpod-[0-9a-f]*' -o -name '*buildah*' \) ! -name '*conmon*' | sort; }

# at_least VERSION: of Podman.
at_least() {
    version=$($PODMAN --version | sed 's/.* //; s/[^0-9.].*//')
    [ "$(printf '%s\n' "$1" "$version" | sort -V | head -n 1)" = "$1" ] || skip "Podman $version, not $1"
}
