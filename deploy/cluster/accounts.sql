-- The accounts of docs/deployment.md, for docker-compose.yml: `psql --file` as the superuser. Again is harmless, and sets the passwords
-- to what the files say. With the roles made here the owner of the tables need not be allowed to make any.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
\set owner_password `cat /run/secrets/postgres_owner_password`
\set watch_password `cat /run/secrets/postgres_watch_password`
\set grafana_password `cat /run/secrets/postgres_grafana_password`

SELECT 'CREATE ROLE ' || wanted.account || ' ' || wanted.kind
  FROM (VALUES ('fengsui_service', 'NOLOGIN'), ('fengsui_department', 'NOLOGIN'), ('fengsui_reader', 'NOLOGIN'),
               ('beacons', 'LOGIN'), ('watch', 'LOGIN'), ('grafana', 'LOGIN')) AS wanted (account, kind)
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.account) \gexec

ALTER ROLE beacons PASSWORD :'owner_password';
ALTER ROLE watch PASSWORD :'watch_password';
ALTER ROLE grafana PASSWORD :'grafana_password';
-- A panel that asks too much does not stay: neither for long, nor with a transaction that keeps rows from being cleaned up.
ALTER ROLE grafana SET statement_timeout = '15s';
ALTER ROLE grafana SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE grafana SET default_transaction_read_only = on;
GRANT fengsui_department TO beacons;
GRANT fengsui_service, fengsui_department TO watch;
GRANT fengsui_reader TO grafana;

SELECT 'CREATE DATABASE beacons OWNER beacons' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'beacons') \gexec
