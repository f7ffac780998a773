# shellcheck shell=bash
# The cache of built things: one folder per thing and version of its inputs.
# An entry appears whole or not at all, and never changes afterwards.

# input_key TEXT... < CONTENT: prints a key for an entry that depends on all of its inputs.
input_key() { { printf '%s\n' "$@"; cat; } | sha256sum | cut -c1-16; }

# cached ENTRY MESSAGE COMMAND...: if the entry is missing, runs "COMMAND... FOLDER" to fill it. Do not call it in a
# condition, because that would disable "set -e" inside COMMAND.
cached() {
  local entry=$CACHE/$1 message=$2 log=$CACHE/log/$1.log
  shift 2
  if [ -d "$entry" ]; then
    touch -c "$entry" 2> /dev/null || true # used: see forget_unused
    return
  fi
  mkdir -p "$CACHE/log"
  local lock work status
  exec {lock}> "$CACHE/log/${entry##*/}.lock"
  flock -n "$lock" || { say "another command is already doing this: $message"; flock "$lock"; }
  if [ ! -d "$entry" ]; then
    say "$message; log: $log"
    local started=$EPOCHREALTIME
    work=$(mktemp -d "$CACHE/.building.XXXXXX")
    set +e
    (set -e; "$@" "$work") > "$log" 2>&1 < /dev/null
    status=$?
    set -e
    if [ $status != 0 ]; then
      rm -rf "$work"
      tail -5 "$log" | sed 's/^/         | /' >&2
      die "that failed (exit code $status)" "the whole log is $log" "try the same command again once the cause is gone: what is done stays done"
    fi
    chmod 755 "$work"
    mv -T "$work" "$entry"
    say "... done in $(seconds_since "$started") s"
  fi
  exec {lock}>&-
}

# Removes entries that nobody used for a month, and files that a killed build left. Entries of older inputs stay for
# other checkouts.
forget_unused() {
  mkdir -p "$CACHE/log"
  find "$CACHE" -mindepth 1 -maxdepth 1 -type d ! -name log -mtime +30 -exec rm -rf {} +
  find "$CACHE" -mindepth 1 -maxdepth 1 -type d -name '.building.*' -mmin +120 -exec rm -rf {} +
  find "$CACHE/log" -type f -mtime +30 -delete
}
