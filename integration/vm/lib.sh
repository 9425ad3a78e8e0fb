# What build and run share.
# shellcheck shell=sh disable=SC2034

die() {
    echo "$(basename "$0"): $*" >&2
    exit 125
}

# The image of a suite of Debian, once it is built: disk, kernel, initrd, and how QEMU is to run it. Other
# files to build it from make another image.
suite=${VM_SUITE:-sid}
of=$(cat "$here/build" "$here/guest/init" "$here/guest/command" "$here/guest/configure" "$here/guest/vm-command.service" |
    cksum | cut -d' ' -f1)
images=${XDG_CACHE_HOME:-$HOME/.cache}/tare
image=${VM_IMAGE:-$images/vm-$suite-$of}

# disk FILE DIRECTORY MEBIBYTES: an ext4 file system with what is in the directory.
disk() {
    rm -f "$1"
    truncate --size "$3M" "$1"
    /sbin/mke2fs -q -F -t ext4 -O '^has_journal,^metadata_csum' -E lazy_itable_init=0,nodiscard -m 0 -d "$2" "$1"
}
