#!/bin/sh
# Brings Jaeger v2 (all in one, no web UI) for the end-to-end test and prints the path of its binary.
# Built with Go from the versions pinned in test/harness/jaeger/go.mod and go.sum; without Go, taken out of the
# Docker image of the same release. Kept in ${HOPSPAN_CACHE:-<checkout>/.cache}/jaeger-VERSION/jaeger; a second
# run only prints the path. A first build takes some minutes (JAEGER_BUILD_JOBS limits its parallelism).
# With CI=true, where nothing may be skipped, a Debian-like machine with neither gets Go from its distribution.
# Exit: 0 it is there, 4 this machine can neither build nor fetch it, 1 the build or the download failed.
set -eu

version=v1.76.0 # the Go module's version; the same commit is released as 2.13.0
image=jaegertracing/jaeger:2.13.0

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
module=$root/test/harness/jaeger
cache=${HOPSPAN_CACHE:-$root/.cache}
folder=$cache/jaeger-$version
binary=$folder/jaeger

if [ -x "$binary" ]; then
  echo "$binary"
  exit 0
fi

wanted=$(sed -n 's/^go //p' "$module/go.mod")
. "$root/scripts/go-toolchain.sh"

if go_is_new_enough || { ! docker_answers && fetch_go; }; then
  prepare
  echo "get-jaeger: building Jaeger $version, which takes some minutes the first time" >&2
  # `go install` refuses Jaeger's replace directives; as a tool of a module of our own it builds.
  # A copy, so that Go never writes into the checkout.
  cp "$module/go.mod" "$module/go.sum" "$work/"
  (cd "$work" && GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -p "${JAEGER_BUILD_JOBS:-2}" -trimpath \
    -ldflags '-s -w' -o "$work/jaeger" github.com/jaegertracing/jaeger/cmd/jaeger) >&2
elif docker_answers; then
  prepare
  echo "get-jaeger: taking Jaeger out of the image $image" >&2
  take_out_of_image "$image" "$work/jaeger"
else
  echo "get-jaeger: Jaeger needs Go $wanted or newer to be built, or Docker to be fetched; this machine has neither." >&2
  exit 4
fi
"$work/jaeger" version >/dev/null
mv -f "$work/jaeger" "$binary"
echo "$binary"
