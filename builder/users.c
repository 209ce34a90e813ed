/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/users.h"

#include <stdbool.h>
#include <string.h>

#include "lib/error.h"
#include "lib/text.h"

G_DEFINE_QUARK(ash_users_error, ash_users_error)

enum {
	FIRST_FREE_ID = 100,
	LAST_FREE_ID = 999,
	MAX_FILE_BYTES = 4 << 20,
};

/* One of the four files, kept as lines. */
typedef struct {
	const char *path;
	uint32_t mode;
	uint32_t gid;
	GPtrArray *lines; /* char * */
} Table;

enum {
	PASSWD,
	GROUP,
	SHADOW,
	GSHADOW,
	N_TABLES,
};

struct AshUsers {
	Table tables[N_TABLES];
	bool is_changed;
};

void ash_users_free(AshUsers *users)
{
	if (users == NULL)
		return;
	for (int i = 0; i < N_TABLES; i++)
		g_clear_pointer(&users->tables[i].lines, g_ptr_array_unref);
	g_free(users);
}

static gboolean load_table(AshRepo *repo, const AshTree *tree, Table *table, GError **error)
{
	const AshNode *node = ash_tree_find(tree, table->path);
	g_autoptr(GBytes) text = NULL;

	table->lines = g_ptr_array_new_with_free_func(g_free);
	if (node == NULL || node->kind != ASH_NODE_FILE)
		return TRUE;
	table->mode = node->mode;
	table->gid = node->gid;
	if (!ash_repo_read_file(repo, tree, table->path, MAX_FILE_BYTES, &text, error))
		return FALSE;
	g_auto(GStrv) lines = g_strsplit(g_bytes_get_data(text, NULL), "\n", -1);
	for (char **line = lines; *line != NULL; line++)
		if (**line != '\0')
			g_ptr_array_add(table->lines, g_strdup(*line));
	return TRUE;
}

gboolean ash_users_load(AshRepo *repo, const AshTree *tree, AshUsers **out_users, GError **error)
{
	g_autoptr(AshUsers) users = g_new0(AshUsers, 1);

	users->tables[PASSWD] = (Table){.path = "etc/passwd", .mode = 0644};
	users->tables[GROUP] = (Table){.path = "etc/group", .mode = 0644};
	users->tables[SHADOW] = (Table){.path = "etc/shadow", .mode = 0640};
	users->tables[GSHADOW] = (Table){.path = "etc/gshadow", .mode = 0640};
	for (int i = 0; i < N_TABLES; i++)
		if (!load_table(repo, tree, &users->tables[i], error))
			return FALSE;
	*out_users = g_steal_pointer(&users);
	return TRUE;
}

/* Field @index of a line, newly allocated; NULL when there are fewer. */
static char *field(const char *line, int index)
{
	for (; index > 0; index--) {
		line = strchr(line, ':');
		if (line == NULL)
			return NULL;
		line++;
	}
	return g_strndup(line, strcspn(line, ":"));
}

static const char *find_name(const Table *table, const char *name)
{
	size_t len = strlen(name);

	for (guint i = 0; i < table->lines->len; i++) {
		const char *line = table->lines->pdata[i];
		if (strncmp(line, name, len) == 0 && line[len] == ':')
			return line;
	}
	return NULL;
}

/* Who has the number @id (field 2 in passwd and in group), or NULL; newly allocated. */
static char *find_id(const Table *table, uint32_t id)
{
	for (guint i = 0; i < table->lines->len; i++) {
		g_autofree char *text = field(table->lines->pdata[i], 2);
		if (text != NULL && *text != '\0' && g_ascii_strtoull(text, NULL, 10) == id)
			return field(table->lines->pdata[i], 0);
	}
	return NULL;
}

static gboolean find(const Table *table, const char *kind, const char *name, const char *mark,
		uint32_t *out_id, GError **error)
{
	guint64 number;

	if (g_ascii_string_to_unsigned(name, 10, 0, G_MAXUINT32 - 1, &number, NULL)) {
		*out_id = (uint32_t) number;
		return TRUE;
	}
	const char *line = find_name(table, name);
	if (line != NULL) {
		g_autofree char *id = field(line, 2);
		*out_id = id == NULL ? 0 : (uint32_t) g_ascii_strtoull(id, NULL, 10);
		return TRUE;
	}
	/* Only the build of a tree without passwd files may name root before there are any. */
	if (strcmp(name, "root") == 0) {
		*out_id = 0;
		return TRUE;
	}
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	for (guint i = 0; i < table->lines->len; i++)
		g_ptr_array_add(names, field(table->lines->pdata[i], 0));
	g_ptr_array_add(names, NULL);
	g_autofree char *hint = ash_text_suggestion(name, (const char *const *) names->pdata);
	return ash_throw(error, ASH_USERS_ERROR, ASH_USERS_ERROR_UNKNOWN,
			"%s: the image has no %s '%s'%s", mark, kind, name, hint);
}

gboolean ash_users_find_uid(const AshUsers *users, const char *name, const char *mark,
		uint32_t *out_uid, GError **error)
{
	return find(&users->tables[PASSWD], "user", name, mark, out_uid, error);
}

gboolean ash_users_find_gid(const AshUsers *users, const char *name, const char *mark,
		uint32_t *out_gid, GError **error)
{
	return find(&users->tables[GROUP], "group", name, mark, out_gid, error);
}

/* The number for a new account: the wanted one when nobody has it, else the largest free one that
 * neither a user nor a group has.
 */
static gboolean choose_id(const AshUsers *users, const Table *table, const AshManifestUser *account,
		uint32_t *out_id, GError **error)
{
	if (account->id >= 0) {
		g_autofree char *holder = find_id(table, (uint32_t) account->id);
		if (holder != NULL)
			return ash_throw(error, ASH_USERS_ERROR, ASH_USERS_ERROR_CONFLICT,
					"%s: '%s' cannot have the number %" G_GINT64_FORMAT
					": it is '%s'",
					account->mark, account->name, account->id, holder);
		*out_id = (uint32_t) account->id;
		return TRUE;
	}
	for (uint32_t id = LAST_FREE_ID; id >= FIRST_FREE_ID; id--) {
		g_autofree char *user = find_id(&users->tables[PASSWD], id);
		g_autofree char *group = find_id(&users->tables[GROUP], id);
		if (user == NULL && group == NULL) {
			*out_id = id;
			return TRUE;
		}
	}
	return ash_throw(error, ASH_USERS_ERROR, ASH_USERS_ERROR_FULL,
			"%s: no number between %d and %d is left for '%s'", account->mark,
			FIRST_FREE_ID, LAST_FREE_ID, account->name);
}

static void add_line(AshUsers *users, int table, char *take_line)
{
	g_ptr_array_add(users->tables[table].lines, take_line);
	users->is_changed = true;
}

static void add_group_lines(AshUsers *users, const char *name, uint32_t gid)
{
	add_line(users, GROUP, g_strdup_printf("%s:x:%u:", name, gid));
	add_line(users, GSHADOW, g_strdup_printf("%s:!*::", name));
}

static gboolean add_group(
		AshUsers *users, const AshManifestUser *group, GString *sysusers, GError **error)
{
	uint32_t gid = 0;

	if (find_name(&users->tables[GROUP], group->name) != NULL) {
		if (!ash_users_find_gid(users, group->name, group->mark, &gid, error))
			return FALSE;
		if (group->id >= 0 && gid != (uint32_t) group->id)
			return ash_throw(error, ASH_USERS_ERROR, ASH_USERS_ERROR_CONFLICT,
					"%s: the image has a group '%s' already, with the number %u",
					group->mark, group->name, gid);
		return TRUE;
	}
	if (!choose_id(users, &users->tables[GROUP], group, &gid, error))
		return FALSE;
	add_group_lines(users, group->name, gid);
	g_string_append_printf(sysusers, "g %s %u\n", group->name, gid);
	return TRUE;
}

/* Appends @user to the member list, the last field, of @group in group and gshadow. */
static gboolean add_member(AshUsers *users, const AshManifestUser *account, const char *group,
		GString *sysusers, GError **error)
{
	static const int tables[] = {GROUP, GSHADOW};
	uint32_t gid = 0;

	if (!ash_users_find_gid(users, group, account->mark, &gid, error))
		return FALSE;
	for (size_t t = 0; t < G_N_ELEMENTS(tables); t++) {
		GPtrArray *lines = users->tables[tables[t]].lines;
		for (guint i = 0; i < lines->len; i++) {
			g_autofree char *name = field(lines->pdata[i], 0);
			if (strcmp(name, group) != 0)
				continue;
			char *old = lines->pdata[i];
			lines->pdata[i] = g_strconcat(old, g_str_has_suffix(old, ":") ? "" : ",",
					account->name, NULL);
			g_free(old);
		}
	}
	users->is_changed = true;
	g_string_append_printf(sysusers, "m %s %s\n", account->name, group);
	return TRUE;
}

static gboolean add_user(
		AshUsers *users, const AshManifestUser *account, GString *sysusers, GError **error)
{
	const char *home = account->home != NULL ? account->home : "/";
	const char *shell = account->shell != NULL ? account->shell : "/usr/sbin/nologin";
	const char *gecos = account->gecos != NULL ? account->gecos : "";
	uint32_t uid = 0;
	uint32_t gid = 0;

	if (find_name(&users->tables[PASSWD], account->name) != NULL)
		return ash_throw(error, ASH_USERS_ERROR, ASH_USERS_ERROR_CONFLICT,
				"%s: the image has a user '%s' already", account->mark,
				account->name);
	if (!choose_id(users, &users->tables[PASSWD], account, &uid, error))
		return FALSE;
	if (find_name(&users->tables[GROUP], account->name) != NULL) {
		if (!ash_users_find_gid(users, account->name, account->mark, &gid, error))
			return FALSE;
	} else {
		AshManifestUser group = {
				.mark = account->mark, .name = account->name, .id = (int64_t) uid};
		g_autofree char *holder = find_id(&users->tables[GROUP], uid);
		if (holder != NULL)
			group.id = -1;
		if (!choose_id(users, &users->tables[GROUP], &group, &gid, error))
			return FALSE;
		add_group_lines(users, account->name, gid);
		g_string_append_printf(sysusers, "g %s %u\n", account->name, gid);
	}
	add_line(users, PASSWD,
			g_strdup_printf("%s:x:%u:%u:%s:%s:%s", account->name, uid, gid, gecos, home,
					shell));
	/* '!*': no password opens it. The date of the last change stays empty, to be reproducible. */
	add_line(users, SHADOW, g_strdup_printf("%s:!*:::::::", account->name));
	g_string_append_printf(sysusers, "u %s %u:%u \"%s\" %s %s\n", account->name, uid, gid,
			gecos, home, shell);
	for (char **group = account->groups; group != NULL && *group != NULL; group++)
		if (!add_member(users, account, *group, sysusers, error))
			return FALSE;
	return TRUE;
}

static gboolean store(AshRepo *repo, AshTree *tree, const char *path, uint32_t mode, uint32_t gid,
		const GString *text, GError **error)
{
	g_autoptr(AshNode) node = ash_node_new(ASH_NODE_FILE, mode);

	node->gid = gid;
	return ash_repo_write_file(repo, node, text->str, text->len, error) &&
	       ash_tree_insert(tree, path, g_steal_pointer(&node), error);
}

gboolean ash_users_add(AshUsers *users, AshRepo *repo, const GPtrArray *groups,
		const GPtrArray *accounts, AshTree *tree, GError **error)
{
	g_autoptr(GString) sysusers = g_string_new("");

	for (guint i = 0; i < groups->len; i++)
		if (!add_group(users, groups->pdata[i], sysusers, error))
			return FALSE;
	for (guint i = 0; i < accounts->len; i++)
		if (!add_user(users, accounts->pdata[i], sysusers, error))
			return FALSE;
	if (!users->is_changed)
		return TRUE;
	for (int i = 0; i < N_TABLES; i++) {
		const Table *table = &users->tables[i];
		g_autoptr(GString) text = g_string_new("");
		for (guint l = 0; l < table->lines->len; l++)
			g_string_append_printf(text, "%s\n", (const char *) table->lines->pdata[l]);
		if (!store(repo, tree, table->path, table->mode, table->gid, text, error))
			return FALSE;
	}
	return store(repo, tree, "usr/lib/sysusers.d/50-ashlar-manifest.conf", 0644, 0, sysusers,
			error);
}
