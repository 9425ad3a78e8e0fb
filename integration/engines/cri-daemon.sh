# A containerd of the tests' own, for CRI: nothing of the host's one changes. Sourced by `cri`.
# shellcheck shell=sh disable=SC2154

CRI_DIR=${SANDBOX:+$SANDBOX/data}
CRI_DIR=${CRI_DIR:-$TMP}/cri
# Stays until it is killed, when it is not told what to run, so it serves pods themselves, too.
CRI_IMAGE=localhost/pause:latest
# Where Debian has the plugins for networks, and where others have them.
CNI_DIR=/usr/lib/cni
[ -e $CNI_DIR/bridge ] || CNI_DIR=/opt/cni/bin

# The handlers `rt`, with systemd's cgroups where it runs, and `rt-cgroupfs`, as docs/engines/containerd.md
# has them.
cri_configuration() {
    systemd=false restrict=false
    [ ! -e /run/systemd/system ] || systemd=true
    # Pods ask for a lower oom_score_adj, which takes CAP_SYS_RESOURCE.
    [ $(($(printf '%d' "0x$(sed -n 's/^CapEff:\t//p' /proc/self/status)") >> 24 & 1)) = 1 ] || restrict=true
    cat <<TOML
version = $1
root = "$CRI_DIR/root"
state = "$CRI_DIR/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]
[grpc]
  address = "$CRI_DIR/containerd.sock"
TOML
    case $1 in
    2)
        cri=plugins.\"io.containerd.grpc.v1.cri\"
        image="  sandbox_image = \"$CRI_IMAGE\"" binaries="bin_dir = \"$CNI_DIR\""
        ;;
    *)
        cri=plugins.\"io.containerd.cri.v1.runtime\"
        image= binaries="bin_dirs = [\"$CNI_DIR\"]"
        printf '[plugins."io.containerd.cri.v1.images".pinned_images]\n  sandbox = "%s"\n' "$CRI_IMAGE"
        ;;
    esac
    cat <<TOML
[$cri]
$image
  restrict_oom_score_adj = $restrict
[$cri.cni]
  $binaries
  conf_dir = "$CRI_DIR/cni"
[$cri.containerd]
  default_runtime_name = "rt"
[$cri.containerd.runtimes.rt]
  runtime_type = "io.containerd.runc.v2"
  [$cri.containerd.runtimes.rt.options]
    BinaryName = "$RT"
    Root = "$CRI_DIR/runtime"
    SystemdCgroup = $systemd
[$cri.containerd.runtimes.rt-cgroupfs]
  runtime_type = "io.containerd.runc.v2"
  [$cri.containerd.runtimes.rt-cgroupfs.options]
    BinaryName = "$RT"
    Root = "$CRI_DIR/runtime"
TOML
}

# A network of the tests' own.
cni_configuration() {
    cat <<JSON
{ "cniVersion": "0.4.0", "name": "cri-test", "plugins": [
  { "type": "bridge", "bridge": "cri-test", "isGateway": true,
    "ipam": { "type": "host-local", "dataDir": "$CRI_DIR/addresses",
      "ranges": [[{ "subnet": "10.231.17.0/24" }]] } } ] }
JSON
}

cri_start() {
    mkdir -p "$CRI_DIR/cni"
    version=2
    case $(containerd --version) in *' v2.'* | *' 2.'*) version=3 ;; esac
    cri_configuration $version >"$CRI_DIR/config.toml"
    cni_configuration >"$CRI_DIR/cni/10-test.conflist"
    cri_again
    ctr_cri images ls -q | grep -qx "$CRI_IMAGE" || {
        "$here/sandbox/image" "$CRI_DIR/image.tar" "$CRI_IMAGE" sleep 1000000
        ctr_cri images import "$CRI_DIR/image.tar"
    }
}

# Ends the daemon, if there is one, and starts it.
cri_again() {
    cri_stop
    # shellcheck disable=SC2086
    setsid ${NS:-} containerd --config "$CRI_DIR/config.toml" >>"$CRI_DIR/log" 2>&1 </dev/null &
    echo $! >"$CRI_DIR/pid"
    tries=0
    until cri --get /status/conditions/0/status Status 2>/dev/null | grep -qx true; do
        tries=$((tries + 1))
        { [ $tries -lt 240 ] && kill -0 "$(cat "$CRI_DIR/pid")"; } ||
            fail "containerd does not start: $(tail -n 3 "$CRI_DIR/log")"
        sleep 0.5
    done
}

cri_stop() {
    [ -e "$CRI_DIR/pid" ] || return 0
    pid=$(cat "$CRI_DIR/pid")
    kill "$pid" 2>/dev/null || :
    soon sh -c "! kill -0 $pid"
    rm "$CRI_DIR/pid"
}

cri() { "$CRI" --socket "$CRI_DIR/containerd.sock" "$@"; }
ctr_cri() { ctr --address "$CRI_DIR/containerd.sock" --namespace k8s.io "$@"; }
