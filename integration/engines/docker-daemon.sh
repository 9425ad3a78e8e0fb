# Docker's daemon with settings of a test. Sourced by the files that need it.
# shellcheck shell=sh disable=SC2154

# daemon_with JSON-MEMBERS: restarts it with its configuration and these, and with the runtime under test
# as the first runc that it finds.
daemon_with() {
    [ -n "${SANDBOX:-}" ] || [ -e /run/systemd/system ] || skip "restarting the daemon takes systemd"
    command -v jq >/dev/null || skip "no jq here"
    [ -e /etc/docker/daemon.json.kept ] || cp /etc/docker/daemon.json /etc/docker/daemon.json.kept
    jq --arg path "$RT" ".runtimes.rt.path = \$path | . + {$1}" /etc/docker/daemon.json.kept \
        >/etc/docker/daemon.json
    mkdir -p /run/engines-path
    ln -sfn "$RT" /run/engines-path/runc
    if [ -z "${SANDBOX:-}" ]; then
        mkdir -p /run/systemd/system/docker.service.d
        printf '[Service]\nEnvironment=PATH=/run/engines-path:%s\n' "$PATH" >/run/systemd/system/docker.service.d/path.conf
        systemctl daemon-reload
    fi
    daemon_again
}

daemon_as_before() {
    [ ! -e /etc/docker/daemon.json.kept ] || mv /etc/docker/daemon.json.kept /etc/docker/daemon.json
    rm -rf /run/engines-path /run/systemd/system/docker.service.d/path.conf
    [ -n "${SANDBOX:-}" ] || systemctl daemon-reload
    daemon_again
}

daemon_again() {
    if [ -n "${SANDBOX:-}" ]; then
        PATH=/run/engines-path:$PATH "$here/sandbox/service" docker restart
    else
        systemctl reset-failed docker.service docker.socket || :
        systemctl restart docker.service
    fi
    soon docker version
}

daemon_killed() {
    if [ -n "${SANDBOX:-}" ]; then
        kill -KILL "$(cat /run/docker.pid)"
    else
        systemctl kill --signal KILL docker.service
    fi
}
