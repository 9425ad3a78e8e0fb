# Completion of tare for bash, made from the options of the commands: UPDATE_PAGES=1 cargo test
# shellcheck shell=bash

_tare_commands="checkpoint create delete doctor events exec features kill list mounts pause plan ps restore resume run spec start state update help"
_tare_signals="HUP INT QUIT ABRT KILL USR1 USR2 TERM CONT STOP TSTP WINCH"

_tare() {
    local word command="" root=() skip="" places=0 i
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    # --option=value comes as three words.
    if [[ $current == "=" ]]; then
        current=""
    elif [[ $previous == "=" ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ -n $skip ]]; then
            [[ $word == "=" ]] && continue
            [[ $skip == --root ]] && root=(--root "$word")
            skip=""
        elif [[ $word == -* ]]; then
            current="" _tare_value "$command" "$word" && skip=$word
            COMPREPLY=()
        elif [[ $word == "=" ]]; then
            :
        elif [[ -z $command ]]; then
            command=$word
        else
            places=$((places + 1))
        fi
    done
    if [[ $previous == -* ]] && _tare_value "$command" "$previous"; then
        return
    fi
    if [[ $current == -* ]]; then
        _tare_options "$command"
    elif [[ -z $command ]]; then
        _tare_words "$_tare_commands"
    else
        _tare_operand "$command" $((places + 1))
    fi
}

_tare_words() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$current")
}

_tare_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
}

_tare_directories() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -d -- "$current")
}

_tare_containers() {
    _tare_words "$("${COMP_WORDS[0]}" "${root[@]}" list --quiet 2>/dev/null)"
}

# What is completed after option $2 of command $1; fails if it takes no value.
_tare_value() {
    case "$1 $2" in
    " --root") _tare_directories ;;
    " --log") _tare_files ;;
    " --log-format") _tare_words "text json" ;;
    " --error-format") _tare_words "text json" ;;
    " --trace") _tare_files ;;
    " --cgroup-manager") _tare_words "cgroupfs systemd disabled" ;;
    " --rootless") _tare_words "true false auto" ;;
    "checkpoint --image-path") _tare_directories ;;
    "checkpoint --work-path") _tare_directories ;;
    "checkpoint --manage-cgroups-mode") _tare_words "soft full strict ignore" ;;
    "checkpoint --network-lock") _tare_words "iptables nftables skip" ;;
    "checkpoint --empty-ns") : ;;
    "checkpoint --timeout") : ;;
    "checkpoint --parent-path") _tare_directories ;;
    "checkpoint --page-server") : ;;
    "checkpoint --status-fd") : ;;
    "create -b" | "create --bundle") _tare_directories ;;
    "create --config") _tare_files ;;
    "create --console-socket") _tare_files ;;
    "create --pidfd-socket") _tare_files ;;
    "create --pid-file") _tare_files ;;
    "create --preserve-fds") : ;;
    "doctor -b" | "doctor --bundle") _tare_directories ;;
    "events --interval") : ;;
    "events --format") _tare_words "json prometheus" ;;
    "exec --console-socket") _tare_files ;;
    "exec --pidfd-socket") _tare_files ;;
    "exec --pid-file") _tare_files ;;
    "exec --preserve-fds") : ;;
    "exec -p" | "exec --process") _tare_files ;;
    "exec --cwd") _tare_directories ;;
    "exec -e" | "exec --env") : ;;
    "exec -u" | "exec --user") : ;;
    "exec -g" | "exec --additional-gids") : ;;
    "exec --process-label") : ;;
    "exec --apparmor") : ;;
    "exec -c" | "exec --cap") : ;;
    "exec --cgroup") _tare_files ;;
    "list -f" | "list --format") _tare_words "table json" ;;
    "mounts --destination") _tare_files ;;
    "mounts --source") _tare_files ;;
    "mounts --type") : ;;
    "mounts -o" | "mounts --options") : ;;
    "plan -b" | "plan --bundle") _tare_directories ;;
    "ps -f" | "ps --format") _tare_words "table json" ;;
    "restore --image-path") _tare_directories ;;
    "restore --work-path") _tare_directories ;;
    "restore --manage-cgroups-mode") _tare_words "soft full strict ignore" ;;
    "restore --network-lock") _tare_words "iptables nftables skip" ;;
    "restore --empty-ns") : ;;
    "restore --timeout") : ;;
    "restore -b" | "restore --bundle") _tare_directories ;;
    "restore --pid-file") _tare_files ;;
    "restore --console-socket") _tare_files ;;
    "restore --lsm-profile") : ;;
    "restore --lsm-mount-context") : ;;
    "run -b" | "run --bundle") _tare_directories ;;
    "run --config") _tare_files ;;
    "run --console-socket") _tare_files ;;
    "run --pidfd-socket") _tare_files ;;
    "run --pid-file") _tare_files ;;
    "run --preserve-fds") : ;;
    "spec -b" | "spec --bundle") _tare_directories ;;
    "update -r" | "update --resources") _tare_files ;;
    "update --blkio-weight") : ;;
    "update --cpu-period") : ;;
    "update --cpu-quota") : ;;
    "update --cpu-burst") : ;;
    "update --cpu-share") : ;;
    "update --cpu-rt-period") : ;;
    "update --cpu-rt-runtime") : ;;
    "update --cpuset-cpus") : ;;
    "update --cpuset-mems") : ;;
    "update --cpu-idle") _tare_words "0 1" ;;
    "update --memory") : ;;
    "update --memory-reservation") : ;;
    "update --memory-swap") : ;;
    "update --pids-limit") : ;;
    "update --l3-cache-schema") : ;;
    "update --mem-bw-schema") : ;;
    *) return 1 ;;
    esac
}

# What is completed in the place $2 of command $1.
_tare_operand() {
    case "$1 $2" in
    "checkpoint "1) _tare_containers ;;
    "create "1) _tare_containers ;;
    "delete "1) _tare_containers ;;
    "events "1) _tare_containers ;;
    "exec "1) _tare_containers ;;
    "exec "*) : ;;
    "kill "1) _tare_containers ;;
    "kill "2) _tare_words "$_tare_signals" ;;
    "mounts "1) _tare_words "add remove" ;;
    "mounts "2) _tare_containers ;;
    "mounts "3) _tare_files ;;
    "pause "1) _tare_containers ;;
    "plan "1) _tare_containers ;;
    "ps "1) _tare_containers ;;
    "ps "*) : ;;
    "restore "1) _tare_containers ;;
    "resume "1) _tare_containers ;;
    "run "1) _tare_containers ;;
    "start "1) _tare_containers ;;
    "state "1) _tare_containers ;;
    "update "1) _tare_containers ;;
    "help "1) _tare_words "$_tare_commands" ;;
    esac
}

# The options of command $1.
_tare_options() {
    case "$1" in
    "") _tare_words "--root --log --log-format --error-format --trace --debug --systemd-cgroup --cgroup-manager --rootless -v --version -h --help" ;;
    "checkpoint") _tare_words "--image-path --work-path --tcp-established --ext-unix-sk --shell-job --file-locks --lazy-pages --manage-cgroups-mode --network-lock --empty-ns --auto-dedup --timeout --parent-path --pre-dump --leave-running --tcp-skip-in-flight --link-remap --page-server --status-fd -h --help" ;;
    "create") _tare_words "-b --bundle --config --console-socket --pidfd-socket --pid-file --no-pivot --no-new-keyring --preserve-fds -h --help" ;;
    "delete") _tare_words "-f --force -r --regex -h --help" ;;
    "doctor") _tare_words "-b --bundle --json -h --help" ;;
    "events") _tare_words "--interval --stats --format -h --help" ;;
    "exec") _tare_words "--console-socket --pidfd-socket --pid-file --preserve-fds -p --process --cwd -e --env -t --tty -u --user -g --additional-gids -d --detach --process-label --apparmor --no-new-privs -c --cap --cgroup --ignore-paused -h --help" ;;
    "features") _tare_words "-h --help" ;;
    "kill") _tare_words "-r --regex -h --help" ;;
    "list") _tare_words "-f --format -q --quiet -h --help" ;;
    "mounts") _tare_words "--destination --source --type -o --options -h --help" ;;
    "pause") _tare_words "-h --help" ;;
    "plan") _tare_words "-b --bundle --json -h --help" ;;
    "ps") _tare_words "-f --format -h --help" ;;
    "restore") _tare_words "--image-path --work-path --tcp-established --ext-unix-sk --shell-job --file-locks --lazy-pages --manage-cgroups-mode --network-lock --empty-ns --auto-dedup --timeout -b --bundle -d --detach --pid-file --console-socket --tcp-close --lsm-profile --lsm-mount-context --no-pivot --no-subreaper -h --help" ;;
    "resume") _tare_words "-h --help" ;;
    "run") _tare_words "-b --bundle --config --console-socket --pidfd-socket --pid-file --no-pivot --no-new-keyring --preserve-fds -d --detach --keep --no-subreaper -h --help" ;;
    "spec") _tare_words "-b --bundle --rootless -h --help" ;;
    "start") _tare_words "-h --help" ;;
    "state") _tare_words "-h --help" ;;
    "update") _tare_words "-r --resources --blkio-weight --cpu-period --cpu-quota --cpu-burst --cpu-share --cpu-rt-period --cpu-rt-runtime --cpuset-cpus --cpuset-mems --cpu-idle --memory --memory-reservation --memory-swap --pids-limit --l3-cache-schema --mem-bw-schema --dry-run -h --help" ;;
    "help") _tare_words "-h --help" ;;
    esac
}

complete -F _tare tare
