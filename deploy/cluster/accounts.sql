-- The accounts of docs/deployment.md, for docker-compose.yml: `psql --file` as the superuser. Again is harmless, and sets the passwords
-- to what the files say. With the roles made here the owner of the tables need not be allowed to make any.
\set ON_ERROR_STOP on
\set owner_password `cat /run/secrets/postgres_owner_password`
\set watch_password `cat /run/secrets/postgres_watch_password`

SELECT 'CREATE ROLE ' || wanted.account || ' ' || wanted.kind
  FROM (VALUES ('fengsui_service', 'NOLOGIN'), ('fengsui_department', 'NOLOGIN'), ('fengsui_reader', 'NOLOGIN'),
               ('beacons', 'LOGIN'), ('watch', 'LOGIN')) AS wanted (account, kind)
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.account) \gexec

ALTER ROLE beacons PASSWORD :'owner_password';
ALTER ROLE watch PASSWORD :'watch_password';
GRANT fengsui_department TO beacons;
GRANT fengsui_service, fengsui_department TO watch;

SELECT 'CREATE DATABASE beacons OWNER beacons' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'beacons') \gexec
