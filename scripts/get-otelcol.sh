#!/bin/sh
# Brings the OpenTelemetry Collector for the end-to-end tests and prints the path of its binary.
# Built with Go from test/harness/otelcol: the components that otel-config/ names, as far as they can be had as
# modules, in versions pinned by its go.mod and go.sum; without Go, taken out of the Docker image of the same release,
# which has all of them. Kept in ${HOPSPAN_CACHE:-<checkout>/.cache}/otelcol-VERSION-DIGEST/otelcol, where DIGEST is
# that of what it is built from; a second run only prints the path. A first build takes some minutes
# (OTELCOL_BUILD_JOBS limits its parallelism).
# With CI=true, where nothing may be skipped, a Debian-like machine with neither gets Go from its distribution.
# Exit: 0 it is there, 4 this machine can neither build nor fetch it, 1 the build or the download failed.
set -eu

version=0.155.0
image=otel/opentelemetry-collector-contrib:$version

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
module=$root/test/harness/otelcol
cache=${HOPSPAN_CACHE:-$root/.cache}
digest=$(cat "$module/go.mod" "$module/go.sum" "$module/main.go" | sha256sum | cut -c1-12)
folder=$cache/otelcol-$version-$digest
binary=$folder/otelcol

if [ -x "$binary" ]; then
  echo "$binary"
  exit 0
fi

wanted=$(sed -n 's/^go //p' "$module/go.mod")
. "$root/scripts/go-toolchain.sh"

if go_is_new_enough || { ! docker_answers && fetch_go; }; then
  prepare
  echo "get-otelcol: building the Collector $version, which takes some minutes the first time" >&2
  # A copy, so that Go never writes into the checkout. Nobody debugs it: without DWARF it is built sooner.
  cp "$module/go.mod" "$module/go.sum" "$module/main.go" "$work/"
  (cd "$work" && GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -p "${OTELCOL_BUILD_JOBS:-2}" -trimpath \
    -buildvcs=false -gcflags=all=-dwarf=false -ldflags '-s -w' -o "$work/otelcol" .) >&2
elif docker_answers; then
  prepare
  echo "get-otelcol: taking the Collector out of the image $image" >&2
  take_out_of_image "$image" "$work/otelcol"
else
  echo "get-otelcol: the Collector needs Go $wanted or newer to be built, or Docker to be fetched; this machine has neither." >&2
  exit 4
fi
"$work/otelcol" components >/dev/null
mv -f "$work/otelcol" "$binary"
echo "$binary"
