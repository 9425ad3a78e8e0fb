# What start, enter and stop share: who holds the namespaces, and the cgroup.
# shellcheck shell=sh disable=SC2034

die() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# of DIR: the files of engines that run there. $name is the cgroup, and $holder the process that
# keeps the namespaces.
of() {
    dir=$(readlink -m "$1")
    name= holder=
    [ ! -e "$dir/cgroup" ] || name=$(cat "$dir/cgroup")
    [ ! -e "$dir/holder" ] || holder=$(cat "$dir/holder")
}

# The holder is told from a later process with its number by its cgroup.
holder_lives() {
    [ -n "$name" ] && [ -n "$holder" ] && grep -q "/$name\(/\|\$\)" "/proc/$holder/cgroup" 2>/dev/null
}

# Every cgroup hierarchy that is mounted: "TYPE PATH OPTIONS", the options those of the hierarchy.
hierarchies() {
    sed -n 's/^[^ ]* [^ ]* [^ ]* [^ ]* \(\/sys\/fs\/cgroup[^ ]*\) .* - \(cgroup2\{0,1\}\) [^ ]* \(.*\)/\2 \1 \3/p' \
        /proc/self/mountinfo
}

# in_hierarchies COMMAND…: runs it with the type and the directory of the cgroup in each.
in_hierarchies() {
    hierarchies | while read -r type path _; do
        "$@" "$type" "$path/$name"
    done
}

# within SECONDS COMMAND…: until it succeeds.
within() {
    tries=$(($1 * 5))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.2
    done
}
