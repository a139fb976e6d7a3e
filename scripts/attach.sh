#!/usr/bin/env bash
# attach.sh IMAGE NOTES: put what `imgctl release` left in dist/ on the GitHub release of this tag.
set -euo pipefail

image="${1:?IMAGE}" notes="${2:?NOTES}"
tag="${GITHUB_REF_NAME:?}"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT

# Names are flat there: mnist-1.2.3-l4t-r35.2.1-pod.yaml.
for build in "dist/$image"/*/build.json; do
  place="$(dirname "$build")"
  for file in "$place"/*.yaml "$place"/*.json; do
    case "$(basename "$file")" in index.json) continue ;; esac
    cp "$file" "$folder/$image-$(basename "$place")-$(basename "$file")"
  done
done

if ! gh release view "$tag" > /dev/null 2>&1; then
  options=(--verify-tag --title "$tag" --notes-file "$notes")
  # Semantic versioning: what has a hyphen is a pre-release, which GitHub must not call the latest.
  [[ "$tag" != *-* ]] || options+=(--prerelease)
  gh release create "$tag" "${options[@]}"
fi
cp "$notes" "$folder/$image-notes.md"
gh release upload "$tag" --clobber "$folder"/*
