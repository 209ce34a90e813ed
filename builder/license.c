/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/license.h"

#include <stdbool.h>
#include <string.h>

/* Sources: the machine-readable debian/copyright format 1.0, "License short names"; the SPDX licence
 * list. Debian's names are matched without regard to case. The GNU family is in gnu_identifier().
 */
static const struct {
	const char *debian;
	const char *spdx;
} names[] = {
		{"0BSD", "0BSD"},
		{"AFL-2.1", "AFL-2.1"},
		{"AFL-3.0", "AFL-3.0"},
		{"Apache-1.1", "Apache-1.1"},
		{"Apache-2", "Apache-2.0"},
		{"Apache-2.0", "Apache-2.0"},
		{"Artistic", "Artistic-1.0"},
		{"Artistic-1.0", "Artistic-1.0"},
		{"Artistic-2", "Artistic-2.0"},
		{"Artistic-2.0", "Artistic-2.0"},
		{"Beerware", "Beerware"},
		{"BSD-1-clause", "BSD-1-Clause"},
		{"BSD-2-clause", "BSD-2-Clause"},
		{"BSD-3-clause", "BSD-3-Clause"},
		{"BSD-3-Clause-Attribution", "BSD-3-Clause-Attribution"},
		{"BSD-4-clause", "BSD-4-Clause"},
		{"BSD-4-clause-UC", "BSD-4-Clause-UC"},
		{"BSL-1.0", "BSL-1.0"},
		{"bzip2-1.0.6", "bzip2-1.0.6"},
		{"CC-BY-3.0", "CC-BY-3.0"},
		{"CC-BY-4.0", "CC-BY-4.0"},
		{"CC-BY-SA-3.0", "CC-BY-SA-3.0"},
		{"CC-BY-SA-4.0", "CC-BY-SA-4.0"},
		{"CC0", "CC0-1.0"},
		{"CC0-1.0", "CC0-1.0"},
		{"CDDL", "CDDL-1.0"},
		{"CDDL-1.0", "CDDL-1.0"},
		{"CPL", "CPL-1.0"},
		{"CPL-1.0", "CPL-1.0"},
		{"curl", "curl"},
		{"EFL-2", "EFL-2.0"},
		{"EPL-1.0", "EPL-1.0"},
		{"EPL-2.0", "EPL-2.0"},
		{"EUPL-1.2", "EUPL-1.2"},
		{"Expat", "MIT"},
		{"FSFAP", "FSFAP"},
		{"FSFUL", "FSFUL"},
		{"FSFULLR", "FSFULLR"},
		{"FSFULLRWD", "FSFULLRWD"},
		{"HPND", "HPND"},
		{"ISC", "ISC"},
		{"Latex2e", "Latex2e"},
		{"LPPL-1.3c", "LPPL-1.3c"},
		{"MIT", "MIT"},
		{"MIT-CMU", "MIT-CMU"},
		{"MPL-1.1", "MPL-1.1"},
		{"MPL-2", "MPL-2.0"},
		{"MPL-2.0", "MPL-2.0"},
		{"MS-PL", "MS-PL"},
		{"NCSA", "NCSA"},
		{"NTP", "NTP"},
		{"OFL-1.1", "OFL-1.1"},
		{"OLDAP-2.8", "OLDAP-2.8"},
		{"OpenLDAP-2.8", "OLDAP-2.8"},
		{"OpenSSL", "OpenSSL"},
		{"PSF-2", "PSF-2.0"},
		{"PSF-2.0", "PSF-2.0"},
		{"Python-2.0", "Python-2.0"},
		{"Ruby", "Ruby"},
		{"Sleepycat", "Sleepycat"},
		{"TCL", "TCL"},
		{"Unicode-DFS-2016", "Unicode-DFS-2016"},
		{"Unlicense", "Unlicense"},
		{"Vim", "Vim"},
		{"W3C", "W3C"},
		{"WTFPL", "WTFPL"},
		{"X11", "X11"},
		{"Zlib", "Zlib"},
		{"ZPL-2.1", "ZPL-2.1"},
};

/* "GPL-2+ with NAME exception". Autoconf's is missing: Debian uses the one name for several texts. */
static const struct {
	const char *debian;
	const char *spdx;
} exceptions[] = {
		{"Classpath", "Classpath-exception-2.0"},
		{"Font", "Font-exception-2.0"},
		{"Libtool", "Libtool-exception"},
		{"Linux-syscall-note", "Linux-syscall-note"},
		{"LLVM", "LLVM-exception"},
};

static const struct {
	const char *prefix;
	const char *spdx;
	const char *suffix;
	const char *versions; /* those that were published, each with a blank behind it */
} gnu[] = {
		{"AGPL-", "AGPL", "", "1.0 3.0 "},
		{"GFDL-NIV-", "GFDL", "-no-invariants", "1.1 1.2 1.3 "},
		{"GFDL-", "GFDL", "", "1.1 1.2 1.3 "},
		{"GPL-", "GPL", "", "1.0 2.0 3.0 "},
		{"LGPL-", "LGPL", "", "2.0 2.1 3.0 "},
};

static const char *find_name(const char *word)
{
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (g_ascii_strcasecmp(word, names[i].debian) == 0)
			return names[i].spdx;
	return NULL;
}

/* The version at the beginning of @text as "X.Y", NULL when it is none of @published. Debian counts
 * 2, 2.0 and 2.0.0 as one.
 */
static char *gnu_version(const char *text, const char *published, const char **out_rest)
{
	size_t length = strspn(text, "0123456789.");
	g_autofree char *version = g_strndup(text, length);

	while (g_str_has_suffix(version, ".0"))
		version[strlen(version) - 2] = '\0';
	g_autofree char *known =
			g_strconcat(version, strchr(version, '.') == NULL ? ".0 " : " ", NULL);
	const char *found = strstr(published, known);
	/* At the beginning of one of them, not within. */
	if (length == 0 || found == NULL || (found != published && found[-1] != ' '))
		return NULL;
	*out_rest = text + length;
	return g_strchomp(g_steal_pointer(&known));
}

/* "LGPL-2.1+" → "LGPL-2.1-or-later"; NULL for anything but the GNU licences. */
static char *gnu_identifier(const char *word)
{
	for (size_t i = 0; i < G_N_ELEMENTS(gnu); i++) {
		size_t length = strlen(gnu[i].prefix);
		const char *rest = NULL;
		bool is_later;
		if (g_ascii_strncasecmp(word, gnu[i].prefix, length) != 0)
			continue;
		g_autofree char *version = gnu_version(word + length, gnu[i].versions, &rest);
		if (version == NULL)
			continue;
		is_later = strcmp(rest, "+") == 0 || g_ascii_strcasecmp(rest, "-or-later") == 0;
		if (!is_later && *rest != '\0' && g_ascii_strcasecmp(rest, "-only") != 0)
			return NULL;
		return g_strconcat(gnu[i].spdx, "-", version, gnu[i].suffix,
				is_later ? "-or-later" : "-only", NULL);
	}
	return NULL;
}

/* Whatever was written, in the letters that a LicenseRef may have; NULL when none is left. */
static char *reference(const char *term)
{
	g_autoptr(GString) text = g_string_new("LicenseRef");

	for (const char *p = term; *p != '\0'; p++) {
		bool is_plain = g_ascii_isalnum(*p) || *p == '.';
		bool is_later = *p == '+' && (p[1] == '\0' || p[1] == ' ' || p[1] == '-');
		/* One '-' for a run of anything else, never at the end. */
		if (is_plain && (p == term || (!g_ascii_isalnum(p[-1]) && p[-1] != '.')))
			g_string_append_c(text, '-');
		if (is_plain)
			g_string_append_c(text, *p);
		else if (is_later)
			g_string_append(text, "-or-later");
	}
	return text->len > strlen("LicenseRef-") ? g_string_free(g_steal_pointer(&text), FALSE)
						 : NULL;
}

static char *identifier(const char *word)
{
	const char *found = find_name(word);

	return found != NULL ? g_strdup(found) : gnu_identifier(word);
}

/* "GPL-2+ with Libtool exception" → "GPL-2.0-or-later WITH Libtool-exception" */
static char *term_with_exception(char **words)
{
	if (g_strv_length(words) != 4 || g_ascii_strcasecmp(words[1], "with") != 0 ||
			g_ascii_strcasecmp(words[3], "exception") != 0)
		return NULL;
	g_autofree char *license = identifier(words[0]);
	for (size_t i = 0; license != NULL && i < G_N_ELEMENTS(exceptions); i++)
		if (g_ascii_strcasecmp(words[2], exceptions[i].debian) == 0)
			return g_strconcat(license, " WITH ", exceptions[i].spdx, NULL);
	return NULL;
}

static char *map_term(GPtrArray *take_words)
{
	g_autoptr(GPtrArray) words = take_words;

	g_ptr_array_add(words, NULL);
	char **list = (char **) words->pdata;
	g_autofree char *text = g_strjoinv(" ", list);
	char *term = words->len == 2 ? identifier(text) : term_with_exception(list);
	return term != NULL ? term : reference(text);
}

static int compare_text(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Sorts, and drops what is there twice. */
static void make_set(GPtrArray *parts)
{
	g_ptr_array_sort(parts, compare_text);
	for (guint i = parts->len; i > 1; i--)
		if (strcmp(parts->pdata[i - 1], parts->pdata[i - 2]) == 0)
			g_ptr_array_remove_index_fast(parts, i - 1);
	g_ptr_array_sort(parts, compare_text);
}

static char *join(GPtrArray *parts, const char *separator)
{
	g_autoptr(GString) text = g_string_new(NULL);

	make_set(parts);
	for (guint i = 0; i < parts->len; i++)
		g_string_append_printf(
				text, "%s%s", i > 0 ? separator : "", (char *) parts->pdata[i]);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static GPtrArray *new_strings(void)
{
	return g_ptr_array_new_with_free_func(g_free);
}

/* What is read of one License field. A list is of terms that all hold; an alternative is such a list
 * in one string.
 */
typedef struct {
	GPtrArray *words;        /* of the term that is being read; borrowed strings */
	GPtrArray *terms;        /* of the alternative that is being read */
	GPtrArray *alternatives; /* of the part before the next comma */
} Parser;

static void end_term(Parser *parser)
{
	if (parser->words->len == 0)
		return;
	char *term = map_term(parser->words);
	if (term != NULL)
		g_ptr_array_add(parser->terms, term);
	parser->words = g_ptr_array_new();
}

static void end_alternative(Parser *parser)
{
	end_term(parser);
	if (parser->terms->len > 0)
		g_ptr_array_add(parser->alternatives, join(parser->terms, " AND "));
	g_ptr_array_set_size(parser->terms, 0);
}

/* "A or B and C": "and" binds closer. Adds to @all: one term, or one in parentheses. */
static void parse_part(char **words, GPtrArray *all)
{
	Parser parser = {g_ptr_array_new(), new_strings(), new_strings()};

	for (; *words != NULL; words++) {
		if (g_ascii_strcasecmp(*words, "and") == 0)
			end_term(&parser);
		else if (g_ascii_strcasecmp(*words, "or") == 0)
			end_alternative(&parser);
		else if (**words != '\0')
			g_ptr_array_add(parser.words, *words);
	}
	end_term(&parser);
	if (parser.alternatives->len == 0) {
		g_ptr_array_extend_and_steal(all, g_steal_pointer(&parser.terms));
	} else {
		end_alternative(&parser);
		g_autofree char *any = join(parser.alternatives, " OR ");
		bool is_one = strstr(any, " OR ") == NULL && strstr(any, " AND ") == NULL;
		g_ptr_array_add(all, is_one ? g_strdup(any) : g_strconcat("(", any, ")", NULL));
	}
	g_ptr_array_unref(parser.words);
	g_clear_pointer(&parser.terms, g_ptr_array_unref);
	g_ptr_array_unref(parser.alternatives);
}

/* "A or B, and C": a comma binds least. */
static void parse_synopsis(const char *synopsis, GPtrArray *all)
{
	g_auto(GStrv) parts = g_strsplit(synopsis, ",", -1);
	g_autoptr(GPtrArray) terms = new_strings();

	for (char **part = parts; *part != NULL; part++) {
		g_auto(GStrv) words = g_strsplit_set(g_strstrip(*part), " \t", -1);
		if (part != parts && words[0] != NULL && g_ascii_strcasecmp(words[0], "or") == 0 &&
				terms->len > 0) {
			g_autoptr(GPtrArray) others = new_strings();
			parse_part(words, others);
			g_autofree char *left = join(terms, " AND ");
			g_autofree char *right = join(others, " AND ");
			g_ptr_array_set_size(terms, 0);
			g_ptr_array_add(terms, *right == '\0' ? g_steal_pointer(&left)
							      : g_strconcat("(", left, " OR ",
										right, ")", NULL));
		} else {
			parse_part(words, terms);
		}
	}
	g_ptr_array_extend_and_steal(all, g_steal_pointer(&terms));
}

/* What a paragraph says; strings are borrowed from the text. */
typedef struct {
	const char *format;
	const char *license;
	bool has_files;
	bool is_empty;
} Paragraph;

static void read_field(Paragraph *paragraph, char *line)
{
	char *colon = strchr(line, ':');

	paragraph->is_empty = false;
	if (colon == NULL || g_ascii_isspace(*line))
		return;
	*colon = '\0';
	if (g_ascii_strcasecmp(line, "Format") == 0)
		paragraph->format = colon + 1;
	else if (g_ascii_strcasecmp(line, "License") == 0)
		paragraph->license = colon + 1;
	else if (g_ascii_strcasecmp(line, "Files") == 0)
		paragraph->has_files = true;
}

/* The first paragraph that says Format makes the file a machine-readable one; its License is about
 * the whole. Later ones with License but without Files hold the licences' texts.
 */
static void end_paragraph(Paragraph *paragraph, bool *is_machine_readable, GPtrArray *all)
{
	bool is_header = !*is_machine_readable && paragraph->format != NULL &&
			 (strstr(paragraph->format, "copyright-format") != NULL ||
					 strstr(paragraph->format, "dep5") != NULL);

	*is_machine_readable = *is_machine_readable || is_header;
	if (*is_machine_readable && paragraph->license != NULL &&
			(is_header || paragraph->has_files))
		g_ptr_array_add(all, g_strstrip(g_strdup(paragraph->license)));
	*paragraph = (Paragraph){.is_empty = true};
}

/* The License fields of a copyright file, as they stand there; NULL when it is not machine-readable. */
static GPtrArray *read_synopses(char *text)
{
	g_autoptr(GPtrArray) all = new_strings();
	Paragraph paragraph = {.is_empty = true};
	bool is_machine_readable = false;

	for (char *line = text, *next; line != NULL; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		g_strchomp(line);
		if (*line != '\0' && *line != '#')
			read_field(&paragraph, line);
		if ((*line != '\0' && next != NULL) || paragraph.is_empty)
			continue;
		end_paragraph(&paragraph, &is_machine_readable, all);
		if (!is_machine_readable)
			return NULL;
	}
	return is_machine_readable ? g_steal_pointer(&all) : NULL;
}

char *ash_license_expression(const char *copyright_text, size_t size)
{
	g_autoptr(GPtrArray) terms = new_strings();

	if (size > ASH_LICENSE_MAX_BYTES || memchr(copyright_text, '\0', size) != NULL)
		return g_strdup("");
	g_autofree char *text = g_strndup(copyright_text, size);
	g_autoptr(GPtrArray) synopses = read_synopses(text);
	if (synopses == NULL)
		return g_strdup("");
	make_set(synopses);
	for (guint i = 0; i < synopses->len; i++) {
		if (i >= ASH_LICENSE_MAX_SYNOPSES ||
				strlen(synopses->pdata[i]) > ASH_LICENSE_MAX_SYNOPSIS_BYTES)
			return g_strdup("");
		parse_synopsis(synopses->pdata[i], terms);
	}
	g_autofree char *expression = join(terms, " AND ");
	/* One term alone needs no parentheses around it. */
	if (terms->len == 1 && *expression == '(')
		return g_strndup(expression + 1, strlen(expression) - 2);
	return g_steal_pointer(&expression);
}
