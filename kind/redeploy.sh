#!/usr/bin/env bash
# The operator as the checkout has it now: its Deployment is removed, its image built and loaded, and deployed again.
# Custom resources and what they own stay.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
check_programs
need_cluster

say "Removing the operator's Deployment and waiting until its Pod is gone; its Lease is released."
show delete deployment "$NAME" -n "$SYSTEM" --ignore-not-found --timeout=60s
show wait pods -n "$SYSTEM" -l app.kubernetes.io/name=scoped-memcached-operator --for=delete --timeout=60s

say "Building the image and loading it into the cluster."
build_and_load

say "Deploying."
deploy
