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

# True when the Go found is at least the version that go.mod names.
go_is_new_enough() {
  command -v go >/dev/null 2>&1 || return 1
  found=$(GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//')
  [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ]
}

# Debian's Go may be too old for Jaeger, but fetches and verifies the one that is not: toolchains are Go modules.
go_toolchain=go1.26.8
fetch_go() {
  [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
  echo "get-jaeger: fetching $go_toolchain" >&2
  command -v go >/dev/null 2>&1 || DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends golang-go >&2 ||
    { apt-get update >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends golang-go >&2; } ||
    return 1
  folder_of_go=$(go mod download -json "golang.org/toolchain@v0.0.1-$go_toolchain.linux-$(go env GOARCH)" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  [ -n "$folder_of_go" ] || return 1
  # A module's files come without the permission to run them.
  chmod +x "$folder_of_go"/bin/* "$folder_of_go"/pkg/tool/*/*
  PATH=$folder_of_go/bin:$PATH
  go_is_new_enough
}

docker_answers() {
  command -v docker >/dev/null 2>&1 && docker version >/dev/null 2>&1
}

# Goes through a temporary folder in the same file system: the rename is atomic.
prepare() {
  mkdir -p "$folder"
  work=$(mktemp -d "$folder/.build.XXXXXX")
  trap 'rm -rf "$work"' EXIT INT TERM
}

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
  container=$(docker create "$image")
  entry=$(docker inspect --format '{{index .Config.Entrypoint 0}}' "$container")
  docker cp --follow-link "$container:$entry" "$work/jaeger" >&2 || {
    docker rm "$container" >/dev/null
    exit 1
  }
  docker rm "$container" >/dev/null
  chmod 755 "$work/jaeger"
else
  echo "get-jaeger: Jaeger needs Go $wanted or newer to be built, or Docker to be fetched; this machine has neither." >&2
  exit 4
fi
"$work/jaeger" version >/dev/null
mv -f "$work/jaeger" "$binary"
echo "$binary"
