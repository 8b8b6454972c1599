#!/usr/bin/env bash
# Installs Fengsui from this checkout into a virtual environment of its own: deploy/install.sh TARGET [LOCK], e.g. /opt/fengsui.
# LOCK is requirements.lock, or requirements-cluster.lock for the roles of a cluster.
# The container image calls it, and so may whoever installs on a plain host. Pinned wheels, checked by hash; no compiler needed, but where
# there is one the engine is compiled: twice as fast, and a minute longer.
set -euo pipefail

if [ "$#" -lt 1 ] || [ "$#" -gt 2 ]; then
  echo "usage: deploy/install.sh TARGET [requirements-cluster.lock]    (a folder that does not exist yet, e.g. /opt/fengsui)" >&2
  exit 2
fi
target=$1
checkout=$(cd "$(dirname "$0")/.." && pwd)
lock=$checkout/${2:-requirements.lock}
if [ ! -f "$lock" ]; then
  echo "$lock does not exist; there are: $(cd "$checkout" && echo requirements*.lock)" >&2
  exit 2
fi
if [ -e "$target" ]; then
  echo "$target exists already; name another folder or remove it first" >&2
  exit 2
fi

"${PYTHON:-python3}" -m venv "$target"
pip=("$target/bin/python" -m pip install --disable-pip-version-check --no-cache-dir)
"${pip[@]}" --require-hashes --only-binary :all: -r "$lock"
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"${pip[@]}" --quiet --target "$tools" --require-hashes --only-binary :all: -r "$checkout/requirements-engine.lock"
(cd "$checkout" && PYTHONPATH=$tools "$target/bin/python" -m deploy.engine --where-possible)
"${pip[@]}" --no-deps --no-build-isolation "$checkout"
"$target/bin/fengsui" --help >/dev/null
echo "installed: $target/bin/fengsui"
