# shellcheck shell=bash
# Fills in the files of config/ for this node.

# Only these placeholders are replaced. Files refer to everything else by its path inside the node, which is the same
# for all nodes.
render() {
  sed -e "s|@NODE_NAME@|$CLUSTER_NAME|g" -e "s|@NODE_IP@|$NODE_IP|g" -e "s|@CGROUP@|$CGROUP|g" \
    -e "s|@POD_CIDR@|$POD_CIDR|g" -e "s|@DNS_SERVICE_IP@|$DNS_SERVICE_IP|g" "$1"
}

make_configs() {
  local file
  mkdir -p "$STATE/config/cni"
  for file in "$HERE"/config/*.* "$HERE/config/Corefile"; do
    render "$file" > "$STATE/config/${file##*/}"
  done
  mv "$STATE"/config/*.conflist "$STATE/config/cni/"
  if grep -rn '@[A-Z_]*@' "$STATE/config"; then die "config/ uses a word that lib/config.sh does not fill in"; fi
}
