# shellcheck shell=bash
# Names, folders and addresses of one node, and the few functions every other
# file needs. Sourced first; changes nothing by itself.

CLUSTER_NAME=${CLUSTER_NAME:-pgbackup}
CLUSTER_NET=${CLUSTER_NET:-198.18}
# The node runs this script again, inside its namespaces.
export CLUSTER_NAME CLUSTER_NET

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/pgbackup/cluster
STATE=${XDG_STATE_HOME:-$HOME/.local/state}/pgbackup/cluster-$CLUSTER_NAME
OWN_KUBECONFIG=$STATE/kubeconfig

# All addresses are in one /16 of 198.18.0.0/15, which is reserved for tests of networks: it conflicts with no office,
# cloud or Docker network.
HOST_IP=$CLUSTER_NET.255.1
NODE_IP=$CLUSTER_NET.255.2
POD_CIDR=$CLUSTER_NET.0.0/24
SERVICE_CIDR=$CLUSTER_NET.1.0/24
API_SERVICE_IP=$CLUSTER_NET.1.1
DNS_SERVICE_IP=$CLUSTER_NET.1.10
API_SERVER=https://$NODE_IP:6443

HOST_LINK=pgb-$CLUSTER_NAME # at most 15 characters, so the name has at most 10
CGROUP=/pgbackup-cluster-$CLUSTER_NAME

# Everything that the node reads and writes is under this one path in its mount namespace, so that the files in config/
# can refer to it.
NODE_DIR=/run/node

say() { printf 'cluster: %s\n' "$*" >&2; }
die() {
  printf 'cluster: error: %s\n' "$1" >&2
  shift
  [ $# = 0 ] || printf '         %s\n' "$@" >&2
  exit 1
}

check_settings() {
  [[ $CLUSTER_NAME =~ ^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$ ]] \
    || die "CLUSTER_NAME is '$CLUSTER_NAME'" "use 1 to 10 lower-case letters, digits and inner dashes"
  [[ $CLUSTER_NET =~ ^[0-9]{1,3}\.[0-9]{1,3}$ ]] \
    || die "CLUSTER_NET is '$CLUSTER_NET'" "give the first two numbers of an unused /16, such as 198.18 or 198.19"
  [ "$(uname -s)" = Linux ] || die "this node needs Linux" "bring your own cluster instead: set KUBECONFIG"
}

need_root() {
  [ "$(id -u)" = 0 ] && return
  die "a node needs root: it makes namespaces, mounts, cgroups and a network link" \
    "run this as root, or bring your own cluster: set KUBECONFIG to its kubeconfig"
}

# seconds_since START: prints the seconds since START, an earlier $EPOCHREALTIME.
seconds_since() { awk -v start="$1" -v now="$EPOCHREALTIME" 'BEGIN { printf "%.1f", now - start }'; }

# Only one change of a node at a time. Children that keep running do not inherit the lock (see start_node); otherwise it
# would be held as long as the node runs.
lock_node() {
  mkdir -p "$STATE"
  exec {NODE_LOCK}> "$STATE/lock"
  flock -n "$NODE_LOCK" && return
  say "waiting for another 'cluster' command on node $CLUSTER_NAME to end"
  flock "$NODE_LOCK"
}
