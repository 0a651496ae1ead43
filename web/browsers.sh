#!/bin/sh
# Chromium and Firefox for the tests, from Debian's packages, where they are missing and this user may install them.
set -eu
missing=""
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing="$missing chromium"
command -v firefox-esr >/dev/null || command -v firefox >/dev/null || missing="$missing firefox-esr"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq || true
    # shellcheck disable=SC2086 # several packages
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
        echo "not installed, so their tests are skipped:$missing" >&2
else
    echo "missing, so their tests are skipped:$missing" >&2
fi
