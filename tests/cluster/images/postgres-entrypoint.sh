#!/bin/bash
# Entry point of the test images for PostgreSQL: the part of the official
# image's entry point that tests and examples use, and nothing it does not have.
#
#   POSTGRES_PASSWORD, POSTGRES_PASSWORD_FILE  password of the superuser; needed unless the method is trust
#   POSTGRES_USER                              the superuser (default: postgres)
#   POSTGRES_DB                                a database to create (default: the user's name)
#   POSTGRES_HOST_AUTH_METHOD                  for connections over the network (default: scram-sha-256)
#   POSTGRES_INITDB_ARGS                       more arguments for initdb
#   /docker-entrypoint-initdb.d/*.sql, *.sh    run once, in order, after initdb
#
# Like there, the server is set up only when PGDATA is empty, and any command
# other than "postgres" runs as it is.
set -euo pipefail

fail() {
  printf 'docker-entrypoint.sh: error: %s\n' "$*" >&2
  exit 1
}

run_as_superuser() { psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "${1:-$POSTGRES_DB}" "${@:2}"; }

run_init_file() {
  printf 'docker-entrypoint.sh: running %s\n' "$1"
  case $1 in
    *.sh) if [ -x "$1" ]; then "$1"; else
      # shellcheck disable=SC1090
      . "$1"
    fi ;;
    *.sql) run_as_superuser "$POSTGRES_DB" --file "$1" ;;
    *.sql.gz) gunzip -c "$1" | run_as_superuser "$POSTGRES_DB" ;;
    *) printf 'docker-entrypoint.sh: ignoring %s\n' "$1" ;;
  esac
}

# A mount point that belongs to root is no place for initdb, which wants to own
# its folder. (The official image refuses it: there, mount the parent.)
choose_data_directory() {
  if [ -d "$PGDATA" ] && [ ! -O "$PGDATA" ] && [ ! -e "$PGDATA/PG_VERSION" ]; then
    printf 'docker-entrypoint.sh: %s belongs to another user; using %s/pgdata\n' "$PGDATA" "$PGDATA"
    PGDATA=$PGDATA/pgdata
  fi
  export PGDATA
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA"
}

set_up() {
  POSTGRES_USER=${POSTGRES_USER:-postgres}
  POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}
  export POSTGRES_USER POSTGRES_DB
  local password=${POSTGRES_PASSWORD:-} method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256} initdb_args=() file
  [ -z "${POSTGRES_PASSWORD_FILE:-}" ] || password=$(< "$POSTGRES_PASSWORD_FILE")
  [ -n "$password" ] || [ "$method" = trust ] \
    || fail 'the database is empty and no superuser password is given: set POSTGRES_PASSWORD'

  read -ra initdb_args <<< "${POSTGRES_INITDB_ARGS:-}"
  if [ -n "$password" ]; then
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$password") "${initdb_args[@]}"
  else
    initdb --username="$POSTGRES_USER" "${initdb_args[@]}"
  fi
  printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"

  # Not reachable over the network before it is complete.
  PGUSER=$POSTGRES_USER PGPASSWORD=$password pg_ctl -w start -o "-c listen_addresses='' $1"
  if [ "$POSTGRES_DB" != postgres ]; then
    run_as_superuser postgres --set db="$POSTGRES_DB" <<< 'CREATE DATABASE :"db";'
  fi
  for file in /docker-entrypoint-initdb.d/*; do
    [ ! -e "$file" ] || run_init_file "$file"
  done
  pg_ctl -m fast -w stop
  printf 'docker-entrypoint.sh: the database is set up; starting it\n'
}

case ${1:-} in
  -*) set -- postgres "$@" ;;
esac
if [ "${1:-}" = postgres ]; then
  choose_data_directory
  [ -s "$PGDATA/PG_VERSION" ] || set_up "$([ $# -lt 2 ] || printf '%q ' "${@:2}")"
fi
exec "$@"
