#!/usr/bin/env bash
# Delete the cluster with everything in it.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
check_programs
if has_cluster; then
  run kind delete cluster --name "$CLUSTER"
  say "The cluster $CLUSTER is gone."
else
  say "There is no cluster $CLUSTER; nothing to do."
fi
