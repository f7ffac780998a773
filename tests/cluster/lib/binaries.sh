# shellcheck shell=bash
# Programs built from the pinned Go modules beside this folder. Each function
# named *_entry prints the name of its cache entry, each build_* fills it.

KUBERNETES_SOURCE=$HERE/kubernetes
CONTAINERD_SOURCE=$HERE/containerd
HELM_SOURCE=$HERE/helm
OCI_SOURCE=$HERE/oci

# Static, without paths of this machine, and without the version control stamp
# (which would need git). A go.work of a folder above must not change the build.
export CGO_ENABLED=0 GOWORK=off
GO_BUILD=(go build -trimpath -buildvcs=false)
# Excludes support for devices, file systems and clouds that no test uses.
CONTAINERD_TAGS=no_btrfs,no_devmapper,no_zfs

NODE_COMPONENTS=(etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy coredns kubectl)
CONTAINERD_PACKAGE=github.com/containerd/containerd/v2

go_key() {
  command -v go > /dev/null || die "Go is missing" "install Go 1.26 or newer and put it on PATH: https://go.dev/doc/install"
  cat "$@" | input_key "$(cd "$OCI_SOURCE" && go version)" "${GO_BUILD[*]}"
}

# pinned FOLDER MODULE: prints the version of MODULE in FOLDER/go.mod.
pinned() { sed -n "s|^[[:space:]]*\(require \)\{0,1\}$2 \(v[^ ]*\).*|\2|p" "$1/go.mod" | head -1; }

kubernetes_entry() { echo "kubernetes-$(go_key "$KUBERNETES_SOURCE"/{go.mod,go.sum,main.go})"; }
kubectl_entry() { echo "kubectl-$(go_key "$KUBERNETES_SOURCE"/{go.mod,go.sum})"; }
containerd_entry() { echo "containerd-$(go_key "$CONTAINERD_SOURCE"/{go.mod,go.sum})"; }
helm_entry() { echo "helm-$(go_key "$HELM_SOURCE"/{go.mod,go.sum})"; }
oci_entry() { echo "oci-image-$(go_key "$OCI_SOURCE"/{go.mod,image.go,main.go})"; }

# Sets the version. Without these flags the programs report v0.0.0-master, which clients and other components cannot
# parse.
kubernetes_version_flags() {
  local version=$1 package=k8s.io/component-base/version minor=${1#v1.}
  echo "-s -w -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*} -X $package.gitTreeState=clean"
}

build_kubernetes() {
  local flags component
  flags=$(kubernetes_version_flags "$(pinned "$KUBERNETES_SOURCE" k8s.io/kubernetes)")
  (cd "$KUBERNETES_SOURCE" && "${GO_BUILD[@]}" -ldflags "$flags" -o "$1/node-components" .)
  for component in "${NODE_COMPONENTS[@]}"; do ln -s node-components "$1/$component"; done
}

build_kubectl() {
  local flags
  flags=$(kubernetes_version_flags "$(pinned "$KUBERNETES_SOURCE" k8s.io/kubernetes)")
  (cd "$KUBERNETES_SOURCE" && "${GO_BUILD[@]}" -ldflags "$flags" -o "$1/kubectl" k8s.io/kubernetes/cmd/kubectl)
}

build_containerd() {
  local version
  version=$(pinned "$CONTAINERD_SOURCE" $CONTAINERD_PACKAGE)
  (cd "$CONTAINERD_SOURCE" && "${GO_BUILD[@]}" -tags "$CONTAINERD_TAGS" -ldflags "-s -w -X $CONTAINERD_PACKAGE/version.Version=$version" \
    -o "$1/" $CONTAINERD_PACKAGE/cmd/{containerd,containerd-shim-runc-v2,ctr})
}

build_helm() {
  local package=helm.sh/helm/v4 version
  version=$(pinned "$HELM_SOURCE" $package)
  (cd "$HELM_SOURCE" && "${GO_BUILD[@]}" -ldflags "-s -w -X $package/internal/version.version=$version" -o "$1/helm" $package/cmd/helm)
}

build_oci() { (cd "$OCI_SOURCE" && "${GO_BUILD[@]}" -ldflags '-s -w' -o "$1/oci-image" .); }

# node_binaries: builds the programs of a node.
node_binaries() {
  cached "$(kubernetes_entry)" "building Kubernetes $(pinned "$KUBERNETES_SOURCE" k8s.io/kubernetes), etcd and CoreDNS from Go modules (usually 4 to 5 min on two cores)" build_kubernetes
  cached "$(containerd_entry)" "building containerd $(pinned "$CONTAINERD_SOURCE" $CONTAINERD_PACKAGE) from Go modules (usually 35 s)" build_containerd
}

# Each of these functions prints the path of its program, and builds the program if it is missing.
kubectl_binary() {
  local entry
  entry=$(kubernetes_entry)
  if [ ! -d "$CACHE/$entry" ]; then
    entry=$(kubectl_entry)
    cached "$entry" "building kubectl from Go modules (usually 1 to 2 min)" build_kubectl
  fi
  echo "$CACHE/$entry/kubectl"
}

helm_binary() {
  local entry
  entry=$(helm_entry)
  cached "$entry" "building Helm $(pinned "$HELM_SOURCE" helm.sh/helm/v4) from Go modules (usually 30 s after Kubernetes, else 2 min)" build_helm
  echo "$CACHE/$entry/helm"
}

oci_binary() {
  local entry
  entry=$(oci_entry)
  cached "$entry" "building oci-image (usually 5 s)" build_oci
  echo "$CACHE/$entry/oci-image"
}
