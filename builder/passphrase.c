/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/passphrase.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

G_DEFINE_QUARK(ash_passphrase_error, ash_passphrase_error)

void ash_passphrase_free(char *passphrase)
{
	if (passphrase == NULL)
		return;
	explicit_bzero(passphrase, strlen(passphrase));
	g_free(passphrase);
}

static gboolean read_from_file(const char *file, char **out_passphrase, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;

	if (!ash_file_read(AT_FDCWD, file, ASH_PASSPHRASE_MAX_BYTES, &bytes, error))
		return FALSE;
	const char *text = g_bytes_get_data(bytes, NULL);
	size_t length = strcspn(text, "\r\n");
	if (length == 0)
		return ash_throw(error, ASH_PASSPHRASE_ERROR, ASH_PASSPHRASE_ERROR_EMPTY,
				"the first line of '%s' is empty", file);
	*out_passphrase = g_strndup(text, length);
	return TRUE;
}

/* A line from the terminal, which meanwhile shows nothing. */
static gboolean ask(int fd, const char *question, char **out_line, GError **error)
{
	char line[ASH_PASSPHRASE_MAX_BYTES + 1];
	struct termios shown, hidden;
	size_t length = 0;

	if (tcgetattr(fd, &shown) < 0)
		return ash_throw_errno(error, "the terminal");
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t) (ECHO | ECHONL);
	if (tcsetattr(fd, TCSAFLUSH, &hidden) < 0)
		return ash_throw_errno(error, "the terminal");
	dprintf(fd, "%s: ", question);
	while (length < sizeof line - 1) {
		ssize_t n = read(fd, line + length, 1);
		if (n <= 0 || line[length] == '\n')
			break;
		length++;
	}
	line[length] = '\0';
	tcsetattr(fd, TCSAFLUSH, &shown);
	dprintf(fd, "\n");
	*out_line = g_strdup(line);
	explicit_bzero(line, sizeof line);
	return TRUE;
}

static gboolean read_from_terminal(
		const char *what, bool is_new, char **out_passphrase, GError **error)
{
	ash_autofd int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	g_autofree char *question = g_strdup_printf("Passphrase of %s", what);
	char *first = NULL;
	char *second = NULL;

	if (fd < 0)
		return ash_throw(error, ASH_PASSPHRASE_ERROR, ASH_PASSPHRASE_ERROR_NONE,
				"%s: a passphrase is needed and there is no terminal to ask on (use "
				"--passphrase-file or $ASHLAR_KEY_PASSPHRASE_FILE)",
				what);
	if (!ask(fd, question, &first, error))
		return FALSE;
	if (*first == '\0') {
		ash_passphrase_free(first);
		return ash_throw(error, ASH_PASSPHRASE_ERROR, ASH_PASSPHRASE_ERROR_EMPTY,
				"no passphrase was given (--no-passphrase makes keys without)");
	}
	if (is_new && !ask(fd, "The same again", &second, error)) {
		ash_passphrase_free(first);
		return FALSE;
	}
	bool is_same = !is_new || strcmp(first, second) == 0;
	ash_passphrase_free(second);
	if (!is_same) {
		ash_passphrase_free(first);
		return ash_throw(error, ASH_PASSPHRASE_ERROR, ASH_PASSPHRASE_ERROR_MISTYPED,
				"the two passphrases differ; nothing was done");
	}
	*out_passphrase = first;
	return TRUE;
}

gboolean ash_passphrase_read(const char *file, const char *what, bool is_new, char **out_passphrase,
		GError **error)
{
	const char *variable = g_getenv("ASHLAR_KEY_PASSPHRASE_FILE");

	if (file == NULL && variable != NULL && *variable != '\0')
		file = variable;
	if (file != NULL)
		return read_from_file(file, out_passphrase, error);
	return read_from_terminal(what, is_new, out_passphrase, error);
}
