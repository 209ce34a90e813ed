/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/workload/registry-order.h"

/* From a registry into staging, for a process that ends (ashlar-fetch). OCI distribution-spec 1.1.
 *
 *	STAGING/oci/blobs/sha256/HEX     manifests, configs, layers: only under their own digest
 *	STAGING/oci/blobs/sha256/HEX.part    what broke off; gone on with by the next try, at any mirror
 *
 * Layers that the host's repository has (by the config's DIFFIDs) are not downloaded, and nothing is for an image that
 * is there whole. Each endpoint of the order is asked in turn until one gives everything.
 *
 * A password goes to its registry, and to a token server at the same host or at one of token_hosts; nowhere else, and never
 * on to where a redirect leads.
 */

enum {
	ASH_REGISTRY_MAX_REDIRECTS = 3, /* of a manifest; layers: lib/fetch.h */
};

typedef struct {
	const AshRegistryOrder *order;
	const char *staging;
	int staging_fd;
	const char *sysroot; /* what holds ostree/; it may not be there */
	const char *arch;    /* ash_oci_architecture's */
	void (*on_bytes)(uint64_t received, uint64_t total, gpointer data);
	gpointer data;
} AshRegistryPull;

/* @out_digest: "sha256:…" of what was asked for, manifest or index. ASH_REGISTRY_ERROR, ASH_REGISTRY_AUTH_ERROR, ASH_OCI_ERROR,
 * ASH_FETCH_ERROR, ASH_STAGING_ERROR_SPACE.
 */
gboolean ash_registry_pull(const AshRegistryPull *pull, char **out_digest, uint64_t *out_bytes,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
