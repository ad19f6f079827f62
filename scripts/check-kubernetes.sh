#!/bin/sh
# Builds deploy/kubernetes with kustomize and checks each object by the API description of a Kubernetes release: types,
# required fields, and no field that it does not know. Needs Go and the network the first time, and keeps what it fetched
# in ${HOPSPAN_CACHE:-<checkout>/.cache}/kubernetes-VERSION. Exit: 0 all valid, 1 something is not, 3 Go is missing.
set -eu

version=1.34.2
kubeconform=v0.7.0
kustomize=v5.7.1

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
folder=${HOPSPAN_CACHE:-$root/.cache}/kubernetes-$version
node=${NODE:-node}

command -v go >/dev/null 2>&1 || {
  echo "check-kubernetes: Go is needed to build kubeconform and kustomize: install it from https://go.dev/dl." >&2
  exit 3
}
install() {
  [ -x "$folder/bin/${1##*/}" ] || GOBIN=$folder/bin CGO_ENABLED=0 go install -ldflags '-s -w' "$2" >&2
}
mkdir -p "$folder"
install kubeconform "github.com/yannh/kubeconform/cmd/kubeconform@$kubeconform"
install kustomize "sigs.k8s.io/kustomize/kustomize/v5@$kustomize"
if [ ! -e "$folder/schemas" ]; then
  work=$(mktemp -d "$folder/.schemas.XXXXXX")
  trap 'rm -rf "$work"' EXIT INT TERM
  module=$(cd "$work" && go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')
  # shellcheck disable=SC2086 # make gives a pattern
  $node "$root/scripts/kubernetes-schemas.ts" "$module/api/openapi-spec/swagger.json" "$work"
  mv "$work" "$folder/schemas"
fi

built=$folder/built.yaml
"$folder/bin/kustomize" build "$root/deploy/kubernetes" >"$built"
"$folder/bin/kubeconform" -strict -verbose -summary -kubernetes-version "$version" \
  -schema-location "$folder/schemas/{{.ResourceKind}}{{.KindSuffix}}.json" "$built"
