#!/usr/bin/env bash
# A real Kafka (KRaft, one JVM a broker) on loopback, for tests and for people who try it.
#
#   scripts/kafka.sh fetch                                                 the broker's jars, once, into the cache
#   scripts/kafka.sh start [--dir D] [--port P] [--secure] [--full] [--while PID]   one broker; prints its bootstrap address
#   scripts/kafka.sh cluster 3 [--dir D] [--while PID]                     three brokers; prints their addresses
#   scripts/kafka.sh node K kill|start [--dir D]                           kill -9 of broker K, and its restart on the same port and data
#   scripts/kafka.sh stop [--dir D]                                        ends the brokers that were started in D and removes D
#
# --while PID stops it when that process is gone. --secure adds a listener with TLS and SASL/PLAIN (users admin, writer, reader; the
# password is the name) and switches authorisation on: D/secure holds its address and certificate, D/client.properties what a client needs
# to connect as admin. Jars: ${XDG_CACHE_HOME:-~/.cache}/maily/kafka-<version>, by Maven. Java 17 or newer. A broker starts fast and has
# 256 MB of heap, but runs slowly; --full gives it what Kafka's own start script does (1 GB, G1, all compilers, default threads): for
# measurements.
set -euo pipefail

version=4.1.1
cache="${XDG_CACHE_HOME:-$HOME/.cache}/maily/kafka-$version"
dir="${TMPDIR:-/tmp}/maily-kafka-$(id -u)"
port=0
secure=no
full=no
while_pid=
say() { echo "kafka.sh: $*" >&2; }
fail() { say "$*"; exit 1; }

verb=${1:-help}; [ $# -gt 0 ] && shift
words=()
while [ $# -gt 0 ]; do
  case $1 in
    --dir) dir=$2; shift 2 ;;
    --port) port=$2; shift 2 ;;
    --secure) secure=yes; shift ;;
    --full) full=yes; shift ;;
    --while) while_pid=$2; shift 2 ;;
    *) words+=("$1"); shift ;;
  esac
done

fetch() {
  [ -f "$cache/complete" ] && return 0
  command -v java >/dev/null || fail "Java is missing: scripts/setup.sh --kafka"
  command -v mvn >/dev/null || fail "Maven is missing: scripts/setup.sh --kafka"
  local work; work=$(mktemp -d)
  cat >"$work/pom.xml" <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>maily</groupId><artifactId>broker</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version></dependency>
  </dependencies>
</project>
XML
  say "fetching Kafka $version"
  mkdir -p "$cache"
  if ! mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$cache/jars" >"$work/log" 2>&1; then
    cat "$work/log" >&2; rm -rf "$work"; fail "Maven could not fetch the jars"
  fi
  rm -rf "$work"
  touch "$cache/complete"
}

java_run() { java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto "$@"; }

free_ports() {
  python3 - "$1" <<'PY'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for each in held:
    each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in held))
PY
}

certificate() {  # a self-signed one for 127.0.0.1, as PEM for the broker and for clients
  openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$dir/secure/key.pem" -out "$dir/secure/ca.pem" 2>/dev/null
  cat "$dir/secure/key.pem" "$dir/secure/ca.pem" >"$dir/secure/broker.pem"
}

configure() {  # configure NODE BROKER_PORT CONTROLLER_PORT VOTERS COPIES [SECURE_PORT]
  local home=$dir/$1 listeners="PLAINTEXT://127.0.0.1:$2" map="PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
  mkdir -p "$home"
  if [ -n "${6:-}" ]; then listeners+=",SECURE://127.0.0.1:$6"; map+=",SECURE:SASL_SSL"; fi
  cat >"$home/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=$1
controller.quorum.voters=$4
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listeners=$listeners,CONTROLLER://127.0.0.1:$3
advertised.listeners=$listeners
listener.security.protocol.map=$map
log.dirs=$home/data
auto.create.topics.enable=false
default.replication.factor=$5
offsets.topic.replication.factor=$5
transaction.state.log.replication.factor=$5
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=$5
share.coordinator.state.topic.min.isr=1
offsets.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
replica.lag.time.max.ms=5000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
PROPERTIES
  if [ "$full" = no ]; then
    cat >>"$home/server.properties" <<PROPERTIES
num.network.threads=2
num.io.threads=2
background.threads=2
log.cleaner.dedupe.buffer.size=4194304
PROPERTIES
  fi
  if [ -n "${6:-}" ]; then
    local users='user_admin="admin" user_writer="writer" user_reader="reader"'
    cat >>"$home/server.properties" <<PROPERTIES
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location=$dir/secure/broker.pem
listener.name.secure.sasl.enabled.mechanisms=PLAIN
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required $users;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:admin
allow.everyone.if.no.acl.found=false
PROPERTIES
  fi
  cat >"$home/log4j2.properties" <<PROPERTIES
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
logger.kafka.name=kafka.server
logger.kafka.level=info
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c{1} %m%n
PROPERTIES
  local log; log=$(java_run -Xmx128m -cp "$cache/jars/*" kafka.tools.StorageTool format -t bWFpbHktdGVzdC1icm9rZXI -c "$home/server.properties" 2>&1) || fail "format: $log"
}

launch() {  # launch NODE: in a session of its own, so that a terminal's Ctrl-C is not meant for it
  local home=$dir/$1 machine=(-Xms128m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto)
  if [ -e "$dir/full" ]; then
    machine=(-server -Xms1g -Xmx1g -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent)
  fi
  setsid java "${machine[@]}" -Dlog4j2.configurationFile="$home/log4j2.properties" \
    -cp "$cache/jars/*" kafka.Kafka "$home/server.properties" >"$home/log" 2>&1 </dev/null &
  echo $! >"$home/pid"
}

await() {  # await NODE: until it serves
  local home=$dir/$1
  for _ in $(seq 1200); do
    grep -q 'Kafka Server started' "$home/log" && return 0
    kill -0 "$(cat "$home/pid")" 2>/dev/null || { tail -20 "$home/log" >&2; fail "broker $1 ended"; }
    sleep 0.05
  done
  tail -20 "$home/log" >&2
  fail "broker $1 did not start in 60 s"
}

make() {  # make COUNT
  local count=$1 voters="" addresses="" node ports
  fetch
  [ -e "$dir" ] && fail "$dir exists: stop it first, or give --dir"
  mkdir -p "$dir"; chmod 700 "$dir"
  [ "$full" = no ] || touch "$dir/full"
  read -ra ports <<<"$(free_ports $((2 * count + 1)))"
  [ "$port" != 0 ] && ports[0]=$port
  for node in $(seq "$count"); do
    voters+="${voters:+,}$node@127.0.0.1:${ports[2 * node - 1]}"
    addresses+="${addresses:+,}127.0.0.1:${ports[2 * node - 2]}"
  done
  local secure_port=""
  if [ "$secure" = yes ]; then
    secure_port=${ports[2 * count]}
    mkdir "$dir/secure"
    certificate
    echo "127.0.0.1:$secure_port" >"$dir/secure/address"
    printf 'security.protocol=sasl_ssl\nsasl.mechanism=PLAIN\nsasl.username=admin\nsasl.password=admin\nssl.ca.location=%s\n' \
      "$dir/secure/ca.pem" >"$dir/client.properties"
  fi
  local formats=()
  for node in $(seq "$count"); do
    configure "$node" "${ports[2 * node - 2]}" "${ports[2 * node - 1]}" "$voters" "$((count < 3 ? 1 : 3))" "$secure_port" & formats+=($!)
  done
  for node in "${formats[@]}"; do wait "$node"; done
  for node in $(seq "$count"); do launch "$node"; done
  for node in $(seq "$count"); do await "$node"; done
  if [ -n "$while_pid" ]; then
    setsid bash -c 'while kill -0 "$1" 2>/dev/null && [ -d "$2" ]; do sleep 1; done; "$0" stop --dir "$2"' \
      "$(realpath "$0")" "$while_pid" "$dir" >/dev/null 2>&1 </dev/null &
  fi
  echo "$addresses" | tee "$dir/address"
}

stop() {
  local pid_file pid
  [ -d "$dir" ] || return 0
  for pid_file in "$dir"/*/pid; do [ -f "$pid_file" ] && kill "$(cat "$pid_file")" 2>/dev/null || true; done
  for pid_file in "$dir"/*/pid; do
    [ -f "$pid_file" ] || continue
    pid=$(cat "$pid_file")
    for _ in $(seq 200); do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
    kill -9 "$pid" 2>/dev/null || true
  done
  rm -rf "$dir"
}

node() {  # node K kill|start
  [ -f "$dir/$1/pid" ] || fail "no broker $1 in $dir"
  case $2 in
    kill) kill -9 "$(cat "$dir/$1/pid")" 2>/dev/null || true ;;
    start) launch "$1"; await "$1" ;;
    *) fail "node K kill|start" ;;
  esac
}

case $verb in
  fetch) fetch ;;
  start) make 1 ;;
  cluster) make "${words[0]:-3}" ;;
  node) [ ${#words[@]} -eq 2 ] || fail "node K kill|start"; node "${words[@]}" ;;
  stop) stop ;;
  *) sed -n '2,18s/^# \{0,1\}//p' "$0"; [ "$verb" = help ] || exit 2 ;;
esac
