/* SPDX-License-Identifier: Apache-2.0 */
#define ASH_ERROR_IS_DEFINED_HERE
#include "lib/error.h"

#include <errno.h>
#include <gio/gio.h>

G_GNUC_PRINTF(4, 0)
static void throw_valist(GError **error, GQuark domain, int code, const char *format, va_list args)
{
	if (error == NULL)
		return;
	*error = g_error_new_valist(domain, code, format, args);
}

gboolean ash_throw(GError **error, GQuark domain, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	throw_valist(error, domain, code, format, args);
	va_end(args);
	return FALSE;
}

gpointer ash_throw_null(GError **error, GQuark domain, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	throw_valist(error, domain, code, format, args);
	va_end(args);
	return NULL;
}

gboolean ash_throw_errno(GError **error, const char *format, ...)
{
	int saved_errno = errno;
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	g_set_error(error, G_IO_ERROR, (gint) g_io_error_from_errno(saved_errno), "%s: %s", text,
			g_strerror(saved_errno));
	return FALSE;
}

AshErrorPrefix ash_error_prefix_begin(GError **error, const char *format, ...)
{
	AshErrorPrefix prefix = {.error = error, .text = NULL};
	va_list args;

	va_start(args, format);
	prefix.text = g_strdup_vprintf(format, args);
	va_end(args);
	return prefix;
}

void ash_error_prefix_end(AshErrorPrefix *prefix)
{
	if (prefix->error != NULL && *prefix->error != NULL)
		g_prefix_error(prefix->error, "%s: ", prefix->text);
	g_free(prefix->text);
}
