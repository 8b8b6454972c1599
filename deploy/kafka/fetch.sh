#!/usr/bin/env bash
# Puts the jars of Apache Kafka's broker, as pom.xml and jars.sha256 name them, into a folder: deploy/kafka/fetch.sh TARGET.
# Needs maven; a folder that has them all, whole, is left as it is. Nothing is kept of a fetch whose sums differ.
set -euo pipefail

if [ "$#" -ne 1 ]; then
  echo "usage: deploy/kafka/fetch.sh TARGET    (a folder outside of the checkout, e.g. ~/.cache/fengsui/kafka)" >&2
  exit 2
fi
target=$1
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$target"
exec 9>"$target/.lock"
flock 9 # two test processes may ask at once
if (cd "$target" && sha256sum --check --quiet --strict "$here/jars.sha256") >/dev/null 2>&1; then
  exit 0
fi
command -v mvn >/dev/null || {
  echo "Apache Kafka comes from Maven Central: apt-get install --no-install-recommends maven openjdk-17-jre-headless" >&2
  exit 1
}
fresh=$(mktemp -d "$target/.fetch.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
# --strict-checksums: a download that differs from its repository's own sum fails.
mvn --quiet --batch-mode --strict-checksums --file "$here/pom.xml" dependency:copy-dependencies \
  -DincludeScope=runtime -DoutputDirectory="$fresh"
(cd "$fresh" && sha256sum --check --quiet --strict "$here/jars.sha256")
find "$target" -maxdepth 1 -name '*.jar' -delete
mv "$fresh"/*.jar "$target/"
