#!/usr/bin/env bash
# A PostgreSQL server of one's own, for tests and for trying it out: own data directory, a private Unix socket, no TCP.
#
#   scripts/postgres.sh start [--dir D] [--no-fsync]   starts one (or finds it running) and prints its connection string
#   scripts/postgres.sh stop [--dir D]                 stops it and removes D
#
# D (default: /tmp/maily-postgres-<uid>) holds data and socket and is readable by its owner only: whoever may read it is superuser there.
# Root cannot run PostgreSQL: then the server runs as the user postgres, or nobody. Exit 77: PostgreSQL is not installed.
set -euo pipefail

usage() { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }

action="${1:-}"; shift || usage
dir="/tmp/maily-postgres-$(id -u)"
fsync=on
while [ $# -gt 0 ]; do
  case "$1" in
    --dir) dir="${2:?--dir needs a directory}"; shift 2 ;;
    --no-fsync) fsync=off; shift ;;
    *) usage ;;
  esac
done
case "$dir" in /*) ;; *) dir="$PWD/$dir" ;; esac

bin=""
for candidate in /usr/lib/postgresql/*/bin; do
  if [ -x "$candidate/initdb" ]; then bin="$candidate"; fi
done
if [ -z "$bin" ]; then
  echo "postgres.sh: PostgreSQL is not installed (scripts/setup.sh --postgres)" >&2
  exit 77
fi

as=()
if [ "$(id -u)" -eq 0 ]; then
  user=nobody
  if id postgres >/dev/null 2>&1; then user=postgres; fi
  as=(runuser -u "$user" --)
fi
run() { (cd / && "${as[@]}" "$@"); }
running() { [ -d "$dir/data" ] && run "$bin/pg_ctl" -D "$dir/data" status >/dev/null 2>&1; }
url() { echo "postgresql:///maily?host=$dir&user=maily"; }

case "$action" in
  start)
    if running; then url; exit 0; fi
    if [ -e "$dir" ] && [ ! -e "$dir/made-by-maily" ] && [ -n "$(ls -A "$dir" 2>/dev/null)" ]; then
      echo "postgres.sh: $dir is not empty, and nothing that this script made" >&2
      exit 1
    fi
    if [ ${#dir} -gt 85 ]; then  # 107 bytes with the name of the socket
      echo "postgres.sh: $dir is too long for a Unix socket" >&2
      exit 1
    fi
    if [ ! -e "$dir/data/postgresql.conf" ]; then
      rm -rf "$dir"
      mkdir -m 0700 -p "$dir"
      touch "$dir/made-by-maily"
      touch "$dir/log"
      if [ ${#as[@]} -gt 0 ]; then chown -R "$user" "$dir"; fi
      run "$bin/initdb" -D "$dir/data" -U maily -A trust -E UTF8 --locale=C.UTF-8 --no-sync --no-instructions >"$dir/log" 2>&1 \
        || { cat "$dir/log" >&2; rm -rf "$dir"; exit 1; }
      run sh -c 'cat >>"$0"' "$dir/data/postgresql.conf" <<SETTINGS
listen_addresses = ''
unix_socket_directories = '$dir'
unix_socket_permissions = 0700
fsync = $fsync
shared_buffers = 128MB
max_wal_size = 2GB
max_connections = 100
SETTINGS
    fi
    run "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 60 start >/dev/null 2>&1 || { tail -n 20 "$dir/log" >&2; exit 1; }
    if ! run "$bin/psql" -XAtq -h "$dir" -U maily -d postgres -c "SELECT 1 FROM pg_database WHERE datname = 'maily'" | grep -q 1; then
      run "$bin/createdb" -h "$dir" -U maily maily
    fi
    url
    ;;
  stop)
    if running; then run "$bin/pg_ctl" -D "$dir/data" -m fast -w stop >/dev/null; fi
    if [ -e "$dir/made-by-maily" ]; then rm -rf "$dir"; fi
    ;;
  *) usage ;;
esac
