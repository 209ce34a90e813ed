/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/workload/broker.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"

enum {
	ID_BYTES = 4,
	MAX_PENDING_BYTES = 4096,
};

static char *path_of(const char *root, const char *id, const char *suffix)
{
	return g_strdup_printf("%s%s/%s%s", root, ASH_BROKER_PENDING, id, suffix);
}

static char *describe(const char *id, const AshCallQuestion *question, const char *target)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_string(builder, "id", id);
	ash_json_add_string(builder, "service", question->service);
	ash_json_add_string(builder, "argument", question->argument);
	ash_json_add_string(builder, "source", question->source);
	ash_json_add_string(builder, "target", target);
	ash_json_add_int(builder, "since", g_get_real_time() / G_USEC_PER_SEC);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

static unsigned count_of(const char *root, const char *source)
{
	g_autofree char *path = g_strconcat(root, ASH_BROKER_PENDING, NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	g_autofree char *member = g_strdup_printf("\"source\":\"%s\"", source);
	unsigned n = 0;

	for (const char *name; dir && (name = g_dir_read_name(dir));) {
		g_autofree char *file = g_build_filename(path, name, NULL);
		g_autoptr(GBytes) bytes = NULL;
		if (g_str_has_suffix(name, ".json") &&
				ash_file_read(AT_FDCWD, file, MAX_PENDING_BYTES, &bytes, NULL))
			n += strstr(g_bytes_get_data(bytes, NULL), member) != NULL;
	}
	return n;
}

gboolean ash_broker_ask(const char *root, const AshCallQuestion *question, const char *target,
		int caller_fd, bool *out_may, GError **error)
{
	g_autofree char *dir = g_strconcat(root, ASH_BROKER_PENDING, NULL);
	g_autofree char *id = ash_crypto_random_hex(ID_BYTES);
	g_autofree char *path = path_of(root, id, ".json");
	g_autofree char *answer = path_of(root, id, ".answer");
	g_autofree char *text = describe(id, question, target);
	g_autoptr(GBytes) said = NULL;

	if (count_of(root, question->source) >= ASH_BROKER_MAX_PENDING_OF_INSTANCE)
		return ash_throw(error, ASH_BROKER_ERROR, ASH_BROKER_ERROR_REFUSED,
				"%d calls of %s wait for a decision already",
				ASH_BROKER_MAX_PENDING_OF_INSTANCE, question->source);
	if (!ash_file_ensure_dir(AT_FDCWD, dir, 0700, error) ||
			!ash_file_replace(AT_FDCWD, path, text, strlen(text), 0600, error))
		return FALSE;
	const AshBrokerWait wait = {answer, MAX_PENDING_BYTES, ASH_BROKER_ANSWER_S,
			"nobody decided about it within an hour"};
	gboolean ok = ash_broker_wait(&wait, caller_fd, &said, error);
	unlink(path);
	unlink(answer);
	if (ok)
		*out_may = g_str_has_prefix(g_bytes_get_data(said, NULL), "allow");
	return ok;
}

gboolean ash_broker_answer(const char *root, const char *id, bool may, GError **error)
{
	g_autofree char *path = path_of(root, id, ".json");
	g_autofree char *answer = path_of(root, id, ".answer");
	const char *text = may ? "allow\n" : "deny\n";

	if (strspn(id, "0123456789abcdef") != strlen(id) || access(path, F_OK) < 0)
		return ash_throw(error, ASH_BROKER_ERROR, ASH_BROKER_ERROR_REFUSED,
				"no call '%s' waits for a decision", id);
	return ash_file_replace(AT_FDCWD, answer, text, strlen(text), 0600, error);
}

char *ash_broker_pending(const char *root)
{
	g_autofree char *path = g_strconcat(root, ASH_BROKER_PENDING, NULL);
	g_autoptr(GString) text = g_string_new("{\"pending\":[");
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);

	for (const char *name; dir && (name = g_dir_read_name(dir));) {
		g_autofree char *file = g_build_filename(path, name, NULL);
		g_autoptr(GBytes) bytes = NULL;
		if (!g_str_has_suffix(name, ".json") ||
				!ash_file_read(AT_FDCWD, file, MAX_PENDING_BYTES, &bytes, NULL))
			continue;
		g_autofree char *one = g_strchomp(g_strdup(g_bytes_get_data(bytes, NULL)));
		g_string_append_printf(
				text, "%s%s", text->str[text->len - 1] == '[' ? "" : ",", one);
	}
	g_string_append(text, "]}\n");
	return g_string_free(g_steal_pointer(&text), FALSE);
}
