#
# Needs curl and sed. Sends the requests of the finding to a deployment, shows each status beside the expected one and the
# last answer as a whole. Ends with 1 if the last status is not the expected one; other deviations are for the reader to see.
set -u
: "${LOGTO_CONFORMANCE_TARGET:?set it to the URL of the deployment}"
: "${LOGTO_CONFORMANCE_CLIENT_ID:?set it to the id of a machine-to-machine application with the Management API role}"
: "${LOGTO_CONFORMANCE_CLIENT_SECRET:?set it to the secret of that application}"
endpoint=${LOGTO_CONFORMANCE_TARGET%/}
admin_id=$LOGTO_CONFORMANCE_CLIENT_ID
admin_secret=$LOGTO_CONFORMANCE_CLIENT_SECRET
resource=${LOGTO_CONFORMANCE_RESOURCE:-https://default.logto.app/api}
command -v curl >/dev/null || { echo 'curl is not installed' >&2; exit 2; }
work=$(mktemp -d) || exit 2
step=0
: >"$work/undo"

# body TEXT: what the next request carries
body() {
  printf %s "$1" >"$work/body"
}

# call METHOD TARGET [curl option]...: sends a request, keeps its answer, prints the status
call() {
  call_method=$1 call_target=$2
  shift 2
  if [ "$call_method" = HEAD ]; then
    set -- --head "$@"
  elif [ -s "$work/body" ]; then
    set -- -X "$call_method" --data-binary "@$work/body" -H 'expect:' "$@"
    case "$*" in *content-type:*) ;; *) set -- -H 'content-type:' "$@" ;; esac
  else
    set -- -X "$call_method" "$@"
  fi
  curl -sS --globoff --path-as-is -o "$work/answer" -D "$work/headers" -w '%{http_code}' "$@" "$endpoint$call_target"
}

# send EXPECTED METHOD TARGET [curl option]...: one request of the finding
send() {
  expected=$1
  shift
  step=$((step + 1))
  status=$(call "$@")
  case $expected in
  any | "${status}"*) mark=' ' ;;
  *) mark='!' ;;
  esac
  printf '%s %s. %s %s: %s (expected %s)\n' "$mark" "$step" "$1" "$2" "$status" "$expected"
}

# member NAME: the first text of that name in the answer
member() {
  tr '{,' '\n\n' <"$work/answer" | sed -n "s/^ *\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1
}

# made PATH NAME: notes for the clean-up what the answer says was made
made() {
  made_id=$(member "$2")
  case $status in 2*) [ -n "$made_id" ] && printf 'DELETE %s%s\n' "$1" "$made_id" >>"$work/undo" ;; esac
}

manage() {
  call "$@" -H "authorization: Bearer $admin_token" -H 'content-type: application/json' >/dev/null
}

# token SCOPE: a token of the machine-to-machine application
token() {
  body "grant_type=client_credentials&resource=$resource&scope=$1"
  call POST /oidc/token -u "$admin_id:$admin_secret" -H 'content-type: application/x-www-form-urlencoded' >/dev/null
  member access_token
}

new_password() {
  printf 'Kx7-%s' "$(LC_ALL=C tr -dc bcdfhkmnprtvwxz2468 </dev/urandom | head -c 16)"
}

clean_up() {
  sed -n '1!G;h;$p' "$work/undo" | while read -r undo_method undo_target undo_body; do
    body "$undo_body"
    manage "$undo_method" "$undo_target"
  done
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 2' INT TERM

# finish DEVIATION: shows the last answer and judges its status
finish() {
  printf '\nthe finding: %s; the answer:\n' "$1"
  cat "$work/headers" "$work/answer"
  echo
  [ "$mark" = ' ' ]
}
