# shellcheck shell=bash
# Images for the node, made from Debian packages: no registry is asked.
#
#   localhost/pause:1                  what holds a pod's namespaces
#   localhost/postgres:15, :17         PostgreSQL of bookworm and of trixie
#   localhost/postgres:17-foreign-nss  the same 17 with a hostile /etc/nsswitch.conf
#   localhost/pgbouncer:1              the connection pooler that backups must not go through
#   localhost/versitygw:1, localhost/fake-gcs-server:1, localhost/azurite:1
#                                      object stores with a bucket "backups" (../stores)
#
# The cache holds each root file system once, and the archives made from it.

STORES=$HERE/../stores
source "$STORES/builds.sh"
source "$STORES/prepare.sh"

IMAGE_FILES=$HERE/images
POSTGRES_SUITES=([15]=bookworm [17]=trixie)
PGBOUNCER_SUITE=trixie
AZURITE_SUITE=trixie

# Layers must not contain the time and the owner of this build.
layer() { tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$1" -cf "$2" .; }

pause_entry() { echo "image-pause-$(input_key "$(declare -f build_pause layer)" "$(oci_entry)" < "$IMAGE_FILES/pause.c")"; }
rootfs_entry() {
  echo "rootfs-postgres-$1-$(input_key "$1" "${POSTGRES_SUITES[$1]}" "$(declare -f build_rootfs debian)" < "$IMAGE_FILES/postgres-rootfs-hook.sh")"
}
postgres_entry() {
  echo "image-postgres-$1-$(cat "$IMAGE_FILES"/{postgres-entrypoint.sh,foreign-nsswitch.conf} \
    | input_key "$(rootfs_entry "$1")" "$(declare -f build_postgres layer)" "$(oci_entry)")"
}
pgbouncer_entry() {
  echo "image-pgbouncer-$(input_key "$PGBOUNCER_SUITE" "$(declare -f build_pgbouncer debian)" "$(oci_entry)" < /dev/null)"
}
versitygw_image_entry() { echo "image-versitygw-$(input_key "$(versitygw_entry)" "$(declare -f build_versitygw_image layer)" "$(oci_entry)" < /dev/null)"; }
gcs_image_entry() { echo "image-fake-gcs-server-$(input_key "$(gcs_entry)" "$(declare -f build_gcs_image layer)" "$(oci_entry)" < /dev/null)"; }
azurite_image_entry() {
  echo "image-azurite-$(input_key "$AZURITE_SUITE" "$(azurite_entry)" "$(declare -f build_azurite_image debian layer prepare_azure azurite)" "$(oci_entry)" < /dev/null)"
}

build_pause() {
  mkdir "$1/root"
  gcc -Os -static -s -o "$1/root/pause" "$IMAGE_FILES/pause.c"
  layer "$1/root" "$1/layer.tar"
  "$OCI_IMAGE" --name localhost/pause:1 --out "$1/pause.tar" --entrypoint /pause --user 65535:65535 "$1/layer.tar"
  rm -r "$1/root" "$1/layer.tar"
}

# debian SUITE PACKAGE ARCHIVE [FLAG...]: builds a minimal Debian with a package, without documentation and
# translations. Flags are those of mmdebstrap.
debian() {
  local suite=$1 package=$2 archive=$3 unwanted=() path
  shift 3
  for path in doc man info locale i18n; do unwanted+=("--dpkgopt=path-exclude=/usr/share/$path/*"); done
  SOURCE_DATE_EPOCH=0 mmdebstrap --quiet --mode=root --variant=minbase --components=main --skip=output/dev \
    --aptopt='APT::Install-Recommends "false"' "${unwanted[@]}" --include="$package" "$@" "$suite" "$archive"
}

# build_rootfs MAJOR FOLDER [FLAG...]: builds Debian with PostgreSQL, its contrib modules and clients, and the user
# postgres as in the official image. The hook then removes more files.
build_rootfs() {
  local major=$1 suite=${POSTGRES_SUITES[$1]} folder=$2
  shift 2
  # Without this, the package would create a server when it is installed.
  mkdir -p "$folder/settings/postgresql-common"
  echo 'create_main_cluster = false' > "$folder/settings/postgresql-common/createcluster.conf"
  local hooks=(
    --essential-hook='echo postgres:x:999:999::/var/lib/postgresql:/bin/bash >> "$1/etc/passwd"'
    --essential-hook='echo postgres:x:999: >> "$1/etc/group"; echo "postgres:!:20000::::::" >> "$1/etc/shadow"'
    --essential-hook="copy-in '$folder/settings/postgresql-common' /etc"
    --customize-hook="$IMAGE_FILES/postgres-rootfs-hook.sh"
  )
  debian "$suite" "postgresql-$major" "$folder/rootfs.tar" "${hooks[@]}" "$@"
  rm -r "$folder/settings"
}

# build_postgres MAJOR ROOTFS FOLDER: builds small layers on top of the root file system, so that an edit of the entry
# point does not rebuild Debian.
build_postgres() {
  local major=$1 rootfs=$2 folder=$3
  mkdir -p "$folder/entrypoint/usr/local/bin" "$folder/foreign-nss/etc"
  # mmdebstrap empties /run at its end.
  mkdir -p "$folder/entrypoint/run"
  mkdir -m 3777 "$folder/entrypoint/run/postgresql"
  install -m 755 "$IMAGE_FILES/postgres-entrypoint.sh" "$folder/entrypoint/usr/local/bin/docker-entrypoint.sh"
  install -m 644 "$IMAGE_FILES/foreign-nsswitch.conf" "$folder/foreign-nss/etc/nsswitch.conf"
  layer "$folder/entrypoint" "$folder/entrypoint.layer"
  layer "$folder/foreign-nss" "$folder/foreign-nss.layer"
  # Like the official image, except for the user: there it is root, which then switches to 999.
  local config=(
    --user 999:999 --entrypoint docker-entrypoint.sh --cmd postgres --stop-signal SIGINT --port 5432/tcp --volume /var/lib/postgresql/data
    --env "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/$major/bin"
    --env "LANG=C.UTF-8" --env "PG_MAJOR=$major" --env "PGDATA=/var/lib/postgresql/data"
  )
  "$OCI_IMAGE" --name "localhost/postgres:$major" --out "$folder/postgres-$major.tar" "${config[@]}" "$rootfs" "$folder/entrypoint.layer"
  if [ "$major" = 17 ]; then
    "$OCI_IMAGE" --name localhost/postgres:17-foreign-nss --out "$folder/postgres-17-foreign-nss.tar" "${config[@]}" \
      "$rootfs" "$folder/entrypoint.layer" "$folder/foreign-nss.layer"
  fi
  rm -r "$folder"/{entrypoint,foreign-nss}{,.layer}
}

build_pgbouncer() {
  debian "$PGBOUNCER_SUITE" pgbouncer "$1/rootfs.tar" \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/etc/hostname "$1"/etc/resolv.conf'
  "$OCI_IMAGE" --name localhost/pgbouncer:1 --out "$1/pgbouncer.tar" --user 65534:65534 --entrypoint pgbouncer \
    --env "PATH=/usr/sbin:/usr/bin:/sbin:/bin" --port 6432/tcp "$1/rootfs.tar"
  rm "$1/rootfs.tar"
}

# The object stores keep everything in /data, which every user may write. They need no volume: the data is deleted with
# the pod.

# build_versitygw_image PROGRAM FOLDER
build_versitygw_image() {
  local program=$1 folder=$2
  mkdir -p "$folder/root/data"/{accounts,buckets/backups,versions}
  install -m 755 "$program" "$folder/root/versitygw"
  chmod -R a+rwX "$folder/root/data"
  layer "$folder/root" "$folder/layer.tar"
  "$OCI_IMAGE" --name localhost/versitygw:1 --out "$folder/versitygw.tar" --user 65532:65532 --port 7070/tcp --entrypoint /versitygw \
    --env "ROOT_ACCESS_KEY=$S3_KEY" --env "ROOT_SECRET_KEY=$S3_SECRET" --env VGW_IAM_DIR=/data/accounts --env VGW_HEALTH=/health \
    --cmd posix --cmd --versioning-dir --cmd /data/versions --cmd /data/buckets "$folder/layer.tar"
  rm -r "$folder"/{root,layer.tar}
}

# build_gcs_image PROGRAM FOLDER
build_gcs_image() {
  local program=$1 folder=$2
  mkdir -p "$folder/root/data"
  install -m 755 "$program" "$folder/root/fake-gcs-server"
  chmod a+rwx "$folder/root/data"
  layer "$folder/root" "$folder/layer.tar"
  "$OCI_IMAGE" --name localhost/fake-gcs-server:1 --out "$folder/fake-gcs-server.tar" --user 65532:65532 --port 4443/tcp \
    --entrypoint /fake-gcs-server --cmd --listen --cmd 0.0.0.0:4443 --cmd --folder --cmd /data "$folder/layer.tar"
  rm -r "$folder"/{root,layer.tar}
}

# build_azurite_image PROGRAM_FOLDER FOLDER: also creates the container "backups", because creating one later would
# require a client that supports Azure's signatures.
build_azurite_image() {
  local program=$1 folder=$2
  debian "$AZURITE_SUITE" nodejs "$folder/rootfs.tar" \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/etc/hostname "$1"/etc/resolv.conf'
  prepare_azure
  mkdir -p "$folder/root/azurite" "$folder/root/data"
  mv "$folder/blobs"/* "$folder/root/data/"
  chmod -R a+rwX "$folder/root/data"
  cp -r "$program/node_modules" "$folder/root/azurite/"
  # Half of the files are only for compilers and debuggers.
  find "$folder/root/azurite" -type f \( -name '*.map' -o -name '*.ts' -o -name '*.md' \) -delete
  layer "$folder/root" "$folder/layer.tar"
  "$OCI_IMAGE" --name localhost/azurite:1 --out "$folder/azurite.tar" --user 65534:65534 --port 10000/tcp \
    --entrypoint node --entrypoint "/azurite/$AZURITE_MAIN" --env "PATH=/usr/bin:/bin" \
    --cmd --blobHost --cmd 0.0.0.0 --cmd --location --cmd /data --cmd --silent --cmd --disableTelemetry --cmd --disableProductStyleUrl \
    "$folder/rootfs.tar" "$folder/layer.tar"
  rm -r "$folder"/{rootfs.tar,root,layer.tar,blobs,prepare.log}
}

# make_postgres MAJOR: builds its image if it is missing and adds it to IMAGE_ARCHIVES.
make_postgres() {
  local major=$1 entry rootfs
  rootfs=$(rootfs_entry "$major")
  cached "$rootfs" "installing PostgreSQL $major from Debian ${POSTGRES_SUITES[$major]} into an image (usually 20 to 30 s)" build_rootfs "$major"
  entry=$(postgres_entry "$major")
  cached "$entry" "building image localhost/postgres:$major (usually 3 s)" build_postgres "$major" "$CACHE/$rootfs/rootfs.tar"
  IMAGE_ARCHIVES+=("$CACHE/$entry"/*.tar)
}

# Builds the images that the demo needs, and fills IMAGE_ARCHIVES.
make_images() {
  local entry
  OCI_IMAGE=$(oci_binary)
  entry=$(pause_entry)
  cached "$entry" "building image localhost/pause:1 (usually 1 s)" build_pause
  IMAGE_ARCHIVES=("$CACHE/$entry"/*.tar)
  make_postgres 17
}

# Builds the images that only tests need, after make_images.
make_test_images() {
  local entry program
  make_postgres 15
  entry=$(pgbouncer_entry)
  cached "$entry" "building image localhost/pgbouncer:1 from Debian $PGBOUNCER_SUITE (usually 15 to 25 s)" build_pgbouncer
  IMAGE_ARCHIVES+=("$CACHE/$entry"/*.tar)
  program=$(versitygw_binary)
  entry=$(versitygw_image_entry)
  cached "$entry" "building image localhost/versitygw:1 (usually 1 s)" build_versitygw_image "$program"
  IMAGE_ARCHIVES+=("$CACHE/$entry"/*.tar)
  program=$(gcs_binary)
  entry=$(gcs_image_entry)
  cached "$entry" "building image localhost/fake-gcs-server:1 (usually 1 s)" build_gcs_image "$program"
  IMAGE_ARCHIVES+=("$CACHE/$entry"/*.tar)
  program=$(azurite_folder)
  entry=$(azurite_image_entry)
  cached "$entry" "building image localhost/azurite:1 from Debian $AZURITE_SUITE (usually 20 s)" build_azurite_image "$program"
  IMAGE_ARCHIVES+=("$CACHE/$entry"/*.tar)
}
