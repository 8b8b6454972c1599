-- What `storage.walls` puts in place beside roles and policies. Statements are separated by a line of dashes; each may be run again.

CREATE OR REPLACE FUNCTION fengsui_department_ids() RETURNS text[] LANGUAGE sql STABLE AS
$$ SELECT string_to_array(coalesce(current_setting('fengsui.departments', true), ''), E'\x1f') $$
----
-- As the owner: the policies of both tables ask this function, and would ask it again from inside.
CREATE OR REPLACE FUNCTION fengsui_department_warnings() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS
$$ SELECT warning_id FROM tasks WHERE department = ANY (fengsui_department_ids())
   UNION SELECT warning_id FROM outbox WHERE recipient = ANY (fengsui_department_ids()) $$
----
CREATE SCHEMA IF NOT EXISTS reports
----
CREATE OR REPLACE FUNCTION reports.instant(microseconds bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS
$$ SELECT timestamptz 'epoch' + microseconds * interval '1 microsecond' $$
----
DROP VIEW IF EXISTS reports.warnings, reports.tasks, reports.timers, reports.deliveries, reports.feeds, reports.hits, reports.progress CASCADE
----
CREATE VIEW reports.warnings AS
SELECT w.id, w.matter, w.sector, w.region, w.level, w.current_level, w.score, w.kind, w.shadow, w.namespace, w.risk_state, c.status, c.lead,
       reports.instant(w.raised_at) AS raised_at, reports.instant(w.updated_at) AS updated_at,
       reports.instant(c.due_at) AS due_at, reports.instant(c.closed_at) AS closed_at
FROM warnings w LEFT JOIN cases c ON c.warning_id = w.id
----
CREATE VIEW reports.tasks AS
SELECT t.id, t.warning_id, t.department, t.role, t.stage, c.level, c.matter, c.region, c.status
FROM tasks t JOIN cases c ON c.warning_id = t.warning_id
----
CREATE VIEW reports.timers AS
SELECT id, warning_id, task_id, kind, what, state, reports.instant(due_at) AS due_at, reports.instant(fired_at) AS fired_at FROM timers
----
CREATE VIEW reports.deliveries AS
SELECT id, warning_id, recipient, event, endpoint_id = '' AS by_inbox, state, attempt, status, lease_owner,
       reports.instant(created_at) AS created_at, reports.instant(next_at) AS next_at, reports.instant(delivered_at) AS delivered_at
FROM outbox
----
CREATE VIEW reports.feeds AS
SELECT feed, accepted, rejected, duplicates, revisions,
       reports.instant(last_received_at) AS last_received_at, reports.instant(last_occurred_at) AS last_occurred_at,
       reports.instant(complete_until) AS complete_until, reports.instant(silent_since) AS silent_since
FROM feeds
----
CREATE VIEW reports.hits AS
SELECT seq, rule, shadow, warning_id, reports.instant(at) AS at FROM hits
----
CREATE VIEW reports.progress AS
SELECT topic, partition, epoch, offset_done, owner, reports.instant(assigned_at) AS assigned_at, reports.instant(moved_at) AS moved_at
FROM progress
