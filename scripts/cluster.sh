#!/usr/bin/env bash
# Makes ready what a Kubernetes of the tests' own needs, once: Debian's etcd, containerd, runc and network plugins, and
# Kubernetes' programs, built from the Go modules that scripts/cluster/go.mod pins, into a cache outside of this clone
# (LOOPLINE_CACHE, else ~/.cache/loopline). Ten minutes of two cores where nothing is there, nothing afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."

version=v1.35.4
python=${PYTHON:-.venv/bin/python}
programs=$("$python" -c 'from scripts.cluster.settings import programs; print(programs())')

declare -A packages=([etcd]=etcd-server [containerd]=containerd [runc]=runc [iptables]=iptables [conntrack]=conntrack
    [ip]=iproute2 [openssl]=openssl [gcc]=gcc)
missing=()
for program in "${!packages[@]}"; do
    command -v "$program" >/dev/null || missing+=("${packages[$program]}")
done
[ -e /usr/lib/cni/bridge ] || missing+=(containernetworking-plugins)
[ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
if [ ${#missing[@]} -gt 0 ]; then
    if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        echo "please install: ${missing[*]} (the tests' cluster needs them, and root)" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 # no service starts
    patient=(-o DPkg::Lock::Timeout=600) # another script may install too
    apt-get "${patient[@]}" update -qq
    apt-get "${patient[@]}" install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

build() {
    command -v go >/dev/null || {
        echo "go is missing: install Go 1.25 or newer, of which the tests' cluster is built" >&2
        exit 1
    }
    mkdir -p "$programs"
    exec 9>"$programs/.lock"
    flock 9 # two may ask at once
    [ -e "$programs/.made" ] && return
    echo "Building Kubernetes $version for the tests: some minutes, once"
    local stamp="-X k8s.io/component-base/version.gitVersion=$version -X k8s.io/client-go/pkg/version.gitVersion=$version"
    stamp="$stamp -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=35"
    local commands=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)
    rm -rf "$programs/building"
    (cd scripts/cluster && CGO_ENABLED=0 GOFLAGS=-mod=readonly nice -n 19 go build -buildvcs=false -trimpath \
        -ldflags "-s -w $stamp" -o "$programs/building/" "${commands[@]/#/k8s.io/kubernetes/cmd/}")
    mv "$programs"/building/* "$programs/"
    touch "$programs/.made" # last: it says that all of them are there
}
[ -e "$programs/.made" ] || build
"$python" -m scripts.cluster.images
