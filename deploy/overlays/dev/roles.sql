-- Makes the roles and schemas of a new database, with passwords from files. PASSWORDS names the folder, and PROVISION the
-- script, where they are not those of the pod.
\set score_owner `cat "${PASSWORDS:-/run/laurel/passwords}/score_owner"`
\set score_runtime `cat "${PASSWORDS:-/run/laurel/passwords}/score_runtime"`
\set gateway_owner `cat "${PASSWORDS:-/run/laurel/passwords}/gateway_owner"`
\set gateway_runtime `cat "${PASSWORDS:-/run/laurel/passwords}/gateway_runtime"`
\set provision `echo "${PROVISION:-/etc/laurel/provision.sql}"`
\o /dev/null
BEGIN;
SELECT set_config('laurel.score_owner_password', :'score_owner', true);
SELECT set_config('laurel.score_runtime_password', :'score_runtime', true);
SELECT set_config('laurel.gateway_owner_password', :'gateway_owner', true);
SELECT set_config('laurel.gateway_runtime_password', :'gateway_runtime', true);
\i :provision
COMMIT;
