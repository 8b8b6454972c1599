#!/usr/bin/env bash
# Installs the Debian packages named as arguments, and asks the index anew only when one is missing. Needs root.
set -euo pipefail

missing=()
for package in "$@"; do
  dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "missing: ${missing[*]}; install with: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
echo "== installing ${missing[*]}"
# Two test processes may ask at once, hence the wait for dpkg's lock. RUNLEVEL=1 keeps Debian from starting a Prometheus of its own.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 update
apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -y install --no-install-recommends "${missing[@]}"
