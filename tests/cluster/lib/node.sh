# shellcheck shell=bash
# Starts and stops the node from outside its namespaces.

KUBELET_DIR=/var/lib/kubelet # a path the kubelet has built in
KUBELET_DIR_MARK=$KUBELET_DIR/.made-for-pgbackup-tests

# Prints the process id of the node's process 1. Fails if the node is not running.
node_pid() {
  local pid
  pid=$(cat "$STATE/run/node.pid" 2> /dev/null) || return 1
  grep -qzxF "PGBACKUP_NODE=$STATE" "/proc/$pid/environ" 2> /dev/null || return 1
  echo "$pid"
}

in_node() { nsenter -t "$(node_pid)" --mount --net -- "$@"; }
admin_kubectl() { KUBECACHEDIR=$STATE/kubectl-cache "$STATE/bin/kubectl" --kubeconfig "$OWN_KUBECONFIG" "$@"; }
api_answers() { curl -sf --max-time 2 --cacert "$STATE/pki/ca.crt" "$API_SERVER/readyz" > /dev/null; }
runtime_answers() { in_node "$NODE_DIR/bin/ctr" version > /dev/null 2>&1; }
# The API may answer before the node is registered and ready. Until then, pods would be rejected or slow.
node_registered() { admin_kubectl get node "$CLUSTER_NAME" > /dev/null 2>&1; }
node_ready() { [ "$(admin_kubectl get node "$CLUSTER_NAME" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2> /dev/null)" = True ]; }
service_account_made() { admin_kubectl -n default get serviceaccount default > /dev/null 2>&1; }
dns_answers() { in_node curl -sf --max-time 1 http://127.0.0.1:8181/ready > /dev/null; }

# wait_for SECONDS WHAT COMMAND...: waits until the command succeeds. If it does not, stops the node and fails.
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    if ! node_pid > /dev/null; then
      give_up "the node ended while starting: $(tail -1 "$STATE/log/node.log")"
    fi
    [ $SECONDS -le $deadline ] || give_up "$what did not come in time"
    sleep 0.05
  done
}

give_up() {
  stop_node
  die "$1" "the logs of all components are in $STATE/log"
}

# Fails if a node of the same name runs from another home or state folder. Stopping it would remove that node's link and
# cgroups.
check_namesake() {
  local other
  other=$(grep -hozE "^PGBACKUP_NODE=.*/cluster-$CLUSTER_NAME\$" /proc/[0-9]*/environ 2> /dev/null | tr '\0' '\n' \
    | grep -vxF "PGBACKUP_NODE=$STATE" | head -1 || true)
  [ -z "$other" ] || die "a node named $CLUSTER_NAME runs already, from ${other#*=}" \
    "use the HOME or XDG_STATE_HOME it was started with, or choose another CLUSTER_NAME and CLUSTER_NET"
}

# Fails if the addresses are used by another node or by this machine's own network. Must be called while no link of this
# node exists.
check_addresses() {
  local other
  other=$(ip -oneline route show root "$CLUSTER_NET.0.0/16")
  [ -z "$other" ] || die "the addresses $CLUSTER_NET.0.0/16 are in use: $other" \
    "choose others, such as CLUSTER_NET=198.19, or stop what uses them"
}

# The node's resources on the machine (the kubelet's folder and the cgroups) are created and removed under one lock,
# because another node may be about to use the same folder.
claim_machine() {
  (
    flock 9
    if [ ! -d "$KUBELET_DIR" ]; then
      mkdir -p "$KUBELET_DIR"
      touch "$KUBELET_DIR_MARK"
    fi
    make_cgroups
  ) 9< "${KUBELET_DIR%/*}"
}

# Removes the kubelet's folder only if this script created it and no other node uses it.
release_machine() {
  (
    flock 9
    remove_cgroups
    if [ -e "$KUBELET_DIR_MARK" ] && [ -z "$(other_nodes)" ]; then
      rm "$KUBELET_DIR_MARK"
      rmdir "$KUBELET_DIR"
    fi
  ) 9< "${KUBELET_DIR%/*}"
}

# Prints the cgroups of other nodes that this script started.
other_nodes() {
  local hierarchy
  for hierarchy in $(cgroup_hierarchies); do
    find "$hierarchy" -maxdepth 1 -name 'pgbackup-cluster-*' ! -path "$hierarchy$CGROUP"
  done
}

link_programs() {
  local program entry
  rm -rf "$STATE/bin"
  mkdir "$STATE/bin"
  for entry in "$(kubernetes_entry)" "$(containerd_entry)"; do
    for program in "$CACHE/$entry"/*; do ln -s "$program" "$STATE/bin/"; done
  done
}

# Starts the node in its namespaces. Neither the lock nor the caller's environment is inherited: proxies in the
# environment would affect the components.
start_process() {
  env -i "PATH=$PATH" "HOME=$HOME" LANG=C.UTF-8 "XDG_STATE_HOME=${STATE%/pgbackup/*}" \
    "CLUSTER_NAME=$CLUSTER_NAME" "CLUSTER_NET=$CLUSTER_NET" "PGBACKUP_NODE=$STATE" \
    setsid unshare --net --pid --mount --fork --kill-child --mount-proc \
    bash "$HERE/cluster" inside > "$STATE/log/node.log" 2>&1 < /dev/null {NODE_LOCK}>&- &
  local outer=$! pid=
  for _ in $(seq 200); do
    read -r pid _ < "/proc/$outer/task/$outer/children" 2> /dev/null || true
    [ -z "$pid" ] || break
    sleep 0.02
  done
  [ -n "$pid" ] || give_up "the node's namespaces could not be made: $(tail -1 "$STATE/log/node.log")"
  echo "$pid" > "$STATE/run/node.pid"
  make_link "$pid" || give_up "the link into the node's network could not be made"
  touch "$STATE/run/linked"
}

# The last route is for a node that has died: packets to its addresses are then rejected here and do not leave this
# machine by the default route.
GUARD_ROUTE=(unreachable "$CLUSTER_NET.0.0/16" metric 4096)
make_link() {
  ip link add "$HOST_LINK" type veth peer name eth0 netns "$1" \
    && ip address add "$HOST_IP/30" dev "$HOST_LINK" \
    && ip link set "$HOST_LINK" up \
    && ip route add "$CLUSTER_NET.0.0/16" via "$NODE_IP" dev "$HOST_LINK" \
    && ip route add "${GUARD_ROUTE[@]}"
}

# Starts the node with an empty cluster. Only images and certificates are kept.
start_node() {
  rm -rf "$STATE"/{etcd,kubelet,pod-logs,run,config,kubectl-cache}
  mkdir -p "$STATE"/{kubelet,pod-logs,run,config}
  link_programs
  make_pki
  make_configs
  claim_machine
  start_process
  wait_for 60 "containerd" runtime_answers
  import_archives "${IMAGE_ARCHIVES[@]}"
  wait_for 120 "the API server" api_answers
  wait_for 60 "the kubelet" node_registered
  wait_for 60 "the state Ready of the node" node_ready
  wait_for 30 "the first ServiceAccount" service_account_made
  wait_for 30 "the cluster's DNS" dns_answers
}

# Stops the node. When process 1 ends, all processes of the node end, and their mounts and their network with its rules
# disappear.
stop_node() {
  local pid
  if pid=$(node_pid); then
    kill -KILL "$pid"
    while [ -e "/proc/$pid" ]; do sleep 0.02; done
  fi
  ip link delete "$HOST_LINK" 2> /dev/null || true
  ip route delete "${GUARD_ROUTE[@]}" 2> /dev/null || true
  release_machine
  rm -rf "$STATE/run"
}

# Prints one line for each thing that a stopped node should not have left.
list_leftovers() {
  local process folder
  for process in $(grep -lzxF "PGBACKUP_NODE=$STATE" /proc/[0-9]*/environ 2> /dev/null || true); do
    process=${process//[^0-9]/}
    echo "process $process: $(ps -o args= -p "$process" | cut -c1-80)"
  done
  awk -v state="$STATE" 'index($0, state) { print "mount " $5 }' /proc/self/mountinfo
  if ip link show "$HOST_LINK" > /dev/null 2>&1; then echo "link $HOST_LINK"; fi
  ip -oneline route show root "$CLUSTER_NET.0.0/16" | sed 's/^/route /'
  for folder in $(cgroup_folders); do echo "cgroup $folder"; done
  if [ -e "$KUBELET_DIR_MARK" ] && [ -z "$(other_nodes)" ]; then echo "folder $KUBELET_DIR"; fi
}
