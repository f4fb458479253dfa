#!/usr/bin/env bash
# Everything about `deploy` that can be checked without a cluster. `make deploy-check` installs the tools, and runs it as
# deploy/check.sh BIN TOOLS
set -euo pipefail
cd "$(dirname "$0")/.."

readonly BIN=$1 TOOLS=$2 OUT=build/deploy

# bash does not heed -e inside of what is called here, so whatever is called chains its commands.
step() {
    local name=$1 started=$SECONDS
    shift
    "$@" || { echo "deploy-check: $name failed." >&2; exit 1; }
    printf '%-18s ok, %d s\n' "$name" "$((SECONDS - started))"
}

need() {
    command -v "$1" >/dev/null || { echo "deploy-check: $1 is missing; $2." >&2; exit 1; }
}

render() {
    rm -rf "$OUT" && "$BIN/python" -m tests.deploy.rendering "$OUT"
}

# Against the oldest Kubernetes that deploy/README.md names, and the newest. A kind or version that it does not know is
# only a warning there; here it is a fault.
check_schemas() {
    local version said
    for version in 1.31 1.37; do
        said=$("$TOOLS/bin/kubernetes-validate" --strict --kubernetes-version "$version" "$OUT/builtin.yaml" 2>&1) \
            && ! grep -q '^WARN' <<<"$said" || { grep -v '^INFO' <<<"$said" >&2; return 1; }
    done
}

check_custom_resources() {
    local program=$TOOLS/custom-resources.ts
    "$BIN/python" -m tests.deploy.custom_resources "$OUT/scenes" "$program" \
        && "$TOOLS/bin/node" "$TOOLS/node_modules/typescript/bin/tsc" --ignoreConfig --noEmit --strict --skipLibCheck \
            --target esnext --module nodenext --types '' "$program" \
        && "$TOOLS/bin/node" "$program"
}

check_policies() {
    "$TOOLS/bin/checkov" --directory "$OUT/scenes" --framework kubernetes --skip-download --quiet --compact >"$OUT/checkov" \
        || { cat "$OUT/checkov" >&2; return 1; }
}

for program in "$BIN/python" "$BIN/kubectl" "$TOOLS/bin"/{checkov,hadolint,kubernetes-validate,node,yamllint}; do
    need "$program" 'make it with make deploy-check'
done
need promtool "install Debian's package prometheus"
need psql "install Debian's package postgresql-client"

step YAML "$TOOLS/bin/yamllint" --strict --config-file deploy/.yamllint.yaml deploy
step Dockerfiles "$TOOLS/bin/hadolint" deploy/images/*/Dockerfile
step Kustomize render
step Schemas check_schemas
step 'Custom resources' check_custom_resources
step Policies check_policies
step Tests "$BIN/python" -m pytest -q -n logical --dist worksteal tests/deploy
