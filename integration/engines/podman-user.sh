# Whoever sources this drives Podman as an ordinary user, ENGINE_USER, who has a session.
# shellcheck shell=sh disable=SC1091,SC2034,SC2154

ENGINE_USER=${ENGINE_USER:-user}
USER_ID=$(id -u "$ENGINE_USER" 2>/dev/null) || skip "no user $ENGINE_USER here"
PODMAN="runuser -u $ENGINE_USER -- env HOME=$(getent passwd "$ENGINE_USER" | cut -d: -f6) XDG_RUNTIME_DIR=/run/user/$USER_ID podman"
