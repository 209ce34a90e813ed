/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/mman.h>

#include "builder/deb.h"
#include "lib/archive.h"
#include "lib/auto.h"
#include "lib/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The ar archive and its control member. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) control = NULL;
	g_autoptr(GError) error = NULL;
	ash_autofd int fd = memfd_create("deb", MFD_CLOEXEC);

	g_assert_cmpint(fd, >=, 0);
	g_assert_true(ash_file_write_all(fd, data, size, NULL));
	if (ash_deb_read_control(fd, "input", &control, &error)) {
		g_assert_cmpuint(g_bytes_get_size(control), <=, ASH_DEB_MAX_CONTROL_BYTES);
		/* Terminated behind its end. */
		const char *text = g_bytes_get_data(control, NULL);
		g_assert_cmpint(text[g_bytes_get_size(control)], ==, '\0');
	} else {
		g_assert_null(control);
		g_assert_true(error->domain == ASH_DEB_ERROR);
		g_assert_true(g_str_has_prefix(error->message, "input: "));
	}
	return 0;
}
