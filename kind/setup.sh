#!/usr/bin/env bash
# A new cluster with the operator in it; an older one of this name is deleted. CLUSTER_NAME=… for another name.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
check_programs

if has_cluster; then
  say "Deleting the cluster $CLUSTER of an earlier run."
  run kind delete cluster --name "$CLUSTER"
fi
say "Creating the cluster $CLUSTER (a minute or two)."
run kind create cluster --name "$CLUSTER" --config kind/cluster.yaml --wait 180s

say "Building the operator's image and loading it into the cluster."
build_and_load

say "Applying the CRD, the operator's rights, and the operator."
deploy

say "Three namespaces. The admins of two of them let the operator in; the third does not."
for namespace in allowed-one allowed-two denied; do
  k create namespace "$namespace" --dry-run=client -o yaml | k apply -f -
done
for namespace in allowed-one allowed-two; do
  show apply -n "$namespace" -f "$EXAMPLE/config/rbac/rolebinding.yaml"
done

say "Ready. Next: kind/demo.sh, or by hand: kubectl --context kind-$CLUSTER get memcacheds -A"
