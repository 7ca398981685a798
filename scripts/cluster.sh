#!/usr/bin/env bash
# Makes ready what a Kubernetes of the tests' own needs, once: Debian's etcd, containerd, runc and network plugins, and
# Kubernetes' programs, built from the Go modules that scripts/cluster/go.mod pins, what enforces network policies and
# Envoy Gateway with its chart, which policies/go.mod and gateway/go.mod beside it pin, into a cache outside of this clone
# (LOOPLINE_CACHE, else ~/.cache/loopline). Some minutes of two cores where nothing is there, nothing afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."

version=v1.35.4
python=${PYTHON:-.venv/bin/python}
programs=$("$python" -c 'from scripts.cluster.settings import programs; print(programs())')
policies=$("$python" -c 'from scripts.cluster.settings import policies; print(policies())')
gateway=$("$python" -c 'from scripts.cluster.settings import gateway; print(gateway())')

declare -A packages=([etcd]=etcd-server [containerd]=containerd [runc]=runc [iptables]=iptables [ipset]=ipset
    [conntrack]=conntrack [ip]=iproute2 [openssl]=openssl [gcc]=gcc)
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

# Builds the commands of a go.mod's folder into a folder of the cache: build FOLDER TARGET WHAT LDFLAGS COMMAND...
build() {
    local sources=$1 target=$2 what=$3 flags=$4
    shift 4
    command -v go >/dev/null || {
        echo "go is missing: install Go 1.26.7 or newer, of which the tests' cluster is built" >&2
        exit 1
    }
    mkdir -p "$target"
    exec 9>"$target/.lock"
    flock 9 # two may ask at once
    [ -e "$target/.made" ] && return
    echo "Building $what for the tests: some minutes, once"
    rm -rf "$target/building"
    (cd "$sources" && CGO_ENABLED=0 GOFLAGS=-mod=readonly nice -n 19 go build -buildvcs=false -trimpath \
        -ldflags "-s -w $flags" -o "$target/building/" "$@")
    mv "$target"/building/* "$target/"
    touch "$target/.made" # last: it says that all of them are there
}
stamp="-X k8s.io/component-base/version.gitVersion=$version -X k8s.io/client-go/pkg/version.gitVersion=$version"
stamp="$stamp -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=35"
commands=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)
[ -e "$programs/.made" ] ||
    build scripts/cluster "$programs" "Kubernetes $version" "$stamp" "${commands[@]/#/k8s.io/kubernetes/cmd/}"
[ -e "$policies/.made" ] ||
    build scripts/cluster/policies "$policies" "kube-router, which enforces network policies," "" \
        github.com/cloudnativelabs/kube-router/v2/cmd/kube-router
[ -e "$gateway/.made" ] ||
    build scripts/cluster/gateway "$gateway" "Envoy Gateway, which carries requests by routes," "" \
        github.com/envoyproxy/gateway/cmd/envoy-gateway
if [ ! -e "$gateway/chart" ]; then
    module=$(cd scripts/cluster/gateway && go list -m -f '{{.Dir}}' github.com/envoyproxy/gateway)
    cp -r --no-preserve=mode "$module/charts/gateway-helm" "$gateway/copied"
    mv -T "$gateway/copied" "$gateway/chart"
fi
"$python" -m scripts.cluster.images
