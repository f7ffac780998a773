# shellcheck shell=bash
# What runs inside the node's namespaces. This is their process 1: it sets up the
# mounts and the network, starts the components in order, and ends as soon as
# one of them ends, which takes everything else with it.

# The kubelet requires these settings of the whole machine. It reads them from files with these values, which are
# mounted over the real ones in this mount namespace only. The machine's own settings are unchanged.
KUBELET_SYSCTLS=(
  vm/overcommit_memory=1 vm/panic_on_oom=0
  kernel/panic=10 kernel/panic_on_oops=1
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000
)

set_up_mounts() {
  local setting path
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p /run/lock /run/containerd "$NODE_DIR"
  mount --bind "$STATE" "$NODE_DIR"
  mount --bind "$NODE_DIR/kubelet" /var/lib/kubelet
  mount --bind "$NODE_DIR/pod-logs" /var/log
  # /sys must show the devices of this network namespace. The cgroups remain visible.
  mkdir /run/cgroups
  mount --rbind /sys/fs/cgroup /run/cgroups
  mount -t sysfs sysfs /sys
  mount --rbind /run/cgroups /sys/fs/cgroup
  umount -R /run/cgroups
  for setting in "${KUBELET_SYSCTLS[@]}"; do
    path=${setting%%=*}
    echo "${setting#*=}" > "/run/sysctl-${path//\//-}"
    mount --bind "/run/sysctl-${path//\//-}" "/proc/sys/$path"
  done
  # Volumes that are mounted later must be visible in the containers. This must come after the unmounting above, which
  # would otherwise affect the copies too.
  mount --make-rshared /
}

# Changes settings of this network namespace only.
set_up_network() {
  ip link set lo up
  until [ -e "$NODE_DIR/run/linked" ]; do sleep 0.02; done
  ip address add "$NODE_IP/30" dev eth0
  ip link set eth0 up
  ip route add default via "$HOST_IP"
  sysctl -qw net.ipv4.ip_forward=1
}

# component NAME COMMAND...: starts a component. Its output goes into the log of that name.
declare -A COMPONENT_OF_PID=()
component() {
  local name=$1
  shift
  "$@" > "$NODE_DIR/log/$name.log" 2>&1 &
  COMPONENT_OF_PID[$!]=$name
}

# until_true SECONDS COMMAND...: repeats the command until it succeeds, at most for this time.
until_true() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" > /dev/null 2>&1; do
    if [ $SECONDS -gt $deadline ]; then
      echo "gave up waiting for: $*"
      exit 1
    fi
    sleep 0.05
  done
}

api_ready() { curl -sf --max-time 2 --cacert "$NODE_DIR/pki/ca.crt" "$API_SERVER/readyz"; }

start_runtime() {
  component containerd env "PATH=$NODE_DIR/bin:$PATH" containerd --config "$NODE_DIR/config/containerd.toml" --log-level info
}

start_etcd() {
  # A test's data need not survive a failure of the machine.
  component etcd "$NODE_DIR/bin/etcd" --data-dir "$NODE_DIR/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster default=http://127.0.0.1:2380
}

start_api_server() {
  local pki=$NODE_DIR/pki
  component kube-apiserver "$NODE_DIR/bin/kube-apiserver" --etcd-servers http://127.0.0.1:2379 \
    --bind-address "$NODE_IP" --advertise-address "$NODE_IP" --secure-port 6443 \
    --tls-cert-file "$pki/kube-apiserver.crt" --tls-private-key-file "$pki/kube-apiserver.key" --client-ca-file "$pki/ca.crt" \
    --kubelet-client-certificate "$pki/kubelet-client.crt" --kubelet-client-key "$pki/kubelet-client.key" \
    --kubelet-certificate-authority "$pki/ca.crt" --kubelet-preferred-address-types InternalIP \
    --service-account-key-file "$pki/service-account.key" --service-account-signing-key-file "$pki/service-account.key" \
    --service-account-issuer https://kubernetes.default.svc --service-cluster-ip-range "$SERVICE_CIDR" \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged
}

# Checks containerd like the kubelet, with an empty gRPC message: containerd answers other requests before it is ready
# for these.
runtime_ready() {
  printf '\0\0\0\0\0' | curl -sf --max-time 2 --http2-prior-knowledge --unix-socket /run/containerd/containerd.sock \
    --header 'content-type: application/grpc' --header 'te: trailers' --data-binary @- --dump-header - --output /dev/null \
    http://localhost/runtime.v1.RuntimeService/Version | grep -q '^grpc-status: 0'
}

start_kubelet() {
  # The kubelet retries until the API server answers, but exits at once without its container runtime.
  until_true 60 runtime_ready
  component kubelet "$NODE_DIR/bin/kubelet" --config "$NODE_DIR/config/kubelet.yaml" \
    --kubeconfig "$NODE_DIR/config/kubelet.kubeconfig" --hostname-override "$CLUSTER_NAME" --node-ip "$NODE_IP"
}

start_controllers() {
  until_true 120 api_ready
  # With the default client limits, the first ServiceAccount would be created 5 s later, and with the default sync
  # period the first volume would be bound 10 s later.
  component kube-controller-manager "$NODE_DIR/bin/kube-controller-manager" \
    --kubeconfig "$NODE_DIR/config/kube-controller-manager.kubeconfig" --leader-elect=false \
    --kube-api-qps 200 --kube-api-burst 400 --pvclaimbinder-sync-period 2s \
    --use-service-account-credentials --service-account-private-key-file "$NODE_DIR/pki/service-account.key" \
    --root-ca-file "$NODE_DIR/pki/ca.crt" \
    --cluster-signing-cert-file "$NODE_DIR/pki/ca.crt" --cluster-signing-key-file "$NODE_DIR/pki/ca.key"
  component kube-scheduler "$NODE_DIR/bin/kube-scheduler" \
    --kubeconfig "$NODE_DIR/config/kube-scheduler.kubeconfig" --leader-elect=false
  component kube-proxy "$NODE_DIR/bin/kube-proxy" --config "$NODE_DIR/config/kube-proxy.yaml" --hostname-override "$CLUSTER_NAME"
}

start_dns() {
  until_true 60 "$NODE_DIR/bin/kubectl" --kubeconfig "$NODE_DIR/kubeconfig" apply -f "$NODE_DIR/config/dns.yaml"
  component coredns "$NODE_DIR/bin/coredns" -conf "$NODE_DIR/config/Corefile"
}

run_inside() {
  local ended
  export KUBECACHEDIR=/run/kubectl-cache
  set_up_mounts
  set_up_network
  start_runtime
  start_etcd
  start_api_server
  start_kubelet
  start_controllers
  start_dns
  # Process 1 also reaps processes that containerd's shims leave. Only the end of a component matters here.
  while true; do
    wait -n -p ended "${!COMPONENT_OF_PID[@]}" || true
    start_anew "$ended" || exit 1
  done
}

# start_anew PID: restarts a component that "cluster kill" has ended. If a component ended by itself, the node ends,
# because no test may continue without it.
start_anew() {
  local name=${COMPONENT_OF_PID[$1]}
  unset "COMPONENT_OF_PID[$1]"
  if [ ! -e "$NODE_DIR/run/killed-$name" ]; then
    echo "$name ended: see $STATE/log/$name.log"
    return 1
  fi
  rm "$NODE_DIR/run/killed-$name"
  echo "$name was killed, and starts anew"
  mv "$NODE_DIR/log/$name.log" "$NODE_DIR/log/$name.before.log"
  case $name in
    etcd) start_etcd ;;
    kube-apiserver) start_api_server ;;
  esac
}
