/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/workload/registry-order.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/yaml.h"

static void registry_free(AshRegistry *entry)
{
	g_free(entry->host);
	g_free(entry->username);
	g_free(entry->password);
	g_free(entry->password_file);
	g_free(entry->ca_file);
	g_free(entry->ca);
	g_strfreev(entry->token_hosts);
	g_strfreev(entry->mirrors);
	g_free(entry);
}

void ash_registries_free(AshRegistries *registries)
{
	if (registries == NULL)
		return;
	g_free(registries->proxy);
	g_ptr_array_unref(registries->entries);
	g_free(registries);
}

static AshRegistries *new_registries(void)
{
	AshRegistries *registries = g_new0(AshRegistries, 1);

	registries->proxy = g_strdup("");
	registries->entries = g_ptr_array_new_with_free_func((GDestroyNotify) registry_free);
	return registries;
}

/* ---- reading ------------------------------------------------------------------------------------- */

/* Values are never said: they may be passwords. */
static gboolean refuse(const AshYamlNode *node, const char *why, GError **error)
{
	return ash_yaml_throw(node, error, ASH_REGISTRY_ERROR, ASH_REGISTRY_ERROR_FILE, "%s", why);
}

static gboolean take_text(const AshYamlNode *node, const char *key, char **place, GError **error)
{
	char *text = NULL;

	if (!ash_yaml_string(node, key, &text, error))
		return FALSE;
	g_free(*place);
	*place = text;
	if (strlen(text) > ASH_REGISTRY_MAX_SECRET_BYTES)
		return refuse(node, "longer than 4096 bytes", error);
	for (const char *at = text; *at != '\0'; at++)
		if ((unsigned char) *at < ' ' || *at == 0x7f)
			return refuse(node, "holds a control character", error);
	return TRUE;
}

static gboolean take_texts(
		const AshYamlNode *node, const char *key, guint max, char ***place, GError **error)
{
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

	if (node->kind != ASH_YAML_LIST || node->items->len > max)
		return refuse(node, "expected a list, of not too many", error);
	for (guint i = 0; i < node->items->len; i++) {
		char *text = NULL;
		gboolean is_ok = take_text(node->items->pdata[i], key, &text, error);
		g_ptr_array_add(texts, text);
		if (!is_ok)
			return FALSE;
	}
	g_ptr_array_add(texts, NULL);
	g_strfreev(*place);
	*place = (char **) g_ptr_array_free(g_steal_pointer(&texts), FALSE);
	return TRUE;
}

static gboolean check_mirrors(const AshYamlNode *node, char *const *mirrors, GError **error)
{
	for (char *const *mirror = mirrors; *mirror != NULL; mirror++) {
		g_autofree char *host = ash_registry_url_host(*mirror);
		if (host == NULL)
			return refuse(node, "a mirror is not http(s)://HOST[:PORT][/PREFIX]",
					error);
		if (g_str_has_prefix(*mirror, "http:") && !ash_registry_is_loopback(host))
			return refuse(node, "a mirror without TLS that is not on this machine",
					error);
	}
	return TRUE;
}

static gboolean take_member(AshRegistry *entry, const AshYamlPair *pair, GError **error)
{
	const struct {
		const char *key;
		char **place;
	} texts[] = {
			{"host", &entry->host},
			{"username", &entry->username},
			{"password", &entry->password},
			{"password-file", &entry->password_file},
			{"ca", &entry->ca_file},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		if (strcmp(pair->key, texts[i].key) == 0)
			return take_text(pair->value, pair->key, texts[i].place, error);
	if (strcmp(pair->key, "plain-http") == 0)
		return ash_yaml_bool(pair->value, pair->key, &entry->is_plain, error);
	if (strcmp(pair->key, "token-hosts") == 0)
		return take_texts(pair->value, pair->key, ASH_REGISTRY_MAX_MIRRORS,
				&entry->token_hosts, error);
	if (strcmp(pair->key, "mirrors") == 0)
		return take_texts(pair->value, pair->key, ASH_REGISTRY_MAX_MIRRORS, &entry->mirrors,
				       error) &&
		       check_mirrors(pair->value, entry->mirrors, error);
	return refuse(pair->value,
			"unknown key; known are host, username, password, password-file, token-hosts, "
			"ca, plain-http, mirrors",
			error);
}

static gboolean parse_entry(const AshYamlNode *node, GPtrArray *entries, GError **error)
{
	AshRegistry *entry = g_new0(AshRegistry, 1);

	g_ptr_array_add(entries, entry);
	char **texts[] = {&entry->host, &entry->username, &entry->password, &entry->password_file,
			&entry->ca_file, &entry->ca};
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		*texts[i] = g_strdup("");
	entry->token_hosts = g_new0(char *, 1);
	entry->mirrors = g_new0(char *, 1);
	if (node->kind != ASH_YAML_MAP)
		return refuse(node, "expected a registry: host: …", error);
	for (guint i = 0; i < node->pairs->len; i++)
		if (!take_member(entry, node->pairs->pdata[i], error))
			return FALSE;
	g_autofree char *url = g_strconcat("https://", entry->host, NULL);
	g_autofree char *host = ash_registry_url_host(url);
	if (host == NULL || g_ascii_strcasecmp(host, entry->host) != 0)
		return refuse(node, "'host' is missing, or not HOST[:PORT]", error);
	if (entry->is_plain && !ash_registry_is_loopback(host))
		return refuse(node, "plain-http is for registries on this machine alone", error);
	if (*entry->password != '\0' && *entry->password_file != '\0')
		return refuse(node, "a password and a password-file", error);
	return TRUE;
}

gboolean ash_registries_parse(
		const char *file, GBytes *text, AshRegistries **out_registries, GError **error)
{
	g_autoptr(AshYaml) root = NULL;
	g_autoptr(AshRegistries) registries = new_registries();

	if (!ash_yaml_parse(file, text, &root, error))
		return FALSE;
	if (root->kind != ASH_YAML_NULL && root->kind != ASH_YAML_MAP)
		return refuse(root, "expected registries: …", error);
	for (guint i = 0; root->kind == ASH_YAML_MAP && i < root->pairs->len; i++) {
		const AshYamlPair *pair = root->pairs->pdata[i];
		const AshYamlNode *list = pair->value;
		if (strcmp(pair->key, "proxy") == 0) {
			if (!take_text(list, "proxy", &registries->proxy, error))
				return FALSE;
			continue;
		}
		if (strcmp(pair->key, "registries") != 0)
			return refuse(list, "unknown key; known are proxy and registries", error);
		if (list->kind != ASH_YAML_LIST || list->items->len > ASH_REGISTRY_MAX_ENTRIES)
			return refuse(list, "expected a list of at most 256 registries", error);
		for (guint k = 0; k < list->items->len; k++)
			if (!parse_entry(list->items->pdata[k], registries->entries, error))
				return FALSE;
	}
	*out_registries = g_steal_pointer(&registries);
	return TRUE;
}

/* ---- the file ------------------------------------------------------------------------------------ */

static gboolean bring_files(AshRegistry *entry, GError **error)
{
	g_autoptr(GBytes) password = NULL;
	g_autoptr(GBytes) ca = NULL;

	if (*entry->password_file != '\0') {
		if (!ash_file_read(AT_FDCWD, entry->password_file, ASH_REGISTRY_MAX_SECRET_BYTES,
				    &password, error))
			return FALSE;
		g_free(entry->password);
		entry->password = g_strdup(g_bytes_get_data(password, NULL));
		entry->password[strcspn(entry->password, "\r\n")] = '\0';
	}
	if (*entry->ca_file != '\0') {
		if (!ash_file_read(AT_FDCWD, entry->ca_file, ASH_REGISTRY_MAX_CA_BYTES, &ca, error))
			return FALSE;
		g_free(entry->ca);
		entry->ca = g_strdup(g_bytes_get_data(ca, NULL));
	}
	return TRUE;
}

gboolean ash_registries_load(const char *path, AshRegistries **out_registries, GError **error)
{
	ash_autofd int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	g_autoptr(AshRegistries) registries = NULL;
	g_autoptr(GBytes) text = NULL;
	bool has_password = false;
	struct stat st;

	if (fd < 0 && errno == ENOENT) {
		*out_registries = new_registries();
		return TRUE;
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return ash_throw_errno(error, "%s", path);
	g_autofree char *self = g_strdup_printf("/proc/self/fd/%d", fd);
	if (!ash_file_read(AT_FDCWD, self, ASH_REGISTRY_MAX_FILE_BYTES, &text, error) ||
			!ash_registries_parse(path, text, &registries, error))
		return FALSE;
	for (guint i = 0; i < registries->entries->len; i++) {
		AshRegistry *entry = registries->entries->pdata[i];
		has_password = has_password || *entry->password != '\0';
		if (!bring_files(entry, error))
			return FALSE;
	}
	if (has_password && (st.st_uid != 0 || (st.st_mode & 077) != 0))
		return ash_throw(error, ASH_REGISTRY_ERROR, ASH_REGISTRY_ERROR_FILE,
				"%s holds a password and is not for root alone: chown root, chmod 600",
				path);
	*out_registries = g_steal_pointer(&registries);
	return TRUE;
}
