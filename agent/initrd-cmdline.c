/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/initrd.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* The kernel's next_arg(): blanks separate, quotes hold together and are dropped. */
static char *next_word(char **cursor)
{
	char *in = *cursor;

	while (isspace((unsigned char) *in))
		in++;
	if (*in == '\0')
		return NULL;

	char *word = in;
	char *out = in;
	bool is_quoted = false;
	for (; *in != '\0' && (is_quoted || !isspace((unsigned char) *in)); in++) {
		if (*in == '"')
			is_quoted = !is_quoted;
		else
			*out++ = *in;
	}
	*cursor = *in == '\0' ? in : in + 1;
	*out = '\0';
	return word;
}

static unsigned parse_seconds(const char *text, unsigned fallback)
{
	char *end = NULL;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || !isdigit((unsigned char) text[0]))
		return fallback;
	return value > ASH_INITRD_MAX_TIMEOUT_S ? ASH_INITRD_MAX_TIMEOUT_S : (unsigned) value;
}

static const char *value_of(const char *word, const char *key)
{
	size_t length = strlen(key);
	return strncmp(word, key, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

static void apply_text(const char *word, AshInitrdCmdline *cmdline)
{
	const struct {
		const char *key;
		const char **value;
	} texts[] = {
			{"root", &cmdline->root},
			{"rootfstype", &cmdline->rootfstype},
			{"rootflags", &cmdline->rootflags},
			{"ostree", &cmdline->ostree},
			{"init", &cmdline->init},
			{"modprobe.blacklist", &cmdline->blacklist},
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		const char *value = value_of(word, texts[i].key);
		if (value != NULL && value[0] != '\0')
			*texts[i].value = value;
	}
}

static void apply(const char *word, AshInitrdCmdline *cmdline)
{
	const char *value = NULL;

	apply_text(word, cmdline);
	if (strcmp(word, "ro") == 0)
		cmdline->is_rw = false;
	else if (strcmp(word, "rw") == 0)
		cmdline->is_rw = true;
	else if (strcmp(word, "ashlar.debug") == 0)
		cmdline->is_debug = true;
	else if ((value = value_of(word, "ashlar.root_timeout_s")) != NULL)
		cmdline->timeout_s = parse_seconds(value, cmdline->timeout_s);
	else if ((value = value_of(word, "ashlar.watchdog_s")) != NULL)
		cmdline->watchdog_s = parse_seconds(value, cmdline->watchdog_s);
	else if ((value = value_of(word, "rootdelay")) != NULL) {
		unsigned delay_s = parse_seconds(value, 0);
		if (delay_s > cmdline->timeout_s)
			cmdline->timeout_s = delay_s;
	}
}

void ash_initrd_cmdline_parse(char *text, AshInitrdCmdline *out_cmdline)
{
	AshInitrdCmdline cmdline = {
			.rootfstype = "ext4",
			.init = "/sbin/init",
			.timeout_s = ASH_INITRD_DEFAULT_TIMEOUT_S,
	};

	/* A word takes at least two characters of the text. */
	cmdline.words = ash_initrd_alloc((strlen(text) / 2 + 2) * sizeof(char *));
	for (char *word; (word = next_word(&text)) != NULL && strcmp(word, "--") != 0;) {
		cmdline.words[cmdline.n_words++] = word;
		apply(word, &cmdline);
	}
	*out_cmdline = cmdline;
}

static bool same_char(char a, char b)
{
	return (a == '-' ? '_' : a) == (b == '-' ? '_' : b);
}

bool ash_initrd_same_module(const char *a, const char *b)
{
	while (*a != '\0' && same_char(*a, *b)) {
		a++;
		b++;
	}
	return *a == '\0' && *b == '\0';
}

/* "PARAMETER=VALUE" when @word is "MODULE.PARAMETER=VALUE", or NULL. */
static const char *param_of(const char *word, const char *module)
{
	size_t i = 0;

	for (; module[i] != '\0'; i++)
		if (word[i] == '\0' || !same_char(word[i], module[i]))
			return NULL;
	return word[i] == '.' && word[i + 1] != '\0' ? word + i + 1 : NULL;
}

void ash_initrd_cmdline_module_params(
		const AshInitrdCmdline *cmdline, const char *module, char *buffer, size_t size)
{
	size_t used = 0;

	buffer[0] = '\0';
	for (size_t i = 0; i < cmdline->n_words; i++) {
		const char *param = param_of(cmdline->words[i], module);
		if (param == NULL)
			continue;
		/* A value with blanks needs its quotes back. */
		const char *equals = strchr(param, '=');
		bool needs_quotes = equals != NULL && strpbrk(equals, " \t") != NULL;
		size_t length = strlen(param) + (used > 0) + (needs_quotes ? 2 : 0);
		if (length >= size - used)
			continue;
		if (used > 0)
			buffer[used++] = ' ';
		for (const char *c = param; *c != '\0'; c++) {
			buffer[used++] = *c;
			if (needs_quotes && c == equals)
				buffer[used++] = '"';
		}
		if (needs_quotes)
			buffer[used++] = '"';
		buffer[used] = '\0';
	}
}

bool ash_initrd_cmdline_is_blacklisted(const AshInitrdCmdline *cmdline, const char *module)
{
	const char *cursor = cmdline->blacklist;

	while (cursor != NULL && *cursor != '\0') {
		size_t i = 0;
		while (module[i] != '\0' && cursor[i] != '\0' && same_char(module[i], cursor[i]))
			i++;
		if (module[i] == '\0' && (cursor[i] == '\0' || cursor[i] == ','))
			return true;
		cursor = strchr(cursor, ',');
		if (cursor != NULL)
			cursor++;
	}
	return false;
}
