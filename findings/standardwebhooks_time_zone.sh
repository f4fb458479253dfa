#!/usr/bin/env bash
# standardwebhooks 1.1.0 for Python signs another time than it is given, if that is not in UTC, so nobody can verify it.
#
# The header `webhook-timestamp` is the number of seconds since 1970, and the signature covers it. `Webhook.sign` takes a
# datetime. Of one with a time zone it replaces the zone by UTC, instead of converting it, so the same instant is signed as
# another number of seconds, and `verify` of the same library rejects what the header says.
# Seen on Linux x86-64, Python 3.11:
#
#     UTC: verified
#     UTC+02:00: No matching signature found
#
# Needs python3 with venv, and a package index. Fails once the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" 2>/dev/null || python3 -m virtualenv --quiet "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install standardwebhooks==1.1.0

cat >"$folder/sign.py" <<'PROGRAM'
import base64
from datetime import datetime, timedelta, timezone

from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


def deliver(moment):
    webhook = Webhook(SECRET)
    headers = {
        "webhook-id": "1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": webhook.sign("1", moment, "{}"),
    }
    try:
        webhook.verify("{}", headers)
    except WebhookVerificationError as error:
        return str(error)
    return "verified"


now = datetime.now(timezone.utc)
for zone in (timezone.utc, timezone(timedelta(hours=2))):
    print(f"{zone}: {deliver(now.astimezone(zone))}")
PROGRAM

seen=$("$folder/venv/bin/python" "$folder/sign.py")
printf '%s\n' "$seen"
[ "$seen" = $'UTC: verified\nUTC+02:00: No matching signature found' ]
