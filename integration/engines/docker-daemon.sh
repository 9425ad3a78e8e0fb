# Docker's daemon with settings of a test. Sourced by the files that need it.
# shellcheck shell=sh disable=SC2154

# daemon_with JSON-MEMBERS: restarts it with its configuration and these.
daemon_with() {
    [ -e /run/systemd/system ] || skip "restarting the daemon takes systemd"
    command -v jq >/dev/null || skip "no jq here"
    [ -e /etc/docker/daemon.json.kept ] || cp /etc/docker/daemon.json /etc/docker/daemon.json.kept
    jq --arg path "$RT" ".runtimes.rt.path = \$path | . + {$1}" /etc/docker/daemon.json.kept \
        >/etc/docker/daemon.json
    daemon_again
}

daemon_as_before() {
    [ ! -e /etc/docker/daemon.json.kept ] || mv /etc/docker/daemon.json.kept /etc/docker/daemon.json
    daemon_again
}

daemon_again() {
    systemctl reset-failed docker.service docker.socket || :
    systemctl restart docker.service
    soon docker version
}
