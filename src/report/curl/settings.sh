
# settings PATH BODY: brings settings about; their members `enabled`, `fields` and `mfa` are put back at the end
settings() {
  body ''
  manage GET "$1"
  before=$(sed -n 's/.*"enabled": *\([a-z]*\),.*"fields": *\({[^}]*}\).*/{"enabled":\1,"fields":\2}/p' "$work/answer")
  [ "$1" = /api/sign-in-exp ] && before=$(sed -n 's/.*"mfa": *\({[^}]*}\).*/{"mfa":\1}/p' "$work/answer")
  [ -n "$before" ] && printf 'PATCH %s %s\n' "$1" "$before" >>"$work/undo"
  body "$2"
  manage PATCH "$1"
}
