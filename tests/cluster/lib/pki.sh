# shellcheck shell=bash
# The node's own certificate authority, one client certificate for each
# component, and the kubeconfig files that use them. Made once for each node and
# kept while it is down; only "clean" removes them.

PKI=$STATE/pki
COMPONENT_USERS=(
  kube-controller-manager=system:kube-controller-manager
  kube-scheduler=system:kube-scheduler
  kube-proxy=system:kube-proxy
  coredns=system:coredns
)

quietly() { "$@" >> "$STATE/log/pki.log" 2>&1 || die "$1 failed" "the log is $STATE/log/pki.log"; }

# certificate NAME COMMON-NAME ORGANISATION ALTERNATIVE-NAMES: creates a key and a certificate.
certificate() {
  local name=$1 subject="/${3:+O=$3/}CN=$2" extensions
  extensions=$'keyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth'${4:+$'\n'subjectAltName=$4}
  quietly openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -keyout "$PKI/$name.key" -out "$PKI/$name.csr" -subj "$subject"
  quietly openssl x509 -req -in "$PKI/$name.csr" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -CAcreateserial -days 3650 \
    -out "$PKI/$name.crt" -extfile <(printf '%s\n' "$extensions")
  rm "$PKI/$name.csr"
}

# kubeconfig_for NAME: prints a kubeconfig with the certificate of this name.
kubeconfig_for() {
  cat << YAML
apiVersion: v1
kind: Config
clusters:
- name: $CLUSTER_NAME
  cluster:
    server: $API_SERVER
    certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")
users:
- name: $1
  user:
    client-certificate-data: $(base64 -w0 "$PKI/$1.crt")
    client-key-data: $(base64 -w0 "$PKI/$1.key")
contexts:
- name: $CLUSTER_NAME
  context: {cluster: $CLUSTER_NAME, user: $1}
current-context: $CLUSTER_NAME
YAML
}

make_pki() {
  local entry
  # The certificates contain the node's name and address, so they are created again if these change.
  if [ "$(cat "$PKI/complete-for" 2> /dev/null)" != "$CLUSTER_NAME $CLUSTER_NET" ]; then
    rm -rf "$PKI"
    install -d -m 700 "$PKI"
    quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
      -keyout "$PKI/ca.key" -out "$PKI/ca.crt" -subj "/CN=pgbackup-test-cluster"
    quietly openssl genrsa -out "$PKI/service-account.key" 2048
    certificate kube-apiserver kube-apiserver "" \
      "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:$API_SERVICE_IP,IP:$NODE_IP,IP:127.0.0.1"
    certificate kubelet-client kube-apiserver-kubelet-client system:masters ""
    certificate kubelet-server "$CLUSTER_NAME" "" "DNS:$CLUSTER_NAME,IP:$NODE_IP"
    certificate kubelet "system:node:$CLUSTER_NAME" system:nodes ""
    certificate admin admin system:masters ""
    for entry in "${COMPONENT_USERS[@]}"; do certificate "${entry%%=*}" "${entry#*=}" "" ""; done
    echo "$CLUSTER_NAME $CLUSTER_NET" > "$PKI/complete-for"
  fi
  # Only the owner may read this file, because it belongs to an administrator.
  (umask 077 && kubeconfig_for admin > "$OWN_KUBECONFIG.new" && mv "$OWN_KUBECONFIG.new" "$OWN_KUBECONFIG")
  for entry in kubelet "${COMPONENT_USERS[@]}"; do
    (umask 077 && kubeconfig_for "${entry%%=*}" > "$STATE/config/${entry%%=*}.kubeconfig")
  done
}
