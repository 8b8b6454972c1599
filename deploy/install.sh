#!/usr/bin/env bash
# Installs Fengsui from this checkout into a virtual environment of its own: deploy/install.sh TARGET, e.g. /opt/fengsui.
# The container image calls it, and so may whoever installs on a plain host. Pinned wheels, checked by hash; no compiler needed.
set -euo pipefail

if [ "$#" -ne 1 ]; then
  echo "usage: deploy/install.sh TARGET    (a folder that does not exist yet, e.g. /opt/fengsui)" >&2
  exit 2
fi
target=$1
checkout=$(cd "$(dirname "$0")/.." && pwd)
if [ -e "$target" ]; then
  echo "$target exists already; name another folder or remove it first" >&2
  exit 2
fi

"${PYTHON:-python3}" -m venv "$target"
pip=("$target/bin/python" -m pip install --disable-pip-version-check --no-cache-dir)
"${pip[@]}" --require-hashes --only-binary :all: -r "$checkout/requirements.lock"
"${pip[@]}" --no-deps --no-build-isolation "$checkout"
"$target/bin/fengsui" --help >/dev/null
echo "installed: $target/bin/fengsui"
