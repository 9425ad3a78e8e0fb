# Shared by the project's scripts.
# shellcheck shell=sh disable=SC2154

# Installs a Debian package when a command is missing: need COMMAND PACKAGE.
need() {
    PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || install_package "$2"
}

# Installs a Debian package when no file matches: need_file PATTERN PACKAGE.
need_file() {
    for file in $1; do
        [ -e "$file" ] && return
    done
    install_package "$2"
}

# Installs a package, whose services are not to run on this machine: need_optional COMMAND PACKAGE. Where it is not
# to be had the tests that take it are skipped.
need_optional() {
    PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null && return
    policy=/usr/sbin/policy-rc.d
    [ ! -e "$policy" ] || policy=
    [ -z "$policy" ] || printf '#!/bin/sh\nexit 101\n' | $sudo sh -c "cat >$policy && chmod 755 $policy"
    install_package "$2" || echo "no $2 to be had" >&2
    [ -z "$policy" ] || $sudo rm -f "$policy"
}

install_package() {
    echo "installing $1" >&2
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends \
        "$1" >/dev/null ||
        { $sudo apt-get update --quiet >/dev/null &&
            $sudo env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet \
                --no-install-recommends "$1" >/dev/null; }
}

# Prints where cargo puts release binaries, and makes target/release/tare lead there:
# link_binaries TARGET-DIRECTORY.
link_binaries() {
    host=$(rustc --version --verbose | sed -n 's/^host: //p')
    mkdir -p "$1/release"
    ln -sfn "../$host/release/tare" "$1/release/tare"
    echo "$1/$host/release"
}
