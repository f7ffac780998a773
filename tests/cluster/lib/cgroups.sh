# shellcheck shell=bash
# The cgroup that holds all pods of the node: made before the kubelet starts,
# which wants it to exist, and removed when the node is down.

# Prints the mounted hierarchies: one for all controllers (v2), or one for each (v1 and hybrid machines).
cgroup_hierarchies() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    echo /sys/fs/cgroup
    return
  fi
  local folder
  for folder in /sys/fs/cgroup/*/; do
    [ ! -e "$folder/cgroup.procs" ] || echo "${folder%/}"
  done
}

# cgroup_folders: prints the existing cgroups of this node.
cgroup_folders() {
  local hierarchy
  for hierarchy in $(cgroup_hierarchies); do
    [ ! -d "$hierarchy$CGROUP" ] || echo "$hierarchy$CGROUP"
  done
}

make_cgroups() {
  local hierarchy controller
  for hierarchy in $(cgroup_hierarchies); do
    if [ -e "$hierarchy/cgroup.controllers" ]; then
      # v2: children can use a controller only if the parent enables it. systemd has enabled most; the kubelet requires
      # all of these.
      for controller in cpuset cpu memory pids hugetlb; do
        grep -qw "$controller" "$hierarchy/cgroup.subtree_control" || echo "+$controller" > "$hierarchy/cgroup.subtree_control" || true
      done 2> /dev/null
    fi
    mkdir -p "$hierarchy$CGROUP"
    if [ -e "$hierarchy/tasks" ] && [ -e "$hierarchy/cpuset.cpus" ]; then
      # v1: a new cpuset is empty, so no process could enter it.
      cat "$hierarchy/cpuset.cpus" > "$hierarchy$CGROUP/cpuset.cpus"
      cat "$hierarchy/cpuset.mems" > "$hierarchy$CGROUP/cpuset.mems"
    fi
  done
}

# The kernel releases a cgroup only some time after its last process has ended.
remove_cgroups() {
  local folder
  for folder in $(cgroup_folders); do
    for _ in $(seq 50); do
      find "$folder" -depth -type d -exec rmdir {} + 2> /dev/null || true
      [ -d "$folder" ] || break
      sleep 0.1
    done
  done
}
