# shellcheck shell=bash
# A cluster that somebody else runs, chosen by PGBACKUP_KUBECONFIG or KUBECONFIG:
# then no node of ours is started.

# Prints the kubeconfig of the other cluster. Fails if none is chosen.
foreign_kubeconfig() {
  local chosen=${PGBACKUP_KUBECONFIG:-${KUBECONFIG:-}}
  [ -n "$chosen" ] || return 1
  [ "$(realpath -m "$chosen")" != "$(realpath -m "$OWN_KUBECONFIG")" ] || return 1
  echo "$chosen"
}

use_foreign() {
  local kubectl
  say "using the cluster of $1 (PGBACKUP_KUBECONFIG or KUBECONFIG is set; unset it to start a node of your own)"
  kubectl=$(kubectl_binary)
  KUBECONFIG=$1 "$kubectl" --request-timeout 10s get --raw /readyz > /dev/null \
    || die "that cluster does not answer" "check the kubeconfig and the cluster, or unset the variable"
  say "it answers: $(KUBECONFIG=$1 "$kubectl" config view --minify -o 'jsonpath={.current-context} at {.clusters[0].cluster.server}')"
}

load_into_foreign() {
  local archive
  if [ -z "${PGBACKUP_IMAGE_LOAD_COMMAND:-}" ]; then
    say "images are not loaded: this is your own cluster, so bring them there by its own means, or set" \
      "PGBACKUP_IMAGE_LOAD_COMMAND to a command that takes the path of an OCI archive (k3s: 'k3s ctr images import')"
    return
  fi
  for archive in "$@"; do
    # shellcheck disable=SC2086 # a command with its arguments
    $PGBACKUP_IMAGE_LOAD_COMMAND "$archive" || die "$PGBACKUP_IMAGE_LOAD_COMMAND $archive failed"
  done
}
