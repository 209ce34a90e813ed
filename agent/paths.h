/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where things are on a host. Every program of this room takes --root DIR, for tests: DIR is put
 * before each path here, and nothing else changes.
 *
 *	/usr/lib/ashlar/root.json          the TUF root that the image trusts; without it no updates
 *	/usr/lib/ashlar/agent.d/NAME.yaml  settings of the image (agent/hostdoc.h), then
 *	/etc/ashlar/agent.d/NAME.yaml      those of the host: a later name wins, /etc over /usr/lib
 *	/usr/lib/ashlar/health.d/NAME.yaml, /etc/ashlar/health.d/NAME.yaml    health checks
 *	/var/lib/ashlar/                   ashlard's own (root, 0700; may hold programs)
 *	    state.json                     the update machine, see agent/update-store.h
 *	    fleet.json                     what it knows of its fleet (agent/fleet-member.h)
 *	    history.jsonl                  what happened, newest last, bounded
 *	    tuf/                           trusted metadata (lib/tuf.h)
 *	    bundle/                        what a bundle held, of the shape of staging below
 *	    host.yaml                      the host document in force (agent/hostdoc.h)
 *	    host-trial.json                which document had contact, which had none (agent/host-trial.h)
 *	    settings/NAME.yaml             files of agent.d as they were good last (agent/hostdoc.h)
 *	    workload/signed/NAME/VERSION.json   definitions of workloads that were verified
 *	                                   (agent/verify-workload.h), and NAME/seen. A directory NAME, empty
 *	                                   or not, says that the host wants this workload
 *	    workload/pinned/NAME           and this file, in which version; without it the newest
 *	    workload/fleet/NAME.json       what the fleet wants of it (agent/workload/store.h)
 *	    workload/state.json            the machines of ashlar-workloadd
 *	/var/lib/ashlar-link/              owned by the user ashlar-link: staging, believed by nobody
 *	    metadata/                      TUF metadata under the names it is served by
 *	    targets/                       target files, at ash_tuf_target_location
 *	    repo/                          OSTree repository, mode archive: loose objects
 *	    deltas/TOCOMMIT-FROMCOMMIT.delta
 *	    oci/blobs/sha256/HEX           of images of registries
 *	    tuf/                           what the downloader itself trusts
 *	    *.part                         downloads that broke off
 *	    fleet/                         who the host is in its fleet (agent/fleet-identity.h)
 *	/run/ashlar/                       root, 0755
 *	/sysroot/ostree, /efi              the OSTree sysroot (read-only), the ESP (automount)
 */

#define ASH_PATH_ROOT_JSON "/usr/lib/ashlar/root.json"
#define ASH_PATH_LIBEXEC "/usr/lib/ashlar"
#define ASH_PATH_STATE "/var/lib/ashlar"
#define ASH_PATH_SETTINGS "/var/lib/ashlar/settings"
#define ASH_PATH_BUNDLE "/var/lib/ashlar/bundle"
#define ASH_PATH_SIGNED "/var/lib/ashlar/workload/signed"
#define ASH_PATH_PINNED "/var/lib/ashlar/workload/pinned"
#define ASH_PATH_KEPT "/var/lib/ashlar/workload/definitions"
#define ASH_PATH_FLEET_WORKLOADS "/var/lib/ashlar/workload/fleet"
#define ASH_PATH_WORKLOAD_STATE "/var/lib/ashlar/workload/state.json"
#define ASH_PATH_STAGING "/var/lib/ashlar-link"
#define ASH_PATH_IDENTITY "/var/lib/ashlar-link/fleet"
#define ASH_PATH_RUN "/run/ashlar"
#define ASH_PATH_SYSROOT "/sysroot"
#define ASH_PATH_ESP "/efi"
