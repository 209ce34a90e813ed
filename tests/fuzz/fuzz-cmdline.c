/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <stdint.h>
#include <string.h>

#include "agent/initrd-cmdline.c"

/* The kernel's command line, as the first process of the initramfs and a guest read it. */

void *ash_initrd_alloc(size_t size)
{
	return g_malloc0(size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup(size > 0 ? (const char *) data : "", size);
	AshInitrdCmdline cmdline;
	char parameters[64];

	size = strlen(text);
	ash_initrd_cmdline_parse(text, &cmdline);
	g_assert_cmpuint(cmdline.n_words, <=, size / 2 + 1);
	g_assert_null(cmdline.words[cmdline.n_words]);
	for (size_t i = 0; i < cmdline.n_words; i++)
		g_assert_true(cmdline.words[i] >= text && cmdline.words[i] <= text + size);
	ash_initrd_cmdline_module_params(&cmdline, "virtio-net", parameters, sizeof parameters);
	g_assert_cmpuint(strlen(parameters), <, sizeof parameters);
	(void) ash_initrd_cmdline_is_blacklisted(&cmdline, "virtio_net");
	g_free(cmdline.words);
	return 0;
}
