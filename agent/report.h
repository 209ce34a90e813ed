/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The JSON that ashlard answers with and ashlarctl prints; ashlarctl(1) repeats this for people. Times
 * are RFC 3339 in UTC ("2026-11-22T10:00:00Z"), sizes bytes. Members that do not apply are left out.
 *
 * GetStatus:
 *	{"state":"idle",                       agent/update.h
 *	 "since":T, "detail":"next check 14:05",   a sentence
 *	 "booted":{"commit":C,"version":V,"name":N,"variant":"","arch":A},
 *	 "verdict":"good"|"degraded"|"pending"|"bad", "verdict_reason":"…",
 *	 "trial":{"version":V,"since":T,"deadline":T},              in a trial
 *	 "target":{"version":V,"commit":C,"method":"delta","bytes":N,"done":N,"is_recall":B},  on the way
 *	 "available":{"version":V,"commit":C,"notes":"…"},          found, not begun
 *	 "reboot_at":T,                                             ready: when the window opens
 *	 "deployments":[{"commit":C,"version":V,"booted":B,"pinned":B,"good":B,"tries_left":N,
 *	                 "bad":"…"}],          newest first: what would boot first
 *	 "failed":[{"commit":C,"version":V,"kind":"bad"|"held","reason":"…","at":T}],
 *	 "source":{"url":U,"last_check":T,"last_success":T,"last_error":"…","word":W,
 *	           "expires":T,"next_check":T,"root_version":N,"timestamp_version":N},
 *	 "fleet":{"url":U,"id":ID,"state":"joining"|"pending"|"joined"|"held"|"refused"|"retired"|"left",
 *	          "text":"…","since":T,"last_contact":T,"last_error":"…",
 *	          "wants":{"version":V,"commit":C,"verb":"update"|"return"},"hold":"…","windows":["…"]},
 *	                                       in a fleet: how this host stands there, and what it wants
 *	 "space":{"root_free":N,"root":N,"esp_free":N,"esp":N},
 *	 "degraded":"…",                       it cannot go on by itself; why
 *	 "agent":"0.1.0"}
 * GetHealth:
 *	{"verdict":…,"reason":…,"soak_s":60,"deadline":T,
 *	 "checks":[{"name":N,"kind":"http","class":"required","target":"…","passing":B|null,
 *	            "failures":N,"since":T,"last":T,"text":"…"}]}
 * GetHistory: {"events":[EVENT…]}, newest last
 *	EVENT: {"id":N,"at":T,"event":E,"version":V,"commit":C,"text":"…","word":W,"boot":ID}
 *	E: booted, offered, refused, fetched, fetch-failed, deploying, deploy-failed, rebooting, trial,
 *	   good, bad, returned, rolled-back, recalled, held, forgiven, pinned, unpinned, degraded,
 *	   recovered, source-failed, source-ok, clock, order
 * Why:
 *	{"running":{"version":V,"commit":C},"because":"…",
 *	 "answer":"up to date"|"waiting"|"refused"|"working"|"stuck",
 *	 "blocker":"…",                        a sentence: the first condition that blocks
 *	 "conditions":[{"condition":"source is set","met":B,"text":"…"}],     in order
 *	 "refused":[{"version":V,"commit":C,"reason":W,"text":"…"}]}
 * Check, Update, Rollback, Bundle: {"text":"…"}
 */
