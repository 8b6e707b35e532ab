#!/bin/sh
# Writes Alertmanager's configuration from alertmanager.yml beside this file and from the environment, and starts it.
# Arguments are handed on to Alertmanager. Secrets go into files that this user alone can read, never into the command.
set -eu
umask 077
here=$(dirname "$0")
folder=${VIGIE_ALERTMANAGER_FOLDER:-/tmp/alertmanager}
gateway=${VIGIE_GATEWAY_URL:-http://gateway:8600}
mkdir -p "$folder"

stop() {
  echo "alertmanager does not start: $1" >&2
  exit 1
}

[ -n "${VIGIE_SERVICE_TOKEN:-}" ] || stop "VIGIE_SERVICE_TOKEN is not set. Run ./vigie init."
if [ -n "${VIGIE_ALERT_PAGE_TO:-}${VIGIE_ALERT_TICKET_TO:-}" ]; then
  [ -n "${VIGIE_ALERT_SMTP_HOST:-}" ] || stop "there are addresses for alerts, but VIGIE_ALERT_SMTP_HOST (host:port) is not set."
  [ -n "${VIGIE_ALERT_SMTP_FROM:-}" ] || stop "there are addresses for alerts, but VIGIE_ALERT_SMTP_FROM is not set."
fi
printf %s "$VIGIE_SERVICE_TOKEN" >"$folder/service-token"
printf %s "${VIGIE_ALERT_SMTP_PASSWORD:-}" >"$folder/smtp-password"

# A value as a YAML string: quotes are doubled, and nothing else means anything.
quoted() {
  printf "'%s'" "$(printf %s "$1" | sed "s/'/''/g")"
}

# What a receiver of people is told by: e-mail to the addresses in $1, and the webhook of VIGIE_ALERT_WEBHOOK_URL.
people() {
  if [ -n "$1" ]; then
    echo "    email_configs:"
    echo "      - to: $(quoted "$1")"
    echo "        from: $(quoted "$VIGIE_ALERT_SMTP_FROM")"
    echo "        smarthost: $(quoted "$VIGIE_ALERT_SMTP_HOST")"
    echo "        require_tls: ${VIGIE_ALERT_SMTP_TLS:-true}"
    echo "        send_resolved: true"
    if [ -n "${VIGIE_ALERT_SMTP_USER:-}" ]; then
      echo "        auth_username: $(quoted "$VIGIE_ALERT_SMTP_USER")"
      echo "        auth_password_file: $(quoted "$folder/smtp-password")"
    fi
  fi
  if [ -n "${VIGIE_ALERT_WEBHOOK_URL:-}" ]; then
    echo "    webhook_configs:"
    echo "      - url: $(quoted "$VIGIE_ALERT_WEBHOOK_URL")"
    echo "        send_resolved: true"
  fi
}

while IFS= read -r line || [ -n "$line" ]; do
  case $line in
    "# start.sh: VIGIE_ALERT_PAGE_TO") people "${VIGIE_ALERT_PAGE_TO:-}" ;;
    "# start.sh: VIGIE_ALERT_TICKET_TO") people "${VIGIE_ALERT_TICKET_TO:-}" ;;
    *http://gateway:8600*) printf '%s\n' "${line%%http://gateway:8600*}$gateway${line#*http://gateway:8600}" ;;
    *) printf '%s\n' "$line" ;;
  esac
done <"$here/alertmanager.yml" >"$folder/alertmanager.yml"

# The public image calls the program alertmanager, Debian's package prometheus-alertmanager.
program=$(command -v alertmanager || command -v prometheus-alertmanager) || stop "the program is not installed."
# One instance: without the cluster's address it needs no private network to announce itself in.
exec "$program" --config.file="$folder/alertmanager.yml" --cluster.listen-address= --log.format=json "$@"
