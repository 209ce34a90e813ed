/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "builder/lint.h"

#define PASSWD "/usr/etc/passwd"
#define GROUP "/usr/etc/group"
#define SHADOW "/usr/etc/shadow"

typedef struct {
	AshLint *lint;
	GHashTable *users; /* numbers, as pointers */
	GHashTable *groups;
	GHashTable *told; /* "u12": each stranger is told once */
} Owners;

static void check_password(AshLint *lint, const char *path, const char *user, const char *password)
{
	if (*password == '\0')
		ash_lint_add(lint, "no-password", ASH_LINT_SEVERE, path,
				"'%s' may log in without a password; lock the account with '!'",
				user);
	else if (*password != '!' && *password != '*' && strcmp(password, "x") != 0)
		ash_lint_add(lint, "password", ASH_LINT_SEVERE, path,
				"the password of '%s' is in every copy of this image; lock the account with '!' and provision hosts with keys",
				user);
}

/* @minimum: fields that a line has at least */
static gboolean read_lines(AshLint *lint, const char *path, guint minimum,
		void (*check)(AshLint *, char **, GHashTable *), GHashTable *numbers,
		GError **error)
{
	g_autofree char *text = NULL;

	if (!ash_lint_read(lint, path, &text, error))
		return FALSE;
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line != NULL; line++) {
		g_auto(GStrv) fields = g_strsplit(*line, ":", -1);
		if (g_strv_length(fields) >= minimum)
			check(lint, fields, numbers);
	}
	return TRUE;
}

static void check_user(AshLint *lint, char **fields, GHashTable *numbers)
{
	guint64 uid = 0;

	if (!g_ascii_string_to_unsigned(fields[2], 10, 0, G_MAXUINT32, &uid, NULL))
		return;
	g_hash_table_add(numbers, GUINT_TO_POINTER((guint) uid));
	check_password(lint, PASSWD, fields[0], fields[1]);
	if (uid == 0 && strcmp(fields[0], "root") != 0)
		ash_lint_add(lint, "second-root", ASH_LINT_SEVERE, PASSWD,
				"'%s' has uid 0 and is root by another name; give it its own",
				fields[0]);
}

static void check_group(AshLint *lint, char **fields, GHashTable *numbers)
{
	guint64 gid = 0;

	if (g_ascii_string_to_unsigned(fields[2], 10, 0, G_MAXUINT32, &gid, NULL))
		g_hash_table_add(numbers, GUINT_TO_POINTER((guint) gid));
}

static void check_shadow(AshLint *lint, char **fields, GHashTable *numbers)
{
	check_password(lint, SHADOW, fields[0], fields[1]);
}

static void check_number(
		Owners *owners, const char *path, const char *what, GHashTable *known, uint32_t id)
{
	g_autofree char *key = g_strdup_printf("%s %u", what, id);

	if (g_hash_table_contains(known, GUINT_TO_POINTER(id)) ||
			g_hash_table_contains(owners->told, key))
		return;
	ash_lint_add(owners->lint, "unknown-owner", ASH_LINT_SEVERE, path,
			"belongs to %s, which has no name (told once); add the account or change the owner",
			key);
	g_hash_table_add(owners->told, g_steal_pointer(&key));
}

static gboolean check_owner(const char *path, AshNode *node, gpointer data, GError **error)
{
	Owners *owners = data;

	check_number(owners, path, "uid", owners->users, node->uid);
	check_number(owners, path, "gid", owners->groups, node->gid);
	return TRUE;
}

gboolean ash_lint_check_accounts(AshLint *lint, GError **error)
{
	g_autoptr(GHashTable) users = g_hash_table_new(NULL, NULL);
	g_autoptr(GHashTable) groups = g_hash_table_new(NULL, NULL);
	g_autoptr(GHashTable) told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	Owners owners = {lint, users, groups, told};

	/* Root is nobody's to define. */
	g_hash_table_add(users, NULL);
	g_hash_table_add(groups, NULL);
	return read_lines(lint, PASSWD, 7, check_user, users, error) &&
	       read_lines(lint, GROUP, 4, check_group, groups, error) &&
	       read_lines(lint, SHADOW, 2, check_shadow, NULL, error) &&
	       ash_tree_walk(lint->tree, check_owner, &owners, error);
}
