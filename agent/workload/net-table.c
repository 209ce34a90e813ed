/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/net-table.h"

#include <nftables/libnftables.h>
#include <string.h>

#include "agent/workload/net-plan.h"
#include "lib/error.h"

typedef struct nft_ctx NftContext;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NftContext, nft_ctx_free)

/* What libnftables says first: a sentence, and the line of ours that it is about. */
static char *first_words(const char *text)
{
	g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", 3);

	if (!lines[0] || !lines[1])
		return g_strdup(lines[0] ? lines[0] : "");
	return g_strdup_printf("%s: %s", lines[0], g_strstrip(lines[1]));
}

static gboolean run(const char *text, unsigned flags, char **out_output, char **out_words,
		GError **error)
{
	g_autoptr(NftContext) context = nft_ctx_new(NFT_CTX_DEFAULT);

	if (!context)
		return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_SYSTEM,
				"the kernel has no nftables");
	nft_ctx_output_set_flags(context, flags);
	if (nft_ctx_buffer_output(context) != 0 || nft_ctx_buffer_error(context) != 0)
		return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_SYSTEM, "out of memory");
	int result = nft_run_cmd_from_buffer(context, text);
	*out_words = result == 0 ? NULL : first_words(nft_ctx_get_error_buffer(context));
	*out_output = g_strdup(nft_ctx_get_output_buffer(context));
	return TRUE;
}

gboolean ash_net_table_run(const char *text, GError **error)
{
	g_autofree char *output = NULL, *words = NULL;

	if (!run(text, 0, &output, &words, error))
		return FALSE;
	if (words)
		return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_SYSTEM, "rules: %s", words);
	return TRUE;
}

/* A table that is not there has nothing in it. */
static gboolean list(const char *family, unsigned flags, char **out_text, GError **error)
{
	g_autofree char *command = g_strdup_printf("list table %s %s", family, ASH_NET_TABLE);
	g_autofree char *output = NULL, *words = NULL;

	if (!run(command, flags, &output, &words, error))
		return FALSE;
	if (words && !strstr(words, "No such file or directory"))
		return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_SYSTEM, "rules: %s", words);
	*out_text = words ? g_strdup("") : g_steal_pointer(&output);
	return TRUE;
}

#define NAME_SET "\tset name_"
#define ELEMENTS "elements = {"

/* The elements of a set that begins at @set, up to its end; NULL: it has none. */
static const char *find_elements(const char *set, const char **out_end)
{
	const char *end = strstr(set, "\n\t}"), *elements = strstr(set, ELEMENTS);

	if (!end || !elements || elements > end)
		return NULL;
	elements += strlen(ELEMENTS);
	*out_end = memchr(elements, '}', (size_t) (end - elements));
	return *out_end ? elements : NULL;
}

static void append_without_names(GString *text, const char *listing)
{
	for (const char *set; (set = strstr(listing, NAME_SET));) {
		const char *end, *elements = find_elements(set, &end);
		const char *until = elements ? elements : set + strlen(NAME_SET);
		g_string_append_len(text, listing, until - listing);
		listing = elements ? end : until;
	}
	g_string_append(text, listing);
}

gboolean ash_net_table_list(char **out_text, GError **error)
{
	g_autoptr(GString) text = g_string_new(NULL);
	g_autofree char *inet = NULL, *netdev = NULL;

	if (!list("inet", NFT_CTX_OUTPUT_STATELESS, &inet, error) ||
			!list("netdev", NFT_CTX_OUTPUT_STATELESS, &netdev, error))
		return FALSE;
	append_without_names(text, inet);
	g_string_append(text, netdev);
	*out_text = g_string_free(g_steal_pointer(&text), FALSE);
	return TRUE;
}

gboolean ash_net_table_names(GHashTable **out_kept, GError **error)
{
	g_autoptr(GHashTable) kept = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_autofree char *text = NULL;

	if (!list("inet", 0, &text, error))
		return FALSE;
	for (const char *set = text; (set = strstr(set, NAME_SET)); set += strlen(NAME_SET)) {
		const char *end, *elements = find_elements(set, &end);
		const char *name = set + strlen("\tset ");
		if (elements)
			g_hash_table_insert(kept, g_strndup(name, strcspn(name, " ")),
					g_strstrip(g_strndup(elements, (size_t) (end - elements))));
	}
	*out_kept = g_steal_pointer(&kept);
	return TRUE;
}
