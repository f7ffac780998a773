# shellcheck shell=bash disable=SC2154 # $program, $folder and $kind come from outside
# Starts the servers that do not make a bucket by themselves, and makes one: before
# anybody else can reach them. serve and tests/cluster/lib/images.sh say what
# $program, $folder and $kind are.

S3_KEY=pgbackup
S3_SECRET=pgbackup-secret
AZURE_ACCOUNT=devstoreaccount1
AZURE_KEY=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==

# until_it_answers COMMAND...: for a server that starts as process $server.
until_it_answers() {
  local tries
  trap 'kill "$server" 2> /dev/null' EXIT # should the rest fail
  for ((tries = 0; tries < 200; tries++)); do
    ! "$@" > /dev/null 2>&1 || return 0
    kill -0 "$server" 2> /dev/null || break
    sleep 0.05
  done
  die "the server did not start" "its log is $folder/prepare.log"
}

end_server() {
  kill "$server"
  wait "$server" || true
  trap - EXIT
}

# versitygw ADDRESS [FLAG...]
versitygw() {
  local address=$1
  shift
  # The environment, for every user of the machine can read arguments.
  export ROOT_ACCESS_KEY=$S3_KEY ROOT_SECRET_KEY=$S3_SECRET
  # Called as the last thing, or in a process of its own.
  exec "$program" --port "$address" --region us-east-1 --iam-dir "$folder/accounts" --health /health "$@" \
    posix --versioning-dir "$folder/versions" "$folder/buckets"
}

# prepare_s3: makes the bucket as its owner would, but before anybody else can
# reach the server: on a socket that has no file and so no limit to the folder's name.
prepare_s3() {
  local socket=pgbackup-stores-$$ days=${SERVE_LOCK_DAYS:-1} lock=
  rm -rf "$folder"/{accounts,buckets,versions}
  mkdir "$folder"/{accounts,buckets,versions}
  cp "$VERSITYGW_SOURCE/users.json" "$folder/accounts/users.json"
  versitygw "@$socket" --quiet > "$folder/prepare.log" 2>&1 &
  server=$!
  local request=(curl --silent --show-error --fail-with-body --noproxy '*' --abstract-unix-socket "$socket"
    --aws-sigv4 aws:amz:us-east-1:s3 --user "$S3_KEY:$S3_SECRET" --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD')
  until_it_answers "${request[@]}" http://localhost/health
  [ "$kind" != s3-locked ] || request+=(--header 'x-amz-bucket-object-lock-enabled: true')
  "${request[@]}" --request PUT http://localhost/backups
  "${request[@]}" --request PUT --data-binary "@$VERSITYGW_SOURCE/writer-policy.json" 'http://localhost/backups?policy='
  if [ "$kind" = s3-locked ] && [ "$days" != 0 ]; then
    lock="<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>$days</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
    "${request[@]}" --request PUT --data-binary "$lock" --header "content-md5: $(printf %s "$lock" | openssl md5 -binary | base64)" 'http://localhost/backups?object-lock='
  fi
  end_server
}

# azurite HOST PORT
azurite() {
  # The account comes from the path, also when the host is a name such as store.namespace.svc.
  exec node "$program/$AZURITE_MAIN" --blobHost "$1" --blobPort "$2" --location "$folder/blobs" --silent --disableTelemetry --disableProductStyleUrl
}

# prepare_azure: makes the container on a port that nobody knows yet. The signature
# is "Shared Key" of https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
prepare_azure() {
  local date version=2021-12-02 key signature url
  rm -rf "$folder/blobs"
  azurite 127.0.0.1 0 > "$folder/prepare.log" 2>&1 &
  server=$!
  until_it_answers grep 'successfully listens on' "$folder/prepare.log"
  url=$(sed -n 's/.*successfully listens on //p' "$folder/prepare.log")
  date=$(LC_ALL=C date --utc '+%a, %d %b %Y %H:%M:%S GMT')
  key=$(base64 --decode <<< "$AZURE_KEY" | od -An -v -tx1 | tr -d ' \n')
  signature=$(printf 'PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:%s\nx-ms-version:%s\n/%s/%s/backups\nrestype:container' \
    "$date" "$version" "$AZURE_ACCOUNT" "$AZURE_ACCOUNT" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)
  curl --silent --show-error --fail-with-body --noproxy '*' --request PUT --header "x-ms-date: $date" --header "x-ms-version: $version" \
    --header "Authorization: SharedKey $AZURE_ACCOUNT:$signature" "$url/$AZURE_ACCOUNT/backups?restype=container"
  end_server
}
