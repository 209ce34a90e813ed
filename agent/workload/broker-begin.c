/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/workload/broker.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"

enum {
	MAX_ANSWER_BYTES = 8192,
};

/* Shorter than PIPE_BUF, so it is whole whoever else writes. */
static gboolean ask(const AshBrokerInstance *provider, const char *id, GError **error)
{
	g_autofree char *line =
			g_strdup_printf("begin %s %s %d\n", provider->workload, id, (int) getpid());
	size_t size = strlen(line);

	return write(STDOUT_FILENO, line, size) == (ssize_t) size
			       ? TRUE
			       : ash_throw_errno(error, "asking for an instance");
}

static gboolean take_answer(GBytes *answer, char **out_dir, GError **error)
{
	g_autoptr(JsonNode) node = NULL;

	if (!ash_json_parse(answer, MAX_ANSWER_BYTES, 4, &node, error))
		return FALSE;
	JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
	const char *dir = object ? ash_json_find_text(object, "dir") : NULL;
	const char *refused = object ? ash_json_find_text(object, "refused") : NULL;
	if (!dir)
		return ash_throw(error, ASH_BROKER_ERROR, ASH_BROKER_ERROR_REFUSED, "%s",
				refused ? refused : "it has no instance");
	*out_dir = g_strdup(dir);
	return TRUE;
}

gboolean ash_broker_begin(const char *root, const AshBrokerInstance *provider, int caller_fd,
		char **out_dir, GError **error)
{
	g_autofree char *id = ash_crypto_random_hex(ASH_BROKER_ID_CHARS / 2);
	g_autofree char *dir = g_strconcat(root, ASH_BROKER_CALLS, NULL);
	g_autofree char *path = g_strdup_printf("%s/%s.json", dir, id);
	g_autoptr(GBytes) answer = NULL;

	if (!ash_file_ensure_dir(AT_FDCWD, dir, 0700, error) || !ask(provider, id, error))
		return FALSE;
	g_autofree char *late = g_strdup_printf(
			"its instance did not begin within %d s", ASH_BROKER_BEGIN_S);
	const AshBrokerWait wait = {path, MAX_ANSWER_BYTES, ASH_BROKER_BEGIN_S, late};
	gboolean ok = ash_broker_wait(&wait, caller_fd, &answer, error);
	unlink(path);
	return ok && take_answer(answer, out_dir, error);
}
