# What the cases share. They run with -e: a command that fails ends the case.
# shellcheck shell=sh disable=SC2034,SC2154

# What an engine's file may say otherwise.
begin() { :; }
end() { :; }
clean() { :; }

fail() {
    echo "$*"
    exit 1
}

skip() {
    echo "$*"
    exit 77
}

# is WANTED GOT WHAT
is() {
    [ "$1" = "$2" ] || fail "$3: got '$2', expected '$1'"
}

# has TEXT WORD: the text holds the word.
has() {
    case $1 in
    *"$2"*) ;;
    *) fail "'$2' is not in: $1" ;;
    esac
}

# exits CODE[|CODE] COMMAND…: what it says, on either stream, is in $said.
exits() {
    wanted=$1
    shift
    code=0
    said=$("$@" 2>&1) || code=$?
    case "|$wanted|" in
    *"|$code|"*) ;;
    *) fail "$*: exit code $code, expected $wanted: $said" ;;
    esac
}

# soon COMMAND…: within 30 s, and more where all is slow, it succeeds.
soon() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 120 ] || fail "$*: waited in vain"
        sleep 0.5
    done
}

# on_terminal COMMAND…: runs it with a terminal, and has what it prints in $said without returns.
on_terminal() {
    code=0
    script --quiet --return --command "$*" /dev/null </dev/null >"$TMP/terminal" 2>&1 || code=$?
    said=$(tr -d '\r' <"$TMP/terminal")
}

# needs_all_capabilities: this machine has some that --privileged gives.
needs_all_capabilities() {
    last=$(cat /proc/sys/kernel/cap_last_cap)
    [ "$(printf '%d' "0x$(sed -n 's/^CapBnd:\t//p' /proc/self/status)")" = $(((2 << last) - 1)) ] ||
        skip "not all capabilities here"
}

is_v2() { [ -e /sys/fs/cgroup/cgroup.controllers ]; }

# limit V2-FILE V1-FILE: a limit, as a container sees it.
limit() {
    if is_v2; then echo "/sys/fs/cgroup/$1"; else echo "/sys/fs/cgroup/$2"; fi
}
