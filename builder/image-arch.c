/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/image-arch.h"

#include <string.h>
#include <sys/utsname.h>

static const AshImageArch arches[] = {
		{"amd64", "x64", "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709", "ttyS0"},
		{"arm64", "aa64", "B921B045-1DF0-41C3-AF44-4C6F280D3FAE", "ttyAMA0"},
		{"armhf", "arm", "69DAD710-2CE4-4E3C-B16C-21A1D49ABED3", "ttyAMA0"},
		{"i386", "ia32", "44479540-F297-41B2-9AF7-D131D5F0458A", "ttyS0"},
		{"loong64", "loongarch64", "77055800-792C-4F94-B39A-98C91B762BB6", "ttyS0"},
		{"riscv64", "riscv64", "72EC70A6-CF74-40E6-BD49-4BDA08E8F224", "ttyS0"},
};

const AshImageArch *ash_image_arch_find(const char *debian)
{
	for (size_t i = 0; i < G_N_ELEMENTS(arches); i++)
		if (strcmp(arches[i].debian, debian) == 0)
			return &arches[i];
	return NULL;
}

const char *ash_image_arch_native(void)
{
	static const struct {
		const char *machine;
		const char *debian;
	} machines[] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"armv7l", "armhf"},
			{"i686", "i386"}, {"loongarch64", "loong64"}, {"riscv64", "riscv64"}};
	struct utsname name;

	if (uname(&name) < 0)
		return NULL;
	for (size_t i = 0; i < G_N_ELEMENTS(machines); i++)
		if (strcmp(machines[i].machine, name.machine) == 0)
			return machines[i].debian;
	return NULL;
}
