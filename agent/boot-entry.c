/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/boot-entry.h"

#include <limits.h>
#include <string.h>

#include "lib/error.h"

G_DEFINE_QUARK(ash_boot_entry_error, ash_boot_entry_error)

#define SUFFIX ".conf"
#define SORT_PREFIX "ashlar-"
#define OSTREE "ostree="
#define LINK_PREFIX OSTREE "/ostree/by-commit/"

enum {
	COMMIT_HEX = 64,
	GENERATION_DIGITS = 8,
	MAX_SERIAL = 9999,
};

/* ---- the name -------------------------------------------------------------------------------- */

static bool is_suffix(const char *text)
{
	return g_ascii_strcasecmp(text, SUFFIX) == 0;
}

static bool is_name(const char *file)
{
	size_t length = strlen(file);

	return length > strlen(SUFFIX) && is_suffix(file + length - strlen(SUFFIX)) &&
	       *file != '.' && strchr(file, '/') == NULL &&
	       g_ascii_strncasecmp(file, "auto-", strlen("auto-")) != 0;
}

/* Digits only, without a sign; NULL when there are none or too many. */
static const char *parse_count(const char *text, int *out_count)
{
	gint64 count = 0;
	const char *p = text;

	for (; g_ascii_isdigit(*p); p++) {
		count = count * 10 + (*p - '0');
		if (count > INT_MAX)
			return NULL;
	}
	if (p == text)
		return NULL;
	*out_count = (int) count;
	return p;
}

/* The length of @file before its counter or suffix; the counts in @out_left (-1: none), @out_done. */
static size_t parse_counter(const char *file, int *out_left, int *out_done)
{
	const char *plus = strrchr(file, '+');
	int left = -1;
	int done = 0;

	if (plus != NULL) {
		const char *rest = parse_count(plus + 1, &left);
		if (rest != NULL && *rest == '-')
			rest = parse_count(rest + 1, &done);
		if (rest != NULL && is_suffix(rest)) {
			*out_left = left;
			*out_done = done;
			return (size_t) (plus - file);
		}
	}
	*out_left = -1;
	*out_done = 0;
	return strlen(file) - strlen(SUFFIX);
}

static char *format_name(const char *base, size_t length, int tries_left, int tries_done)
{
	if (tries_left < 0)
		return g_strdup_printf("%.*s" SUFFIX, (int) length, base);
	if (tries_done <= 0)
		return g_strdup_printf("%.*s+%d" SUFFIX, (int) length, base, tries_left);
	return g_strdup_printf("%.*s+%d-%d" SUFFIX, (int) length, base, tries_left, tries_done);
}

char *ash_boot_entry_name(uint32_t generation, const char *commit, int tries_left, int tries_done)
{
	g_autofree char *base = g_strdup_printf(
			"ashlar-%0*u-%.8s", GENERATION_DIGITS, (unsigned) generation, commit);

	g_assert(generation <= ASH_BOOT_ENTRY_MAX_GENERATION);
	return format_name(base, strlen(base), tries_left, tries_done);
}

char *ash_boot_entry_rename(const char *file, int tries_left, int tries_done)
{
	int left, done;

	g_assert(is_name(file));
	return format_name(file, parse_counter(file, &left, &done), tries_left, tries_done);
}

/* ---- the text -------------------------------------------------------------------------------- */

static uint32_t parse_generation(const char *sort_key)
{
	guint64 inverse = 0;

	if (sort_key == NULL || !g_str_has_prefix(sort_key, SORT_PREFIX))
		return 0;
	const char *digits = sort_key + strlen(SORT_PREFIX);
	if (strspn(digits, "0123456789") != GENERATION_DIGITS ||
			digits[GENERATION_DIGITS] != '\0' ||
			!g_ascii_string_to_unsigned(digits, 10, 0, ASH_BOOT_ENTRY_MAX_GENERATION,
					&inverse, NULL))
		return 0;
	return (uint32_t) (ASH_BOOT_ENTRY_MAX_GENERATION - inverse);
}

bool ash_boot_entry_parse_link(const char *word, char **out_commit, unsigned *out_serial)
{
	if (!g_str_has_prefix(word, LINK_PREFIX))
		return false;
	const char *commit = word + strlen(LINK_PREFIX);
	guint64 serial = 0;
	if (strspn(commit, "0123456789abcdef") != COMMIT_HEX || commit[COMMIT_HEX] != '.' ||
			!g_ascii_string_to_unsigned(
					commit + COMMIT_HEX + 1, 10, 0, MAX_SERIAL, &serial, NULL))
		return false;
	*out_commit = g_strndup(commit, COMMIT_HEX);
	*out_serial = (unsigned) serial;
	return true;
}

/* Words as the kernel cuts them: double quotes hold blanks together. */
static char **split_words(const char *text)
{
	GPtrArray *words = g_ptr_array_new();

	for (const char *p = text; *p != '\0';) {
		bool is_quoted = false;
		p += strspn(p, " \t\r\n");
		const char *begin = p;
		for (; *p != '\0' && (is_quoted || strchr(" \t\r\n", *p) == NULL); p++)
			if (*p == '"')
				is_quoted = !is_quoted;
		if (p > begin)
			g_ptr_array_add(words, g_strndup(begin, (gsize) (p - begin)));
	}
	g_ptr_array_add(words, NULL);
	return (char **) g_ptr_array_free(words, FALSE);
}

static void find_deployment(AshBootEntry *entry)
{
	g_auto(GStrv) words = split_words(entry->options);

	for (char **word = words; *word != NULL; word++) {
		char *commit = NULL;
		unsigned serial;
		if (!ash_boot_entry_parse_link(*word, &commit, &serial))
			continue;
		/* The last one counts, as it does for ostree-prepare-root. */
		g_free(entry->commit);
		entry->commit = commit;
		entry->serial = serial;
	}
}

static void set(char **field, const char *value)
{
	g_free(*field);
	*field = g_strdup(value);
}

static void take_line(AshBootEntry *entry, const char *key, const char *value)
{
	const struct {
		const char *key;
		char **field;
	} rows[] = {
			{"title", &entry->title},
			{"version", &entry->version},
			{"sort-key", &entry->sort_key},
			{"machine-id", &entry->machine_id},
			{"architecture", &entry->architecture},
			{"linux", &entry->linux_path},
			{"initrd", &entry->initrd_path},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (strcmp(rows[i].key, key) == 0)
			set(rows[i].field, value);
	if (strcmp(key, "options") == 0) {
		g_autofree char *before = entry->options;
		entry->options = *before == '\0' ? g_strdup(value)
						 : g_strconcat(before, " ", value, NULL);
	}
}

gboolean ash_boot_entry_parse(
		const char *file, GBytes *text, AshBootEntry **out_entry, GError **error)
{
	gsize size;
	const char *data = g_bytes_get_data(text, &size);
	g_autoptr(AshBootEntry) entry = g_new0(AshBootEntry, 1);

	if (!is_name(file))
		return ash_throw(error, ASH_BOOT_ENTRY_ERROR, ASH_BOOT_ENTRY_ERROR_NAME,
				"'%s' is not the name of an entry", file);
	if (size > ASH_BOOT_ENTRY_MAX_BYTES)
		return ash_throw(error, ASH_BOOT_ENTRY_ERROR, ASH_BOOT_ENTRY_ERROR_SYNTAX,
				"%s: larger than %d bytes", file, ASH_BOOT_ENTRY_MAX_BYTES);
	g_autofree char *copy = size > 0 ? g_strndup(data, size) : g_strdup("");
	if (size > 0 && (memchr(data, '\0', size) != NULL || !g_utf8_validate(copy, -1, NULL)))
		return ash_throw(error, ASH_BOOT_ENTRY_ERROR, ASH_BOOT_ENTRY_ERROR_SYNTAX,
				"%s:1: not UTF-8 text", file);
	entry->file = g_strdup(file);
	entry->options = g_strdup("");
	parse_counter(file, &entry->tries_left, &entry->tries_done);
	g_auto(GStrv) lines = g_strsplit_set(copy, "\r\n", -1);
	for (char **line = lines; *line != NULL; line++) {
		char *key = g_strstrip(*line);
		size_t length = strcspn(key, " \t");
		if (*key == '#' || key[length] == '\0')
			continue;
		key[length] = '\0';
		take_line(entry, key, g_strchug(key + length + 1));
	}
	entry->generation = parse_generation(entry->sort_key);
	find_deployment(entry);
	*out_entry = g_steal_pointer(&entry);
	return TRUE;
}

void ash_boot_entry_free(AshBootEntry *entry)
{
	if (entry == NULL)
		return;
	g_free(entry->file);
	g_free(entry->title);
	g_free(entry->version);
	g_free(entry->sort_key);
	g_free(entry->machine_id);
	g_free(entry->architecture);
	g_free(entry->linux_path);
	g_free(entry->initrd_path);
	g_free(entry->options);
	g_free(entry->commit);
	g_free(entry);
}

static void format_line(GString *text, const char *key, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	g_string_append_printf(text, "%s ", key);
	for (const char *p = value; *p != '\0'; p++)
		g_string_append_c(text, g_ascii_iscntrl(*p) ? '_' : *p);
	g_string_append_c(text, '\n');
}

char *ash_boot_entry_format(const AshBootEntry *entry)
{
	GString *text = g_string_new(NULL);
	g_autofree char *sort_key =
			entry->sort_key != NULL
					? g_strdup(entry->sort_key)
					: g_strdup_printf(SORT_PREFIX "%0*u", GENERATION_DIGITS,
							  ASH_BOOT_ENTRY_MAX_GENERATION -
									  entry->generation);

	format_line(text, "title", entry->title);
	format_line(text, "version", entry->version);
	format_line(text, "sort-key", sort_key);
	format_line(text, "machine-id", entry->machine_id);
	format_line(text, "architecture", entry->architecture);
	format_line(text, "linux", entry->linux_path);
	format_line(text, "initrd", entry->initrd_path);
	format_line(text, "options", entry->options);
	return g_string_free(text, FALSE);
}

/* ---- the order ------------------------------------------------------------------------------- */

static int compare_ints(gint64 a, gint64 b)
{
	return (a > b) - (a < b);
}

static bool is_version_char(char c)
{
	return g_ascii_isalnum(c) || (c != '\0' && strchr("~-^.", c) != NULL);
}

/* A run of digits by its value, however long. */
static int compare_digits(const char **a, const char **b)
{
	size_t n_a = strspn(*a, "0123456789");
	size_t n_b = strspn(*b, "0123456789");
	const char *end_a = *a + n_a;
	const char *end_b = *b + n_b;
	int order = compare_ints(n_a > 0, n_b > 0);

	if (order != 0)
		return order;
	*a += strspn(*a, "0");
	*b += strspn(*b, "0");
	order = compare_ints(end_a - *a, end_b - *b);
	if (order == 0)
		order = compare_ints(strncmp(*a, *b, (size_t) (end_a - *a)), 0);
	*a = end_a;
	*b = end_b;
	return order;
}

static size_t count_letters(const char *text)
{
	size_t n = 0;

	while (g_ascii_isalpha(text[n]))
		n++;
	return n;
}

static int compare_letters(const char **a, const char **b)
{
	size_t n_a = count_letters(*a);
	size_t n_b = count_letters(*b);
	int order = compare_ints(strncmp(*a, *b, MIN(n_a, n_b)), 0);

	if (order == 0)
		order = compare_ints((gint64) n_a, (gint64) n_b);
	*a += n_a;
	*b += n_b;
	return order;
}

/* The mark @mark at the begin of one of the two makes that one the lower. */
static int compare_mark(char mark, const char **a, const char **b)
{
	if (**a != mark && **b != mark)
		return 0;
	int order = compare_ints(**a != mark, **b != mark);
	(*a)++;
	(*b)++;
	return order;
}

/* The Version Format Specification (UAPI.10), which systemd-boot follows; missing sorts as "". */
static int compare_versions(const char *a, const char *b)
{
	a = a != NULL ? a : "";
	b = b != NULL ? b : "";
	for (;;) {
		int order;
		while (*a != '\0' && !is_version_char(*a))
			a++;
		while (*b != '\0' && !is_version_char(*b))
			b++;
		if ((order = compare_mark('~', &a, &b)) != 0)
			return order;
		if (*a == '\0' || *b == '\0')
			return compare_ints(*a, *b);
		if ((order = compare_mark('-', &a, &b)) != 0 ||
				(order = compare_mark('^', &a, &b)) != 0 ||
				(order = compare_mark('.', &a, &b)) != 0)
			return order;
		order = g_ascii_isdigit(*a) || g_ascii_isdigit(*b) ? compare_digits(&a, &b)
								   : compare_letters(&a, &b);
		if (order != 0)
			return order;
	}
}

static char *id_of(const AshBootEntry *entry)
{
	int left, done;
	g_autofree char *name =
			format_name(entry->file, parse_counter(entry->file, &left, &done), -1, 0);

	return g_ascii_strdown(name, -1);
}

/* boot_entry_compare() of systemd's src/boot/boot.c, rule by rule. */
int ash_boot_entry_compare(gconstpointer a, gconstpointer b)
{
	const AshBootEntry *x = a;
	const AshBootEntry *y = b;
	int order = compare_ints(x->tries_left == 0, y->tries_left == 0);

	if (order == 0)
		order = compare_ints(x->sort_key == NULL, y->sort_key == NULL);
	if (order == 0 && x->sort_key != NULL) {
		order = strcmp(x->sort_key, y->sort_key);
		if (order == 0)
			order = g_strcmp0(x->machine_id, y->machine_id);
		if (order == 0)
			order = -compare_versions(x->version, y->version);
	}
	if (order != 0)
		return order;
	g_autofree char *id_x = id_of(x);
	g_autofree char *id_y = id_of(y);
	order = -compare_versions(id_x, id_y);
	if (order != 0 || x->tries_left < 0 || y->tries_left < 0)
		return order;
	order = -compare_ints(x->tries_left, y->tries_left);
	return order != 0 ? order : compare_ints(x->tries_done, y->tries_done);
}

/* ---- options for a new deployment ------------------------------------------------------------ */

/* Takes the first word that is @word out of @words. A question: where was it? -1: nowhere. */
static int take_word(GPtrArray *words, const char *word)
{
	for (guint i = 0; i < words->len; i++)
		if (strcmp(words->pdata[i], word) == 0) {
			g_ptr_array_remove_index(words, i);
			return (int) i;
		}
	return -1;
}

char *ash_boot_entry_options(const char *old_options, const char *const *old_arguments,
		const char *const *new_arguments, const char *commit, unsigned serial)
{
	g_auto(GStrv) old_words = split_words(old_options);
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	int at = -1;

	for (char **word = old_words; *word != NULL; word++)
		if (!g_str_has_prefix(*word, OSTREE))
			g_ptr_array_add(words, *word);
	for (; old_arguments != NULL && *old_arguments != NULL; old_arguments++) {
		int was = take_word(words, *old_arguments);
		if (was >= 0 && (at < 0 || was < at))
			at = was;
	}
	/* The commit's arguments stay where they were: of two that contradict the later one wins, and
	 * that is the owner's. */
	for (guint i = at >= 0 ? (guint) at : words->len;
			new_arguments != NULL && *new_arguments != NULL; new_arguments++, i++)
		g_ptr_array_insert(words, (gint) i, (gpointer) (uintptr_t) *new_arguments);
	GString *text = g_string_new(NULL);
	for (guint i = 0; i < words->len; i++)
		g_string_append_printf(text, "%s ", (const char *) words->pdata[i]);
	g_string_append_printf(text, LINK_PREFIX "%s.%u", commit, serial);
	return g_string_free(text, FALSE);
}
