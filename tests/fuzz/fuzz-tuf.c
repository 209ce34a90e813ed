/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/tuf-delegation.h"
#include "lib/tuf-metadata.h"
#include "lib/tuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read of metadata that was parsed and, as far as anybody here can tell, signed. */
static unsigned use(const AshTufMetadata *metadata)
{
	static const char *const roles[] = {"root", "timestamp", "snapshot", "targets"};
	g_autoptr(GPtrArray) delegations = NULL;
	AshTufFile file = {0};
	unsigned count = 0;

	if (g_str_equal(metadata->type, "root")) {
		for (size_t i = 0; i < G_N_ELEMENTS(roles); i++) {
			AshTufAuthority authority;
			ash_tuf_metadata_get_authority(metadata, roles[i], &authority);
			g_hash_table_unref(ash_tuf_authority_fingerprints(&authority));
			count += ash_tuf_metadata_verify(metadata, &authority, NULL) ? 1 : 0;
		}
	} else if (g_str_equal(metadata->type, "targets")) {
		gboolean ok = ash_tuf_delegations_parse(metadata->body, &delegations, NULL);
		g_assert_true(ok);
		for (guint i = 0; i < delegations->len; i++) {
			const AshTufDelegation *delegation = g_ptr_array_index(delegations, i);
			count += ash_tuf_delegation_covers(delegation, "team/tool");
			count += ash_tuf_metadata_verify(metadata, &delegation->authority, NULL)
						 ? 1
						 : 0;
		}
	} else if (ash_tuf_metadata_find_file(metadata, "targets.json", &file) ||
			ash_tuf_metadata_find_file(metadata, "snapshot.json", &file)) {
		if (file.hashes != NULL)
			count += ash_tuf_hashes_verify(file.hashes, metadata->bytes, NULL) ? 1 : 0;
	}
	return count;
}

/* Metadata of each role, from a server that nobody trusts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = {"root", "timestamp", "snapshot", "targets"};
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);

	for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
		g_autoptr(AshTufMetadata) metadata = NULL;
		g_autoptr(GError) error = NULL;

		if (ash_tuf_metadata_parse(bytes, types[i], 64 << 10, &metadata, &error))
			(void) use(metadata);
		else
			g_assert_true(error != NULL && error->domain == ASH_TUF_ERROR);
	}
	return 0;
}
