-- Makes the roles and schemas when the database is new, with the passwords that the services have.
\set score_owner `cat /run/laurel/passwords/score_owner`
\set score_runtime `cat /run/laurel/passwords/score_runtime`
\set gateway_owner `cat /run/laurel/passwords/gateway_owner`
\set gateway_runtime `cat /run/laurel/passwords/gateway_runtime`
\o /dev/null
BEGIN;
SELECT set_config('laurel.score_owner_password', :'score_owner', true);
SELECT set_config('laurel.score_runtime_password', :'score_runtime', true);
SELECT set_config('laurel.gateway_owner_password', :'gateway_owner', true);
SELECT set_config('laurel.gateway_runtime_password', :'gateway_runtime', true);
\i /etc/laurel/provision.sql
COMMIT;
