#!/usr/bin/env bash
# The main job in ten steps: the operator works where it may, says which right is missing where it may not, and follows
# when rights are granted and revoked, without a restart. Can be run again.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
check_programs
need_cluster
SAMPLES=$EXAMPLE/config/samples
ACCOUNT=system:serviceaccount:$SYSTEM:$NAME

step() { say "$1. $2"; }

# wait_state NAMESPACE NAME STATE SECONDS WHY
wait_state() {
  printf '  … waiting, %s s at most, until %s\n' "$4" "$5"
  k wait "memcached/$2" -n "$1" --for=jsonpath='{.status.state.status}'="$3" --timeout="$4s" >/dev/null || {
    k get "memcached/$2" -n "$1" -o yaml >&2
    fail "$5: not within $4 s; the custom resource stands above, the log: kubectl logs -n $SYSTEM deployment/$NAME"
  }
}
message() { k get "memcached/$2" -n "$1" -o jsonpath='{.status.state.message}'; }
restarts() {
  k get pods -n "$SYSTEM" -l app.kubernetes.io/name=scoped-memcached-operator \
    -o jsonpath='{.items[*].status.containerStatuses[*].restartCount}'
}
may() { k auth can-i "$2" "$3" -n "$1" --as "$ACCOUNT" 2>/dev/null || true; }

k rollout status "deployment/$NAME" -n "$SYSTEM" --timeout=60s >/dev/null ||
  fail "the operator does not run in $CLUSTER; deploy it: kind/redeploy.sh"
# What an earlier run has left.
k delete memcacheds --all -A --timeout=60s >/dev/null ||
  fail "custom resources of an earlier run do not go away; the log: kubectl logs -n $SYSTEM deployment/$NAME"
k delete -n denied -f "$EXAMPLE/config/rbac/rolebinding.yaml" --ignore-not-found >/dev/null

step 1 "The admin's view: in which namespaces may the operator create Deployments?"
for namespace in allowed-one allowed-two denied; do
  printf '  %-12s %s\n' "$namespace" "$(may "$namespace" create deployments.apps)"
done

step 2 "The operator runs in a Pod, as nobody in particular."
show get pods -n "$SYSTEM"
POD=$(pod_name)

step 3 "It leads by a Lease, and watches one kind alone: its own."
show get lease 86f835c3.example.com -n "$SYSTEM"
show logs "$POD" -n "$SYSTEM" --tail=3

step 4 "Somebody wants memcached in two namespaces where the operator may work."
show apply -f "$SAMPLES/memcached-sample-allowed-one.yaml" -f "$SAMPLES/memcached-sample-allowed-two.yaml"

step 5 "For each it opens a cache of that namespace, and only then creates a Deployment."
wait_state allowed-one memcached-sample-allowed-one Succeeded 180 "memcached runs in allowed-one (its image is pulled)"
wait_state allowed-two memcached-sample-allowed-two Succeeded 180 "memcached runs in allowed-two"
k logs "$POD" -n "$SYSTEM" | grep -E '"(cache\.created|watch\.started|cache\.synced|child\.create)"' | tail -n 8 || true

step 6 "The result: 2 servers and 3, and the custom resources say so."
show get deployments -n allowed-one
show get memcacheds -A

step 7 "Somebody wants memcached where the operator may not work. It says which right is missing, and goes on elsewhere."
show apply -f "$SAMPLES/memcached-sample-denied.yaml"
wait_state denied memcached-sample-denied Failed 30 "the custom resource says why not"
printf '  %s\n' "$(message denied memcached-sample-denied)"

step 8 "The admin of that namespace lets it in. Nobody edits or restarts anything."
show apply -n denied -f "$EXAMPLE/config/rbac/rolebinding.yaml"
wait_state denied memcached-sample-denied Succeeded 180 "the operator has noticed, and memcached runs in denied"
show get memcacheds -n denied

step 9 "The admin takes the right away again. The operator forgets what it may no longer see; memcached runs on."
show delete -n denied -f "$EXAMPLE/config/rbac/rolebinding.yaml"
wait_state denied memcached-sample-denied Failed 30 "the operator has noticed"
printf '  %s\n' "$(message denied memcached-sample-denied)"
show get deployments -n denied

step 10 "The custom resource is deleted while the right is revoked: nothing hangs, nothing is left behind."
show delete memcached memcached-sample-denied -n denied --timeout=30s
printf '  … waiting, 60 s at most, until its Deployment is collected\n'
k wait deployment/memcached-sample-denied -n denied --for=delete --timeout=60s >/dev/null
printf '  restarts of the operator since it was deployed: %s\n' "$(restarts)"

say "That was all. kind/teardown.sh removes the cluster."
