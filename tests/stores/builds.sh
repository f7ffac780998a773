# shellcheck shell=bash
# The object stores' programs, built from the pinned modules beside this file.
# Needs tests/cluster/lib/{settings,cache,binaries}.sh; tests/cluster/lib/images.sh
# makes images of them.

STORES_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/pgbackup/stores
VERSITYGW_SOURCE=$STORES/versitygw
GCS_SOURCE=$STORES/fake-gcs-server
AZURITE_SOURCE=$STORES/azurite
# shellcheck disable=SC2034 # for those who source this
AZURITE_MAIN=node_modules/azurite/dist/src/blob/main.js
VERSITYGW_PACKAGE=github.com/versity/versitygw

versitygw_entry() { echo "versitygw-$(go_key "$VERSITYGW_SOURCE"/{go.mod,go.sum})"; }
gcs_entry() { echo "fake-gcs-server-$(go_key "$GCS_SOURCE"/{go.mod,go.sum,*.go})"; }
azurite_entry() { echo "azurite-$(cat "$AZURITE_SOURCE"/package{,-lock}.json | input_key "$(declare -f build_azurite)")"; }

build_versitygw() {
  (cd "$VERSITYGW_SOURCE" && "${GO_BUILD[@]}" -ldflags "-s -w -X main.Version=$(pinned . $VERSITYGW_PACKAGE)" -o "$1/" $VERSITYGW_PACKAGE/cmd/versitygw)
}
build_gcs() { (cd "$GCS_SOURCE" && "${GO_BUILD[@]}" -ldflags '-s -w' -o "$1/" .); }
# No package of Azurite needs its install script, because all code is JavaScript.
build_azurite() {
  cp "$AZURITE_SOURCE"/package{,-lock}.json "$1/"
  (cd "$1" && npm ci --ignore-scripts --omit=dev --no-audit --no-fund --no-update-notifier)
}

# Each of these functions prints the path of a program, and builds the program if it is missing.
versitygw_binary() {
  local CACHE=$STORES_CACHE entry
  entry=$(versitygw_entry)
  cached "$entry" "building versitygw $(pinned "$VERSITYGW_SOURCE" $VERSITYGW_PACKAGE) from Go modules (usually 80 s)" build_versitygw
  echo "$CACHE/$entry/versitygw"
}

gcs_binary() {
  local CACHE=$STORES_CACHE entry
  entry=$(gcs_entry)
  cached "$entry" "building fake-gcs-server $(pinned "$GCS_SOURCE" github.com/fsouza/fake-gcs-server) from Go modules (usually 45 s)" build_gcs
  echo "$CACHE/$entry/fake-gcs-server"
}

# Prints the folder that contains Azurite's node_modules, and in it the program for node.
azurite_folder() {
  local CACHE=$STORES_CACHE entry
  need_node
  entry=$(azurite_entry)
  cached "$entry" "installing Azurite from npm (usually 10 s)" build_azurite
  echo "$CACHE/$entry"
}

# Any version of nodejs works. Debian has npm in a separate package.
need_node() {
  local log=$STORES_CACHE/log/packages.log
  command -v node > /dev/null && command -v npm > /dev/null && return
  command -v apt-get > /dev/null || die "Node.js or npm is missing, and there is no apt-get here" "install Node.js 20 or newer with npm"
  mkdir -p "${log%/*}"
  say "installing Debian packages: nodejs npm (usually 60 s; log: $log)"
  { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends nodejs npm; } \
    > "$log" 2>&1 < /dev/null || die "apt-get failed" "the log is $log"
}
