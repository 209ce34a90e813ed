/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/solve-state.h"

#include <fcntl.h>
#include <solv/pool.h>
#include <solv/repo.h>
#include <solv/repo_solv.h>
#include <solv/repo_write.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"

/* The cache file is libsolv's own format, followed by the 64 digits of its SHA-256: libsolv trusts what
 * it reads, so a file that a power cut or a bad disk changed must be found out before.
 *
 * libsolv's reader of Debian indices is not used: it knows no Size and no Essential, keeps descriptions,
 * which are most of an index, and has no limits.
 */

enum {
	CACHE_FORMAT = 1, /* in the file's name: another number when what is kept changes */
	CACHE_MAX_BYTES = 256 << 20,
	CACHE_MAX_AGE_DAYS = 30,
	CACHE_BUFFER_BYTES = 1 << 18,
	MAX_ALTERNATIVES = 256,
	MAX_NAME_BYTES = 512,
	MAX_PATH_BYTES = 1024,
};

typedef enum {
	FIELD_PACKAGE,
	FIELD_VERSION,
	FIELD_ARCHITECTURE,
	FIELD_DEPENDS,
	FIELD_PRE_DEPENDS,
	FIELD_RECOMMENDS,
	FIELD_CONFLICTS,
	FIELD_BREAKS,
	FIELD_PROVIDES,
	FIELD_ESSENTIAL,
	FIELD_PRIORITY,
	FIELD_FILENAME,
	FIELD_SIZE,
	FIELD_SHA256,
	N_FIELDS,
} Field;

static const char *const field_names[N_FIELDS] = {
		[FIELD_PACKAGE] = "Package",
		[FIELD_VERSION] = "Version",
		[FIELD_ARCHITECTURE] = "Architecture",
		[FIELD_DEPENDS] = "Depends",
		[FIELD_PRE_DEPENDS] = "Pre-Depends",
		[FIELD_RECOMMENDS] = "Recommends",
		[FIELD_CONFLICTS] = "Conflicts",
		[FIELD_BREAKS] = "Breaks",
		[FIELD_PROVIDES] = "Provides",
		[FIELD_ESSENTIAL] = "Essential",
		[FIELD_PRIORITY] = "Priority",
		[FIELD_FILENAME] = "Filename",
		[FIELD_SIZE] = "Size",
		[FIELD_SHA256] = "SHA256",
};

typedef struct {
	Repo *repo;
	Repodata *data;
	const char *arch;
	const char *what;
	Id priority_key;
	Id essential;
} Loader;

/* libsolv's macros for this convert between signed and unsigned, which our warnings refuse. */
bool ash_solve_split(const Pool *pool, int dep, int *out_left, int *out_relation, int *out_right)
{
	const unsigned mark = 0x80000000U;

	if (((unsigned) dep & mark) == 0)
		return false;
	const Reldep *rel = pool->rels + ((unsigned) dep ^ mark);
	*out_left = rel->name;
	*out_relation = rel->flags;
	*out_right = rel->evr;
	return true;
}

/* ---- one paragraph --------------------------------------------------------------------------- */

static bool is_name(const char *text, size_t size)
{
	if (size == 0 || size > MAX_NAME_BYTES || !g_ascii_isalnum(*text))
		return false;
	for (size_t i = 1; i < size; i++)
		if (!g_ascii_isalnum(text[i]) && strchr("+-._", text[i]) == NULL)
			return false;
	return true;
}

static bool is_version(const char *text, size_t size)
{
	if (size == 0 || size > MAX_NAME_BYTES)
		return false;
	for (size_t i = 0; i < size; i++)
		if (!g_ascii_isalnum(text[i]) && strchr("+-.~:_", text[i]) == NULL)
			return false;
	return true;
}

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* Reads "<<", "<=", "=", ">=", ">>", and the old "<", ">" for "<=", ">=". */
static int parse_relation(const char **p)
{
	static const struct {
		const char *text;
		int flags;
	} relations[] = {{"<<", REL_LT}, {"<=", REL_LT | REL_EQ}, {">>", REL_GT},
			{">=", REL_GT | REL_EQ}, {"=", REL_EQ}, {"<", REL_LT | REL_EQ},
			{">", REL_GT | REL_EQ}};

	for (size_t i = 0; i < G_N_ELEMENTS(relations); i++)
		if (g_str_has_prefix(*p, relations[i].text)) {
			*p += strlen(relations[i].text);
			return relations[i].flags;
		}
	return 0;
}

/* "name", "name:any", "name (>= version)"; ends at ',', '|' or the end. 0 when it is none of these. */
static Id parse_one(const Loader *loader, const char **position)
{
	Pool *pool = loader->repo->pool;
	const char *p = skip_blanks(*position);
	size_t length = strcspn(p, " \t\r\n(,|:");

	if (!is_name(p, length))
		return 0;
	Id id = pool_strn2id(pool, p, (unsigned) length, 1);
	p += length;
	if (*p == ':') {
		/* One architecture: ":any" and our own say nothing; another cannot be had. */
		size_t qualifier = strcspn(p + 1, " \t\r\n(,|");
		bool is_ours = (qualifier == 3 && strncmp(p + 1, "any", 3) == 0) ||
			       (qualifier == strlen(loader->arch) &&
					       strncmp(p + 1, loader->arch, qualifier) == 0);
		if (!is_ours) {
			g_autofree char *foreign = g_strndup(p - length, length + 1 + qualifier);
			id = pool_str2id(pool, foreign, 1);
		}
		p += 1 + qualifier;
	}
	p = skip_blanks(p);
	if (*p == '(') {
		p = skip_blanks(p + 1);
		int flags = parse_relation(&p);
		p = skip_blanks(p);
		size_t version = strcspn(p, " \t\r\n)");
		if (flags == 0 || !is_version(p, version))
			return 0;
		Id evr = pool_strn2id(pool, p, (unsigned) version, 1);
		id = pool_rel2id(pool, id, evr, flags, 1);
		p = skip_blanks(p + version);
		if (*p != ')')
			return 0;
		p = skip_blanks(p + 1);
	}
	*position = p;
	return *p == ',' || *p == '|' || *p == '\0' ? id : 0;
}

/* "a | b | c" to a | (b | c). */
static Id parse_group(const Loader *loader, const char **position)
{
	Id ids[MAX_ALTERNATIVES];
	size_t count = 0;

	for (;;) {
		Id id = parse_one(loader, position);
		if (id == 0 || count == MAX_ALTERNATIVES)
			return 0;
		ids[count++] = id;
		if (**position != '|')
			break;
		(*position)++;
	}
	Id group = ids[--count];
	while (count > 0)
		group = pool_rel2id(loader->repo->pool, ids[--count], group, REL_OR, 1);
	return group;
}

static bool parse_relations(const Loader *loader, const char *value, Id marker, Offset *deps)
{
	const char *p = skip_blanks(value);

	while (*p != '\0') {
		/* Two commas in a row, or one at the end, are seen in the wild. */
		if (*p == ',') {
			p = skip_blanks(p + 1);
			continue;
		}
		Id id = parse_group(loader, &p);
		if (id == 0)
			return false;
		*deps = repo_addid_dep(loader->repo, *deps, id, marker);
	}
	return true;
}

static unsigned priority_number(const char *text)
{
	static const char *const names[] = {"required", "important", "standard", "optional"};

	for (unsigned i = 0; text != NULL && i < G_N_ELEMENTS(names); i++)
		if (g_str_equal(text, names[i]))
			return i + 1;
	return G_N_ELEMENTS(names) + 1;
}

static bool is_safe_path(const char *path)
{
	if (*path == '\0' || strlen(path) > MAX_PATH_BYTES)
		return false;
	for (const char *c = path; *c != '\0'; c++)
		if ((unsigned char) *c < 0x20 || *c == 0x7f)
			return false;
	g_auto(GStrv) parts = g_strsplit(path, "/", -1);
	return !g_strv_contains((const char *const *) parts, "..");
}

static gboolean throw_field(const Loader *loader, const AshParagraph *paragraph,
		const char *package, Field field, GError **error)
{
	return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SYNTAX,
			"%s:%u: package '%s': '%s' is missing or malformed", loader->what,
			paragraph->line, package != NULL ? package : "?", field_names[field]);
}

static void collect_fields(const AshParagraph *paragraph, const char *values[N_FIELDS])
{
	for (size_t i = 0; i < paragraph->count; i++)
		for (unsigned field = 0; field < N_FIELDS; field++)
			if (g_ascii_strcasecmp(paragraph->fields[i].name, field_names[field]) ==
					0) {
				values[field] = paragraph->fields[i].value;
				break;
			}
}

static bool check_field(Field field, const char *value)
{
	guint64 number = 0;

	switch (field) {
	case FIELD_PACKAGE:
	case FIELD_ARCHITECTURE:
		return value != NULL && is_name(value, strlen(value));
	case FIELD_VERSION:
		return value != NULL && is_version(value, strlen(value));
	case FIELD_FILENAME:
		return value != NULL && is_safe_path(value);
	case FIELD_SIZE:
		return value != NULL &&
		       g_ascii_string_to_unsigned(value, 10, 1, G_MAXINT64, &number, NULL);
	case FIELD_SHA256:
		return value != NULL && strlen(value) == ASH_SHA256_HEX &&
		       strspn(value, "0123456789abcdef") == ASH_SHA256_HEX;
	case FIELD_DEPENDS:
	case FIELD_PRE_DEPENDS:
	case FIELD_RECOMMENDS:
	case FIELD_CONFLICTS:
	case FIELD_BREAKS:
	case FIELD_PROVIDES:
	case FIELD_ESSENTIAL:
	case FIELD_PRIORITY:
	case N_FIELDS:
		break;
	}
	return true;
}

static gboolean add_relations(Loader *loader, const AshParagraph *paragraph, Id id,
		const char *const values[N_FIELDS], GError **error)
{
	Pool *pool = loader->repo->pool;
	Solvable *s = pool_id2solvable(pool, id);
	const struct {
		Field field;
		Offset *deps;
		Id marker;
	} relations[] = {
			{FIELD_PRE_DEPENDS, &s->requires, SOLVABLE_PREREQMARKER},
			{FIELD_DEPENDS, &s->requires, -SOLVABLE_PREREQMARKER},
			{FIELD_RECOMMENDS, &s->recommends, 0},
			{FIELD_CONFLICTS, &s->conflicts, 0},
			{FIELD_BREAKS, &s->conflicts, 0},
			{FIELD_PROVIDES, &s->provides, 0},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(relations); i++) {
		const char *value = values[relations[i].field];
		if (value != NULL && !parse_relations(loader, value, relations[i].marker,
						     relations[i].deps))
			return throw_field(loader, paragraph, values[FIELD_PACKAGE],
					relations[i].field, error);
	}
	Id self = pool_rel2id(pool, s->name, s->evr, REL_EQ, 1);
	s->provides = repo_addid_dep(loader->repo, s->provides, self, 0);
	if (g_strcmp0(values[FIELD_ESSENTIAL], "yes") == 0)
		s->provides = repo_addid_dep(loader->repo, s->provides, loader->essential, 0);
	return TRUE;
}

static gboolean on_package(const AshParagraph *paragraph, gpointer closure, GError **error)
{
	Loader *loader = closure;
	Pool *pool = loader->repo->pool;
	const char *values[N_FIELDS] = {NULL};

	collect_fields(paragraph, values);
	for (unsigned field = 0; field < N_FIELDS; field++)
		if (!check_field((Field) field, values[field]))
			return throw_field(loader, paragraph, values[FIELD_PACKAGE], (Field) field,
					error);
	if (!g_str_equal(values[FIELD_ARCHITECTURE], "all") &&
			!g_str_equal(values[FIELD_ARCHITECTURE], loader->arch))
		return TRUE;

	Id id = repo_add_solvable(loader->repo);
	Solvable *s = pool_id2solvable(pool, id);
	s->name = pool_str2id(pool, values[FIELD_PACKAGE], 1);
	s->evr = pool_str2id(pool, values[FIELD_VERSION], 1);
	s->arch = pool_str2id(pool, values[FIELD_ARCHITECTURE], 1);
	if (!add_relations(loader, paragraph, id, values, error))
		return FALSE;
	const char *path = values[FIELD_FILENAME];
	while (g_str_has_prefix(path, "./"))
		path += 2;
	repodata_set_str(loader->data, id, SOLVABLE_MEDIAFILE, path);
	repodata_set_num(loader->data, id, SOLVABLE_DOWNLOADSIZE,
			g_ascii_strtoull(values[FIELD_SIZE], NULL, 10));
	repodata_set_checksum(loader->data, id, SOLVABLE_CHECKSUM, REPOKEY_TYPE_SHA256,
			values[FIELD_SHA256]);
	repodata_set_num(loader->data, id, loader->priority_key,
			priority_number(values[FIELD_PRIORITY]));
	return TRUE;
}

/* ---- cache ----------------------------------------------------------------------------------- */

static char *cache_path(const AshIndex *index, const char *arch)
{
	return g_strdup_printf("%s/%s-%s.%d.solv", index->dir, index->digest, arch, CACHE_FORMAT);
}

static bool is_whole(GBytes *bytes)
{
	gsize size = 0;
	const char *data = g_bytes_get_data(bytes, &size);

	if (size <= ASH_SHA256_HEX)
		return false;
	g_autofree char *digest = ash_sha256_hex(data, size - ASH_SHA256_HEX);
	return memcmp(digest, data + size - ASH_SHA256_HEX, ASH_SHA256_HEX) == 0;
}

/* A question: anything wrong with the file means that it is made again. */
static bool load_cache(Repo *repo, const char *path)
{
	g_autoptr(GBytes) bytes = NULL;
	gsize size = 0;

	if (!ash_file_read(AT_FDCWD, path, CACHE_MAX_BYTES, &bytes, NULL) || !is_whole(bytes))
		return false;
	gpointer data = g_bytes_unref_to_data(g_steal_pointer(&bytes), &size);
	FILE *file = fmemopen(data, size - ASH_SHA256_HEX, "r");
	bool is_loaded = false;
	if (file != NULL) {
		/* libsolv reads byte by byte: without the lock around each, and in large pieces. */
		__fsetlocking(file, FSETLOCKING_BYCALLER);
		setvbuf(file, NULL, _IOFBF, CACHE_BUFFER_BYTES);
		is_loaded = repo_add_solv(repo, file, SOLV_ADD_NO_STUBS) == 0;
		fclose(file);
	}
	g_free(data);
	return is_loaded;
}

static gboolean save_cache(Repo *repo, const char *path, GError **error)
{
	char *data = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&data, &size);
	Repowriter *writer = repowriter_create(repo);

	if (file == NULL)
		return ash_throw_errno(error, "open_memstream");
	int code = repowriter_write(writer, file);
	repowriter_free(writer);
	code |= fflush(file);
	g_autofree char *digest = ash_sha256_hex(data, size);
	fputs(digest, file);
	code |= fclose(file);
	gboolean is_saved = code == 0 ? ash_file_replace(AT_FDCWD, path, data, size, 0644, error)
				      : ash_throw(error, ASH_SOLVE_ERROR, ASH_SOLVE_ERROR_FAILED,
							"cannot write '%s'", path);
	free(data);
	return is_saved;
}

/* Indices of a month ago are of no use, but for a component that did not change: that is made again. */
static void remove_old(const char *dir)
{
	g_autoptr(AshDir) stream = opendir(dir);
	time_t oldest = time(NULL) - (time_t) CACHE_MAX_AGE_DAYS * 24 * 60 * 60;
	struct stat st;

	for (;;) {
		const struct dirent *item = stream != NULL ? readdir(stream) : NULL;
		if (item == NULL)
			break;
		if (g_str_has_suffix(item->d_name, ".solv") &&
				fstatat(dirfd(stream), item->d_name, &st, 0) == 0 &&
				st.st_mtime < oldest &&
				unlinkat(dirfd(stream), item->d_name, 0) < 0)
			g_debug("leaving '%s/%s' behind", dir, item->d_name);
	}
}

/* ---- loading --------------------------------------------------------------------------------- */

static Repo *make_repo(AshSolveState *state, const AshIndex *index)
{
	Repo *repo = repo_create(state->pool, index->what);

	repo->priority = (int) MIN(index->source->priority, (uint32_t) G_MAXINT32);
	return repo;
}

static Loader loader_for(Repo *repo, const AshIndex *index, const char *arch)
{
	return (Loader){.repo = repo,
			.data = repo_add_repodata(repo, 0),
			.arch = arch,
			.what = index->what,
			.priority_key = pool_str2id(repo->pool, ASH_SOLVE_PRIORITY_KEY, 1),
			.essential = pool_str2id(repo->pool, ASH_SOLVE_ESSENTIAL, 1)};
}

gboolean ash_solve_load_index(AshSolveState *state, AshIndex *index, const AshIndexOptions *options,
		GError **error)
{
	g_autofree char *path = cache_path(index, options->arch);
	Repo *repo = make_repo(state, index);

	if (!load_cache(repo, path)) {
		repo_free(repo, 1);
		repo = make_repo(state, index);
		Loader loader = loader_for(repo, index, options->arch);
		if (!ash_index_read(index, options, on_package, &loader, error))
			return FALSE;
		repodata_internalize(loader.data);
		if (!save_cache(repo, path, error))
			return FALSE;
		remove_old(index->dir);
	}
	repo->appdata = index;
	return TRUE;
}

gboolean ash_solve_load_text(AshSolveState *state, AshIndex *index, const char *arch, GBytes *text,
		GError **error)
{
	Repo *repo = make_repo(state, index);
	Loader loader = loader_for(repo, index, arch);

	if (!ash_deb822_parse(index->what, text, ASH_DEB822_MAX_STANZA_BYTES, on_package, &loader,
			    error))
		return FALSE;
	repodata_internalize(loader.data);
	repo->appdata = index;
	return TRUE;
}
