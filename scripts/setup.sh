#!/usr/bin/env bash
# Installs what is missing to build, test and run Maily on a bare Debian 12 machine. Does nothing if nothing is missing.
set -euo pipefail

packages=(
  g++ cmake ninja-build ccache mold pkg-config git python3 xz-utils curl ca-certificates
  librocksdb-dev libboost1.81-dev libprotobuf-dev protobuf-compiler libssl-dev libzstd-dev libxxhash-dev libjemalloc-dev libsqlite3-dev sqlite3 libpq-dev
  nlohmann-json3-dev libspdlog-dev libfmt-dev libyaml-cpp-dev libcli11-dev libicu-dev libcsv-dev prometheus-cpp-dev
  libgtest-dev libgmock-dev librdkafka-dev libgmime-3.0-dev libc-ares-dev libcurl4-openssl-dev
)
[ "${1:-}" = "--bench" ] && packages+=(postfix wrk openjdk-17-jdk-headless maven)
# Node as others pack it brings its npm along.
[[ "${1:-}" = "--bench" || "${1:-}" = "--mjml" ]] && ! command -v npm >/dev/null && packages+=(nodejs npm)
[ "${1:-}" = "--kafka" ] && packages+=(default-jre-headless maven kcat python3-confluent-kafka)
[ "${1:-}" = "--mail" ] && packages+=(python3-aiosmtpd openssl python3-dkim python3-nacl libopendkim11 faketime clamav)
[ "${1:-}" = "--lint" ] && packages+=(clang-format-19)
[ "${1:-}" = "--fuzz" ] && packages+=(clang-19 libclang-rt-19-dev)
if [ "${1:-}" = "--postgres" ]; then packages+=(postgresql-15); fi
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
# The peer of ./dev bench liquid, pinned; its files stay inside build/.
install_liquidjs() {
  [ "$1" = "--bench" ] || return 0
  local folder=build/bench/npm version=10.30.1
  grep -qs "\"version\": \"$version\"" "$folder/node_modules/liquidjs/package.json" && return 0
  mkdir -p "$folder"
  npm install --silent --no-audit --no-fund --no-save --prefix "$folder" "liquidjs@$version" >&2
}
# The compiler of MJML, pinned: mjml_modules is build/mjml/npm/node_modules.
install_mjml() {
  [ "$1" = "--mjml" ] || return 0
  local folder=build/mjml/npm version=4.15.3
  grep -qs "\"version\": \"$version\"" "$folder/node_modules/mjml/package.json" && return 0
  mkdir -p "$folder"
  npm install --silent --no-audit --no-fund --no-save --prefix "$folder" "mjml@$version" >&2
}
if [ ${#missing[@]} -eq 0 ]; then install_liquidjs "${1:-}"; install_mjml "${1:-}"; exit 0; fi
echo "setup: installing ${missing[*]}" >&2
sudo=""
if [ "$(id -u)" -ne 0 ]; then sudo="sudo"; fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
if [[ " ${missing[*]} " == *" postgresql-15 "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
  # Tests start servers of their own (scripts/postgres.sh): the package shall not start one for the system.
  $sudo mkdir -p /etc/postgresql-common
  echo "create_main_cluster = false" | $sudo tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
$sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
install_liquidjs "${1:-}"
install_mjml "${1:-}"
