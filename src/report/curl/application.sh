body '{"name":"lc_'"$run"'_first","type":"Traditional","oidcClientMetadata":{"redirectUris":["http://127.0.0.1:9/callback"],"postLogoutRedirectUris":[]},"customClientMetadata":{"allowTokenExchange":true}}'
manage POST /api/applications
first_id=$(member id)
printf 'DELETE /api/applications/%s\n' "$first_id" >>"$work/undo"
body ''
manage GET "/api/applications/$first_id/secrets"
first_secret=$(member value)
