#!/usr/bin/env bash
# Everything about `deploy` that can be checked without a cluster. `make deploy-check` installs the tools, and runs it as
# deploy/check.sh BIN TOOLS
set -euo pipefail
cd "$(dirname "$0")/.."

readonly BIN=$1 TOOLS=$2 OUT=build/deploy
readonly DEPLOY=$TOOLS/deploy/bin

# bash does not heed -e inside of what is called here, so whatever is called chains its commands.
step() {
    local name=$1 started=$SECONDS
    shift
    "$@" || { echo "deploy-check: $name failed." >&2; exit 1; }
    printf '%-18s ok, %d s\n' "$name" "$((SECONDS - started))"
}

need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || { echo "deploy-check: $program is missing." >&2; exit 1; }
    done
}

render() {
    rm -rf "$OUT" && "$BIN/python" -m tests.deploy.rendering "$OUT"
}

# Against the oldest Kubernetes that deploy/README.md names, and the newest. A kind or version that it does not know is
# only a warning there; here it is a fault.
check_schemas() {
    local version said
    for version in 1.31 1.37; do
        said=$("$DEPLOY/kubernetes-validate" --strict --kubernetes-version "$version" "$OUT/builtin.yaml" 2>&1) \
            && ! grep -q '^WARN' <<<"$said" || { grep -v '^INFO' <<<"$said" >&2; return 1; }
    done
}

check_custom_resources() {
    local program=$TOOLS/custom-resources.ts
    "$BIN/python" -m tests.deploy.custom_resources "$OUT/scenes" "$program" \
        && "$DEPLOY/node" "$TOOLS/node_modules/typescript/bin/tsc" --ignoreConfig --noEmit --strict --skipLibCheck \
            --target esnext --module nodenext --types '' "$program" \
        && "$DEPLOY/node" "$program"
}

check_policies() {
    "$DEPLOY/checkov" --directory "$OUT/scenes" --framework kubernetes --skip-download --quiet --compact >"$OUT/checkov" \
        || { cat "$OUT/checkov" >&2; return 1; }
}

list_components() {
    local service
    for service in score-service action-gateway; do
        "$TOOLS/sbom/bin/cyclonedx-py" requirements "requirements/$service.txt" --spec-version 1.6 \
            --output-reproducible --output-file "$OUT/$service.cdx.json" 2>"$OUT/sbom" \
            || { cat "$OUT/sbom" >&2; return 1; }
    done
}

need "$BIN/python" "$BIN/kubectl" "$DEPLOY"/{checkov,hadolint,kubernetes-validate,node,yamllint} \
    "$TOOLS/sbom/bin/cyclonedx-py" "$TOOLS/node_modules/typescript/bin/tsc"

step YAML "$DEPLOY/yamllint" --strict --config-file deploy/.yamllint.yaml deploy
step Dockerfiles "$DEPLOY/hadolint" deploy/images/*/Dockerfile
step Kustomize render
step Schemas check_schemas
step 'Custom resources' check_custom_resources
step Policies check_policies
step 'Bill of materials' list_components
step Tests "$BIN/python" -m pytest -q -n logical --dist worksteal tests/deploy
