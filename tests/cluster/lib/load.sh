# shellcheck shell=bash
# Brings image archives into the node's containerd.

# archive_images ARCHIVE: prints "NAME DIGEST" of each image in an OCI archive, according to its index.json. Prints
# nothing for other kinds of archives.
archive_images() {
  tar -xOf "$1" --occurrence=1 index.json 2> /dev/null | grep -o '{"mediaType[^{]*{[^}]*}' \
    | sed -n 's/.*"digest":"\([^"]*\)".*"io\.containerd\.image\.name":"\([^"]*\)".*/\2 \1/p'
}

# Returns whether containerd has exactly the images in the archive.
already_imported() {
  local images
  images=$(archive_images "$1")
  [ -n "$images" ] || return 1
  while read -r name digest; do
    grep -qxF "$name $digest" <<< "$2" || return 1
  done <<< "$images"
}

import_archives() {
  local archive present
  present=$(in_node "$NODE_DIR/bin/ctr" --namespace k8s.io images list 2> "$STATE/log/import.log" | awk 'NR > 1 { print $1, $3 }')
  for archive in "$@"; do
    [ -r "$archive" ] || die "there is no archive $archive"
    already_imported "$archive" "$present" && continue
    # The archive is read through a pipe, because the node has another /run and /var/log than this machine.
    in_node "$NODE_DIR/bin/ctr" --namespace k8s.io images import - < "$archive" > "$STATE/log/import.log" 2>&1 \
      || die "importing $archive failed" "the log is $STATE/log/import.log"
    say "imported ${archive##*/}"
  done
}
