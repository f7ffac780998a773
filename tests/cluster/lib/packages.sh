# shellcheck shell=bash
# The Debian packages that a node and its images need, installed when missing.

# Packages for the node: the container runtime's helpers, its network, and the tools of these scripts.
NODE_PACKAGES=(runc containernetworking-plugins nftables iproute2 procps util-linux openssl curl ca-certificates)
# Packages for the images. mmdebstrap uses gpg to check the archive's signatures.
IMAGE_PACKAGES=(mmdebstrap gpg debian-archive-keyring gcc libc6-dev)

# The PostgreSQL 17 image is built from trixie. A keyring from before 2023 lacks its keys; apt then provides a newer
# one.
TRIXIE_KEY=/usr/share/keyrings/debian-archive-trixie-automatic.gpg

install_packages() {
  local package missing=()
  for package in "${NODE_PACKAGES[@]}" "${IMAGE_PACKAGES[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" = installed ] || missing+=("$package")
  done
  [ -e "$TRIXIE_KEY" ] || [[ " ${missing[*]} " == *" debian-archive-keyring "* ]] || missing+=(debian-archive-keyring)
  [ ${#missing[@]} = 0 ] && return

  command -v apt-get > /dev/null || die "these packages are missing, and there is no apt-get here: ${missing[*]}" \
    "install what your distribution calls them, or bring your own cluster: set KUBECONFIG"
  local log=$STATE/log/packages.log
  say "installing Debian packages: ${missing[*]} (usually 20 s; log: $log)"
  { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"; } \
    > "$log" 2>&1 < /dev/null || die "apt-get failed" "the log is $log"
  [ -e "$TRIXIE_KEY" ] || say "warning: $TRIXIE_KEY is still missing; the PostgreSQL 17 image may fail to build"
}
