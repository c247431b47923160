# shellcheck shell=bash
# What the scripts beside this file share; not run by itself.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
CLUSTER=${CLUSTER_NAME:-scoped-memcached}
EXAMPLE=examples/memcached_operator
IMAGE=docker.io/library/scoped-memcached-operator:0.1.0
SYSTEM=scoped-memcached-operator-system
NAME=scoped-memcached-operator-controller-manager

# The oldest releases that these scripts are written for.
KIND_MIN=0.23 # its clusters are Kubernetes 1.30, which the operator's chart asks for
KUBECTL_MIN=1.28
DOCKER_MIN=23.0
PODMAN_MIN=4.0

say() { printf '\n%s\n' "$*"; }
fail() {
  printf 'kind: %s\n' "$*" >&2
  exit 1
}
# Show a command as one would type it, and run it.
run() {
  printf '  $ %s\n' "$*"
  "$@"
}
k() { kubectl --context "kind-$CLUSTER" "$@"; }
# The same, shown without the context.
show() {
  printf '  $ kubectl %s\n' "$*"
  k "$@"
}

# at_least PROGRAM FOUND WANTED
at_least() {
  [ "$(printf '%s\n%s\n' "$3" "$2" | sort -V | head -n 1)" = "$3" ] ||
    fail "$1 $2 is too old; these scripts need $1 $3 or newer"
}

# The first number with dots of what a program prints.
number() { grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1; }

need() {
  command -v "$1" >/dev/null || fail "$1 is not here; install it: $2"
}

# Find the container engine: docker, or podman where there is no docker, or what CONTAINER_ENGINE names.
choose_engine() {
  local version
  ENGINE=${CONTAINER_ENGINE:-}
  if [ -z "$ENGINE" ]; then
    if command -v docker >/dev/null; then ENGINE=docker; else ENGINE=podman; fi
    command -v "$ENGINE" >/dev/null ||
      fail "neither docker nor podman is here; install one: https://docs.docker.com/get-docker or https://podman.io"
  fi
  command -v "$ENGINE" >/dev/null || fail "CONTAINER_ENGINE names $ENGINE, which is not here"
  "$ENGINE" info >/dev/null 2>&1 ||
    fail "$ENGINE is here but its engine does not answer: start it (\`systemctl start $ENGINE\`, or its desktop), and see that you may use it (\`$ENGINE info\`)"
  # Some systems have podman under the name of docker.
  version=$("$ENGINE" --version)
  case $version in
    podman*)
      export KIND_EXPERIMENTAL_PROVIDER=podman
      at_least podman "$(number <<<"$version")" "$PODMAN_MIN"
      ;;
    *) at_least docker "$(number <<<"$version")" "$DOCKER_MIN" ;;
  esac
}

check_programs() {
  need kind "https://kind.sigs.k8s.io/docs/user/quick-start"
  need kubectl "https://kubernetes.io/docs/tasks/tools"
  at_least kind "$(kind version | number)" "$KIND_MIN"
  at_least kubectl "$(kubectl version --client | number)" "$KUBECTL_MIN"
  choose_engine
}

has_cluster() { kind get clusters 2>/dev/null | grep -qx "$CLUSTER"; }
need_cluster() { has_cluster || fail "there is no cluster $CLUSTER; make one: kind/setup.sh"; }

# Build the operator's image and load it into the cluster. An archive works with docker and podman alike.
build_and_load() {
  run "$ENGINE" build --file "$EXAMPLE/Dockerfile" --tag "$IMAGE" .
  ARCHIVES=$(mktemp -d)
  trap 'rm -rf "$ARCHIVES"' EXIT
  run "$ENGINE" save --output "$ARCHIVES/operator.tar" "$IMAGE"
  run kind load image-archive "$ARCHIVES/operator.tar" --name "$CLUSTER"
}

deploy() {
  show apply -k "$EXAMPLE/overlays/default"
  show rollout status "deployment/$NAME" -n "$SYSTEM" --timeout=120s || {
    k get pods -n "$SYSTEM" -o wide >&2
    k get events -n "$SYSTEM" --sort-by=.lastTimestamp >&2
    fail "the operator did not become ready in two minutes; what its Pod and the cluster say stands above"
  }
  say "The operator runs: $(pod_name)"
}

pod_name() {
  k get pods -n "$SYSTEM" -l app.kubernetes.io/name=scoped-memcached-operator \
    --field-selector=status.phase=Running -o jsonpath='{.items[0].metadata.name}'
}
