#!/bin/sh
# Builds deploy/kubernetes with kustomize and checks each object by the API description of a Kubernetes release: types,
# required fields, and no field that it does not know. Needs Go and the network the first time, and keeps what it fetched
# in ${HOPSPAN_CACHE:-<checkout>/.cache}/kubernetes-VERSION. With CI=true a Debian-like machine without Go gets it from its
# distribution. Exit: 0 all valid, 1 something is not, 3 Go is missing.
set -eu

version=1.34.2
kubeconform=v0.7.0
kustomize=v5.7.1

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
folder=${HOPSPAN_CACHE:-$root/.cache}/kubernetes-$version
node=${NODE:-node}

# What kubeconform and kustomize ask for.
wanted=1.24
. "$root/scripts/go-toolchain.sh"
have_go() {
  go_is_new_enough || fetch_go || {
    echo "check-kubernetes: Go $wanted or newer is needed to build kubeconform and kustomize: install it from https://go.dev/dl." >&2
    exit 3
  }
}
install() {
  [ -x "$folder/bin/${1##*/}" ] && return
  have_go
  GOTOOLCHAIN=local GOBIN=$folder/bin CGO_ENABLED=0 go install -ldflags '-s -w' "$2" >&2
}
mkdir -p "$folder"
install kubeconform "github.com/yannh/kubeconform/cmd/kubeconform@$kubeconform"
install kustomize "sigs.k8s.io/kustomize/kustomize/v5@$kustomize"
if [ ! -e "$folder/schemas" ]; then
  prepare
  have_go
  module=$(cd "$work" && go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')
  # shellcheck disable=SC2086 # make gives a pattern
  $node "$root/scripts/kubernetes-schemas.ts" "$module/api/openapi-spec/swagger.json" "$work"
  mv "$work" "$folder/schemas"
fi

built=$folder/built.yaml
"$folder/bin/kustomize" build "$root/deploy/kubernetes" >"$built"
"$folder/bin/kubeconform" -strict -verbose -summary -kubernetes-version "$version" \
  -schema-location "$folder/schemas/{{.ResourceKind}}{{.KindSuffix}}.json" "$built"
