# An image of the static busybox of this host, as `docker save` writes them. Sourced by the files that
# need it.
# shellcheck shell=sh

APPLETS='sh cat chmod echo grep head id ip kill ls mkdir mknod mount ps pwd readlink sed sleep sort stat stty
tail test touch tr true tty umount unshare wc'

# image_of FILE NAME: it stays until it is killed, when no command is given.
image_of() {
    busybox=$(command -v busybox) || skip "no busybox here"
    root=$(mktemp -d)
    for directory in bin dev etc home proc sys tmp root mnt; do mkdir -p "$root/layer/$directory"; done
    chmod 1777 "$root/layer/tmp"
    cp "$busybox" "$root/layer/bin/busybox"
    for applet in $APPLETS; do ln -s busybox "$root/layer/bin/$applet"; done
    printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n' >"$root/layer/etc/passwd"
    printf 'root:x:0:\nuser:x:1000:\nothers:x:2000:user\n' >"$root/layer/etc/group"
    tar --create --owner 0 --group 0 --directory "$root/layer" --file "$root/layer.tar" .
    architecture=$(dpkg --print-architecture 2>/dev/null || echo amd64)
    digest=$(sha256sum "$root/layer.tar" | cut -d' ' -f1)
    cat >"$root/config.json" <<JSON
{ "architecture": "$architecture", "os": "linux",
  "config": { "Env": ["PATH=/bin"], "Cmd": ["sleep", "1000000"], "WorkingDir": "/" },
  "rootfs": { "type": "layers", "diff_ids": ["sha256:$digest"] } }
JSON
    printf '[{ "Config": "config.json", "RepoTags": ["%s"], "Layers": ["layer.tar"] }]\n' "$2" \
        >"$root/manifest.json"
    tar --create --directory "$root" --file "$1" manifest.json config.json layer.tar
    rm -r "$root"
}
