#!/usr/bin/env bash
# What the GitHub action runs: `imgctl release` with what the workflow gave, secrets by environment.
set -euo pipefail

imgctl="${RUNNER_TEMP:?}/imgctl/bin/imgctl"
version="${VERSION:-${GITHUB_REF_NAME#v}}"
arguments=("${IMAGE:?}" --version "$version" --format json)
for release in ${RELEASES:-}; do
  arguments+=(--l4t "$release")
done
[ -z "${HARBOR:-}" ] || arguments+=(--harbor "$HARBOR")
[ -z "${REGISTRY:-}" ] || arguments+=(--registry "$REGISTRY")
[ -z "${PROJECT:-}" ] || arguments+=(--project "$PROJECT")
[ -n "${IMGCTL_USERNAME:-}" ] || unset IMGCTL_USERNAME
[ -n "${IMGCTL_PASSWORD:-}" ] || unset IMGCTL_PASSWORD

key=""
if [ -n "${SIGNING_KEY:-}" ]; then
  key="$(umask 077 && mktemp "$RUNNER_TEMP/key.XXXXXX")"
  trap 'rm -f "$key"' EXIT
  printf '%s\n' "$SIGNING_KEY" > "$key"
  arguments+=(--key "$key")
fi
unset SIGNING_KEY

"$imgctl" release "${arguments[@]}" > "$RUNNER_TEMP/release.json"
notes="dist/$IMAGE/$version.notes.md"
cat "$notes" >> "${GITHUB_STEP_SUMMARY:-/dev/null}"
{
  echo "record=$RUNNER_TEMP/release.json"
  echo "notes=$notes"
} >> "${GITHUB_OUTPUT:-/dev/stdout}"
