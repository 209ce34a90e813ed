-- SPDX-License-Identifier: Apache-2.0
-- Schema 1. Released schemas never change: what comes later is schema-2.sql, from this one onwards.
-- Times are seconds since 1970, UTC; 0: never. Names in quotes are SQL's own words elsewhere.

-- version of the schema, the fleet's id, cursors of readers of event ('cursor.scheduler', …), settings ('setting.…')
CREATE TABLE meta (
	key TEXT PRIMARY KEY,
	value TEXT NOT NULL
);

-- ---- hosts ----

CREATE TABLE host (
	id TEXT PRIMARY KEY,                     -- SHA-256 of the public key (SubjectPublicKeyInfo), 64 digits
	name TEXT NOT NULL,                      -- the hostname it says; not unique
	state TEXT NOT NULL,                     -- pending, active, held, retired
	reason TEXT NOT NULL DEFAULT '',         -- of held and retired
	is_clone BIGINT NOT NULL DEFAULT 0,      -- held, because two machines have its identity
	-- What memory, lists and selectors take from report and health below, so that a start parses neither:
	health_word TEXT NOT NULL DEFAULT 'unknown', -- fleet/live.h's AshHealth
	health_since BIGINT NOT NULL DEFAULT 0,
	agent_state TEXT NOT NULL DEFAULT '',
	verdict TEXT NOT NULL DEFAULT '',
	"commit" TEXT NOT NULL DEFAULT '',       -- booted
	version TEXT NOT NULL DEFAULT '',
	image TEXT NOT NULL DEFAULT '',
	variant TEXT NOT NULL DEFAULT '',
	arch TEXT NOT NULL DEFAULT '',
	failed_commit TEXT NOT NULL DEFAULT '',  -- the newest that it remembers as bad
	boot TEXT NOT NULL DEFAULT '',           -- boot id of its last check-in
	said BIGINT NOT NULL DEFAULT 0,          -- bits: ASH_HOST_SAID_* of fleet/live.h
	labels TEXT NOT NULL DEFAULT '{}',       -- {"site":"bern"}, given by the token and by operators
	facts TEXT NOT NULL DEFAULT '{}',        -- {"memory":…}, said by the host
	report TEXT NOT NULL DEFAULT '{}',       -- "state" of its last check-in (lib/checkin.h)
	health TEXT NOT NULL DEFAULT '{}',       -- its last "health"
	reported_at BIGINT NOT NULL DEFAULT 0,   -- when report or health last changed
	seq BIGINT NOT NULL DEFAULT 0,           -- of its last check-in that was acknowledged
	event BIGINT NOT NULL DEFAULT 0,         -- the last of its events that was acknowledged
	instance TEXT NOT NULL DEFAULT '',       -- tells clones apart (lib/checkin.h)
	enrolled_at BIGINT NOT NULL,
	last_seen BIGINT NOT NULL DEFAULT 0,     -- with each check-in
	address TEXT NOT NULL DEFAULT '',
	token TEXT NOT NULL DEFAULT '',          -- the join token's id
	-- What it is to run and do; "desired" grows with each change.
	desired BIGINT NOT NULL DEFAULT 0,
	release BIGINT NOT NULL DEFAULT 0,       -- release.id; 0: what it runs
	rollout TEXT NOT NULL DEFAULT '',        -- who wants that; '': an operator, or the channel
	verb TEXT NOT NULL DEFAULT '',           -- '' or 'update' (forwards), 'return' (to a deployment it has)
	by_hand BIGINT NOT NULL DEFAULT 0,       -- an operator said so: neither channel nor rollout changes it
	silent_since BIGINT NOT NULL DEFAULT 0   -- host.silent was said; 0: heard of
);
CREATE INDEX host_name ON host (name);
CREATE INDEX host_silent ON host (silent_since) WHERE silent_since > 0;
CREATE INDEX host_by_hand ON host (by_hand) WHERE by_hand > 0;

CREATE TABLE certificate (
	serial TEXT PRIMARY KEY,                 -- hexadecimal
	host TEXT NOT NULL,
	not_before BIGINT NOT NULL,
	not_after BIGINT NOT NULL,
	revoked_at BIGINT NOT NULL DEFAULT 0,
	reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX certificate_host ON certificate (host);

CREATE TABLE join_token (
	id TEXT PRIMARY KEY,                     -- shown in lists; the secret is "ID.SECRET"
	hash TEXT NOT NULL,                      -- SHA-256 of the secret, 64 digits
	note TEXT NOT NULL DEFAULT '',
	labels TEXT NOT NULL DEFAULT '{}',       -- what its hosts get
	uses_left BIGINT NOT NULL,               -- -1: any number
	uses BIGINT NOT NULL DEFAULT 0,
	expires_at BIGINT NOT NULL,              -- 0: never
	needs_approval BIGINT NOT NULL DEFAULT 0,
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL,
	revoked_at BIGINT NOT NULL DEFAULT 0
);

-- Acts asked of one host.
CREATE TABLE host_order (
	id BIGSERIAL PRIMARY KEY,
	host TEXT NOT NULL,
	verb TEXT NOT NULL,                      -- lib/checkin.h
	argument TEXT NOT NULL DEFAULT '',
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL,
	state TEXT NOT NULL DEFAULT 'open',      -- open, done, failed, dropped
	result TEXT NOT NULL DEFAULT '',
	ended_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX host_order_host ON host_order (host, state);

-- The last journal excerpts of failed updates; a few for each host.
CREATE TABLE host_journal (
	id BIGSERIAL PRIMARY KEY,
	host TEXT NOT NULL,
	at BIGINT NOT NULL,
	version TEXT NOT NULL DEFAULT '',
	text TEXT NOT NULL
);
CREATE INDEX host_journal_host ON host_journal (host, id);

-- ---- the stream of everything that happens ----

-- Readers (the page, webhooks, the scheduler, other servers' memory) go on behind the last seq that they saw.
CREATE TABLE event (
	seq BIGSERIAL PRIMARY KEY,
	at BIGINT NOT NULL,
	kind TEXT NOT NULL,                      -- fleet/event.h
	host TEXT NOT NULL DEFAULT '',
	rollout TEXT NOT NULL DEFAULT '',
	actor TEXT NOT NULL DEFAULT '',          -- operator; '': the host, or the server
	text TEXT NOT NULL DEFAULT '',           -- a sentence
	data TEXT NOT NULL DEFAULT '{}',
	host_event BIGINT                        -- the host's own number; NULL: not one of a host
);
CREATE UNIQUE INDEX event_once ON event (host, host_event);
CREATE INDEX event_host ON event (host, seq);
CREATE INDEX event_rollout ON event (rollout, seq);

-- ---- releases ----

CREATE TABLE release (
	id BIGSERIAL PRIMARY KEY,
	name TEXT NOT NULL,                      -- the host image's name: 'host'
	variant TEXT NOT NULL DEFAULT '',
	arch TEXT NOT NULL,
	version TEXT NOT NULL,
	"commit" TEXT NOT NULL,
	document TEXT NOT NULL,                  -- the signed one, as published; lib/target.h
	notes TEXT NOT NULL DEFAULT '',
	added_at BIGINT NOT NULL,
	is_barrier BIGINT NOT NULL DEFAULT 0,    -- nobody passes it by
	dead_end TEXT NOT NULL DEFAULT '',       -- why no update leads away from it; '': it is none
	withdrawn TEXT NOT NULL DEFAULT '',      -- why it is not to be given to anybody; '': it may
	UNIQUE (name, variant, arch, version)
);
CREATE INDEX release_commit ON release ("commit");

CREATE TABLE release_package (
	release BIGINT NOT NULL,
	name TEXT NOT NULL,
	version TEXT NOT NULL,
	arch TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (release, name, arch)
);
CREATE INDEX release_package_name ON release_package (name);

CREATE TABLE release_sbom (
	release BIGINT NOT NULL,
	format TEXT NOT NULL,                    -- spdx, cyclonedx
	document TEXT NOT NULL,
	PRIMARY KEY (release, format)
);

-- What hosts with the label channel=NAME run when no rollout says otherwise: a host that joins late gets it at once.
CREATE TABLE channel (
	name TEXT PRIMARY KEY,
	release BIGINT NOT NULL DEFAULT 0,       -- 0: none yet
	note TEXT NOT NULL DEFAULT ''
);
CREATE TABLE channel_history (
	id BIGSERIAL PRIMARY KEY,
	channel TEXT NOT NULL,
	release BIGINT NOT NULL,
	at BIGINT NOT NULL,
	actor TEXT NOT NULL,
	reason TEXT NOT NULL DEFAULT ''
);

-- ---- rollouts: fleet/rollout.h ----

CREATE TABLE rollout (
	id TEXT PRIMARY KEY,                     -- 12 letters and digits
	name TEXT NOT NULL DEFAULT '',
	release BIGINT NOT NULL,
	spec TEXT NOT NULL,                      -- JSON, fleet/rollout-spec.h; with the table of limits
	state TEXT NOT NULL,                     -- starting, running, paused, halted, reverting, finished,
	                                         -- reverted, cancelled
	reason TEXT NOT NULL DEFAULT '',         -- of the state
	summary TEXT NOT NULL DEFAULT '{}',      -- counts by ring, as the page shows them
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL,
	ended_at BIGINT NOT NULL DEFAULT 0,
	lines BIGINT NOT NULL DEFAULT 0,         -- of the ledger
	checkpoint BIGINT NOT NULL DEFAULT 0,    -- its last checkpoint's first line; 0: none
	ring BIGINT NOT NULL DEFAULT 0,
	trimmed_at BIGINT NOT NULL DEFAULT 0,    -- since when lines and hosts of it go (fleet/retention.h); 0: it is whole
	-- Of a workload, whose release is 0:
	assignment TEXT NOT NULL DEFAULT '',     -- '': of a release
	workload TEXT NOT NULL DEFAULT '',
	version TEXT NOT NULL DEFAULT ''
);

-- What went in and what was decided, in order: replay reads it and must come to the same.
CREATE TABLE rollout_line (
	rollout TEXT NOT NULL,
	line BIGINT NOT NULL,                    -- from 1, without gaps
	text TEXT NOT NULL,
	PRIMARY KEY (rollout, line)
);

CREATE TABLE rollout_host (
	rollout TEXT NOT NULL,
	host TEXT NOT NULL,
	ring BIGINT NOT NULL,
	outcome TEXT NOT NULL,                   -- assigned, offered, confirmed, failed, silent, withdrawn, returned
	since BIGINT NOT NULL,
	reason TEXT NOT NULL DEFAULT '',
	previous BIGINT NOT NULL DEFAULT 0,      -- release.id that it ran when it was assigned; 0: not known
	PRIMARY KEY (rollout, host)
);
CREATE INDEX rollout_host_host ON rollout_host (host);

-- Windows and the like for all hosts that a selector matches; the first by "rank" that matches rules.
CREATE TABLE policy (
	name TEXT PRIMARY KEY,
	rank BIGINT NOT NULL DEFAULT 100,
	selector TEXT NOT NULL,
	windows TEXT NOT NULL DEFAULT '[]',      -- lib/window.h's texts; []: any time
	poll_s BIGINT NOT NULL DEFAULT 0,        -- 0: the server's own
	note TEXT NOT NULL DEFAULT ''
);

-- ---- workloads ----

-- Signed definitions of the publication.
CREATE TABLE workload (
	id BIGSERIAL PRIMARY KEY,
	name TEXT NOT NULL,
	version TEXT NOT NULL,
	sha256 TEXT NOT NULL,                    -- of the document, 64 digits
	document TEXT NOT NULL,                  -- as published; lib/workload.h
	notes TEXT NOT NULL DEFAULT '',
	added_at BIGINT NOT NULL,
	withdrawn TEXT NOT NULL DEFAULT '',      -- why it is not to be given to anybody; '': it may
	-- Of its report (lib/workload-report.h), so that lists parse no documents:
	isolation TEXT NOT NULL,
	score BIGINT NOT NULL,
	words TEXT NOT NULL,
	UNIQUE (name, version)
);

-- Which hosts run which version of a workload: for each workload the first by "rank", then id, that matches a host.
CREATE TABLE assignment (
	id TEXT PRIMARY KEY,
	workload TEXT NOT NULL,
	version TEXT NOT NULL,                   -- '': none yet; a rollout brings it
	selector TEXT NOT NULL,
	rank BIGINT NOT NULL DEFAULT 100,
	parameters TEXT NOT NULL DEFAULT '{}',   -- {"greeting":"hello"}
	note TEXT NOT NULL DEFAULT '',
	serial BIGINT NOT NULL DEFAULT 0,        -- grows when "version" changes; fleet/assignment.h
	moved_by TEXT NOT NULL DEFAULT ''        -- the rollout that changed it; '': an operator
);

-- Of hosts that have, or are to have, some.
CREATE TABLE host_workload (
	host TEXT PRIMARY KEY,
	wanted TEXT NOT NULL DEFAULT '',         -- JSON, fleet/assignment.h; '': the fleet never wanted any
	said TEXT NOT NULL DEFAULT '',           -- the report in short; fleet/workload-said.h
	report TEXT NOT NULL DEFAULT '',         -- "workloads" of the last check-in that had it; '': none had
	at BIGINT NOT NULL DEFAULT 0             -- when the report changed
);

-- Lines on their way from a check-in at one server to a reader at another; each for a minute at most.
CREATE TABLE workload_log (
	id BIGSERIAL PRIMARY KEY,
	host_order BIGINT NOT NULL,
	at BIGINT NOT NULL,
	lines TEXT NOT NULL,                     -- JSON
	missed BIGINT NOT NULL DEFAULT 0         -- so many lines behind them found no room
);
CREATE INDEX workload_log_order ON workload_log (host_order, id);

-- How many events host.workload were told; fleet/workload-told.h.
CREATE TABLE workload_told (
	host TEXT NOT NULL,
	name TEXT NOT NULL,                      -- of the workload; '': all others
	since BIGINT NOT NULL,                   -- when its hour began
	told BIGINT NOT NULL,
	left_out BIGINT NOT NULL,
	event BIGINT NOT NULL DEFAULT 0,         -- the one of those that were left out; 0: none
	PRIMARY KEY (host, name)
);

-- ---- FleetLock ----

CREATE TABLE lock_group (
	name TEXT PRIMARY KEY,
	slots BIGINT NOT NULL,
	lease_s BIGINT NOT NULL,
	frees_late BIGINT NOT NULL DEFAULT 0,    -- a lease that ended frees the slot; 0: it is only flagged
	paused TEXT NOT NULL DEFAULT ''          -- why; '': it is not
);
-- What FleetLock's clients ask for when they are told nothing else.
INSERT INTO lock_group (name, slots, lease_s) VALUES ('default', 1, 3600);
CREATE TABLE lock_hold (
	"group" TEXT NOT NULL,
	id TEXT NOT NULL,
	since BIGINT NOT NULL,
	lease_until BIGINT NOT NULL,
	PRIMARY KEY ("group", id)
);

-- ---- hawkBit's clients (DDI) ----

CREATE TABLE ddi_target (
	id TEXT PRIMARY KEY,
	token TEXT NOT NULL DEFAULT '',
	attributes TEXT NOT NULL DEFAULT '{}',
	wants_attributes BIGINT NOT NULL DEFAULT 1,
	auto_confirm TEXT NOT NULL DEFAULT '',   -- JSON; '': not
	installed TEXT NOT NULL DEFAULT '',      -- JSON
	created_at BIGINT NOT NULL,
	last_seen BIGINT NOT NULL DEFAULT 0,
	address TEXT NOT NULL DEFAULT ''
);
CREATE TABLE ddi_module (
	id BIGSERIAL PRIMARY KEY,
	name TEXT NOT NULL,
	version TEXT NOT NULL,
	type TEXT NOT NULL,
	UNIQUE (name, version, type)
);
CREATE TABLE ddi_artifact (
	module BIGINT NOT NULL,
	filename TEXT NOT NULL,
	size BIGINT NOT NULL,
	sha1 TEXT NOT NULL,
	md5 TEXT NOT NULL,
	sha256 TEXT NOT NULL,                    -- also the file's name under content/ddi/
	PRIMARY KEY (module, filename)
);
CREATE TABLE ddi_action (
	id BIGSERIAL PRIMARY KEY,
	target TEXT NOT NULL,
	name TEXT NOT NULL,                      -- of the set of modules
	version TEXT NOT NULL,
	modules TEXT NOT NULL,                   -- JSON array of ids
	kind TEXT NOT NULL,                      -- soft, forced, download-only
	state TEXT NOT NULL,                     -- wait-confirmation, running, retrieved, download, downloaded,
	                                         -- canceling, canceled, finished, error, warning
	is_active BIGINT NOT NULL DEFAULT 1,
	weight BIGINT NOT NULL DEFAULT 1000,
	schedule TEXT NOT NULL DEFAULT '',       -- a window of lib/window.h; '': any time
	revision BIGINT NOT NULL DEFAULT 0,      -- changes what "c" in its link is
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL DEFAULT ''
);
CREATE INDEX ddi_action_target ON ddi_action (target, is_active);
CREATE TABLE ddi_status (
	id BIGSERIAL PRIMARY KEY,
	action BIGINT NOT NULL,
	at BIGINT NOT NULL,
	state TEXT NOT NULL,
	messages TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX ddi_status_action ON ddi_status (action, id);

-- ---- operators ----

CREATE TABLE operator (
	name TEXT PRIMARY KEY,
	password TEXT NOT NULL,                  -- argon2id; '': cannot log in with one
	role TEXT NOT NULL,                      -- viewer, operator, admin
	scope TEXT NOT NULL DEFAULT '',          -- a selector: the hosts that are seen and changed; '': all
	created_at BIGINT NOT NULL,
	disabled_at BIGINT NOT NULL DEFAULT 0
);
-- Log-ins in a row that failed, by name and address, address, name; whether there is such an operator or not.
CREATE TABLE login_failure (
	key TEXT PRIMARY KEY,                    -- a SHA-256: people type passwords into fields for names
	failures BIGINT NOT NULL,
	failed_at BIGINT NOT NULL
);
CREATE TABLE api_token (
	id TEXT PRIMARY KEY,                     -- the secret is "ID.SECRET"
	hash TEXT NOT NULL,                      -- SHA-256 of the secret
	role TEXT NOT NULL,
	scope TEXT NOT NULL DEFAULT '',
	note TEXT NOT NULL DEFAULT '',
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL,
	expires_at BIGINT NOT NULL,              -- 0: never
	last_used BIGINT NOT NULL DEFAULT 0,     -- to the minute
	revoked_at BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE session (
	hash TEXT PRIMARY KEY,                   -- SHA-256 of the cookie's secret
	operator TEXT NOT NULL,                  -- or 'token:ID'
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	address TEXT NOT NULL DEFAULT ''
);
CREATE INDEX session_operator ON session (operator, created_at);

-- Append-only: hash = SHA-256(previous hash, newline, canonical JSON of the other columns).
CREATE TABLE audit (
	seq BIGINT PRIMARY KEY,                  -- from 1, without gaps
	at BIGINT NOT NULL,
	actor TEXT NOT NULL,
	role TEXT NOT NULL DEFAULT '',
	address TEXT NOT NULL DEFAULT '',
	action TEXT NOT NULL,                    -- 'rollout.pause'
	object TEXT NOT NULL DEFAULT '',
	reason TEXT NOT NULL DEFAULT '',
	before TEXT NOT NULL DEFAULT '',         -- JSON; never a secret
	after TEXT NOT NULL DEFAULT '',
	hash TEXT NOT NULL
);

CREATE TABLE webhook (
	id TEXT PRIMARY KEY,
	url TEXT NOT NULL,
	secret TEXT NOT NULL,                    -- signs with HMAC-SHA-256; shown once
	kinds TEXT NOT NULL DEFAULT '[]',        -- of events; []: all
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL,
	paused TEXT NOT NULL DEFAULT '',         -- why; '': it is not
	cursor BIGINT NOT NULL,                  -- event.seq that is delivered, or was not asked for
	delivered BIGINT NOT NULL DEFAULT 0,     -- how many
	last_at BIGINT NOT NULL DEFAULT 0,       -- when something was last delivered
	note TEXT NOT NULL DEFAULT ''
);
-- What is being delivered, one for each webhook, and what was given up.
CREATE TABLE webhook_delivery (
	webhook TEXT NOT NULL,
	seq BIGINT NOT NULL,
	since BIGINT NOT NULL,                   -- the first attempt
	attempts BIGINT NOT NULL DEFAULT 0,
	next_at BIGINT NOT NULL,                 -- of what was given up: when
	state TEXT NOT NULL,                     -- waiting, given-up
	answer TEXT NOT NULL DEFAULT '',         -- to the last attempt
	PRIMARY KEY (webhook, seq)
);

-- How many hosts ran which version, every five minutes; fleet/overview.h.
CREATE TABLE version_sample (
	at BIGINT NOT NULL,
	version TEXT NOT NULL,                   -- '': not said; 'other': the rarest of many
	count BIGINT NOT NULL,
	PRIMARY KEY (at, version)
);
