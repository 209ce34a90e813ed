/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "lib/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What quoting makes of any scalar reads as that scalar. */
static void check_quote(const AshYamlNode *node)
{
	g_autofree char *quoted = ash_yaml_quote(node->scalar);
	g_autofree char *list = g_strdup_printf("[%s]", quoted);
	g_autoptr(GBytes) bytes = g_bytes_new(list, strlen(list));
	g_autoptr(AshYaml) root = NULL;

	g_assert_true(ash_yaml_parse("quoted", bytes, &root, NULL));
	const AshYamlNode *item = root->items->pdata[0];
	g_assert_cmpint(item->kind, ==, ASH_YAML_SCALAR);
	g_assert_cmpstr(item->scalar, ==, node->scalar);
}

static void walk(const AshYamlNode *node)
{
	g_assert_true(node->line > 0 && node->column > 0);
	if (node->kind == ASH_YAML_SCALAR)
		check_quote(node);
	for (guint i = 0; node->kind == ASH_YAML_LIST && i < node->items->len; i++)
		walk(node->items->pdata[i]);
	for (guint i = 0; node->kind == ASH_YAML_MAP && i < node->pairs->len; i++)
		walk(((const AshYamlPair *) node->pairs->pdata[i])->value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(data, size);
	g_autoptr(AshYaml) root = NULL;
	g_autoptr(GError) error = NULL;

	if (ash_yaml_parse("fuzz.yaml", bytes, &root, &error))
		walk(root);
	else
		g_assert_true(error->domain == ASH_YAML_ERROR);
	return 0;
}
