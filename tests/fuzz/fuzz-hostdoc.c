/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/hostdoc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted must be fit to be written into a line of a unit. */
static void check_line(const char *text)
{
	for (const char *p = text; p != NULL && *p != '\0'; p++)
		g_assert(!g_ascii_iscntrl(*p));
}

static void check_lines(char *const *texts)
{
	g_assert(g_strv_length((char **) (uintptr_t) texts) <= ASH_HOSTDOC_MAX_LIST);
	for (; *texts != NULL; texts++)
		check_line(*texts);
}

static void check(const AshHostdoc *doc)
{
	check_line(doc->hostname);
	check_line(doc->updates.url);
	check_line(doc->fleet_url);
	check_line(doc->fleet_token);
	check_lines(doc->ntp);
	check_lines(doc->ssh_keys);
	g_assert(doc->updates.check_s >= 60 && doc->updates.check_s <= 7 * 86400);
	g_assert(doc->updates.tries >= 1 && doc->updates.keep >= 2);
	for (guint i = 0; i < doc->networks->len; i++) {
		const AshHostNetwork *network = doc->networks->pdata[i];
		g_assert((network->name == NULL) != (network->mac == NULL));
		check_line(network->name);
		check_lines(network->addresses);
		check_lines(network->gateway);
		check_lines(network->dns);
		g_autofree char *unit = ash_hostdoc_network_unit(network);
		g_assert(g_utf8_validate(unit, -1, NULL));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(AshHostdoc) doc = NULL;
	g_autoptr(GError) error = NULL;

	/* lib/file.h promises the zero behind the end, which parsers rely on. */
	g_autofree char *copy = g_malloc(size + 1);
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	g_autoptr(GBytes) text = g_bytes_new_static(copy, size);
	if (ash_hostdoc_parse("fuzz.yaml", text, &doc, &error))
		check(doc);
	else
		g_assert(error != NULL && g_utf8_validate(error->message, -1, NULL));
	return 0;
}
