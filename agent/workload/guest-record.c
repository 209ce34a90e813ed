/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool take_number(const char *value, uint64_t *out)
{
	char *end;

	errno = 0;
	unsigned long long number = strtoull(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || value[0] == '-')
		return false;
	*out = number;
	return true;
}

static bool take_volume(AshGuest *guest, char *value)
{
	char *serial = strsep(&value, ":");
	char *mode = strsep(&value, ":");

	if (!mode || !value || value[0] != '/' || guest->n_volumes == ASH_GUEST_MAX_LIST)
		return false;
	guest->volumes[guest->n_volumes++] = (AshGuestVolume){
			.serial = serial, .path = value, .is_read_only = strcmp(mode, "ro") == 0};
	return true;
}

static bool take_file(AshGuest *guest, char *value)
{
	char *name = strsep(&value, ":");

	if (!value || value[0] != '/' || guest->n_files == ASH_GUEST_MAX_LIST)
		return false;
	guest->files[guest->n_files++] = (AshGuestFile){.name = name, .path = value};
	return true;
}

static bool take_repeated(AshGuest *guest, const char *key, char *value, bool *out_is)
{
	struct {
		const char *key;
		char **list;
		unsigned *n;
	} lists[] = {
			{"command", guest->command, &guest->n_command},
			{"env", guest->environment, &guest->n_environment},
			{"module", guest->modules, &guest->n_modules},
			{"nameserver", guest->nameservers, &guest->n_nameservers},
			{"host", guest->hosts, &guest->n_hosts},
	};

	*out_is = false;
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		if (strcmp(lists[i].key, key) == 0) {
			*out_is = true;
			if (*lists[i].n == ASH_GUEST_MAX_LIST)
				return false;
			lists[i].list[(*lists[i].n)++] = value;
		}
	return true;
}

static bool take_text(AshGuest *guest, const char *key, const char *value)
{
	struct {
		const char *key;
		const char **text;
	} texts[] = {
			{"directory", &guest->directory},
			{"hostname", &guest->hostname},
			{"address", &guest->address},
			{"gateway", &guest->gateway},
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (strcmp(texts[i].key, key) == 0) {
			*texts[i].text = value;
			return true;
		}
	return false;
}

static bool take_value(AshGuest *guest, const char *key, const char *value)
{
	uint64_t number;

	if (!take_number(value, &number))
		return false;
	if (strcmp(key, "uid") == 0)
		guest->uid = (uid_t) number;
	else if (strcmp(key, "gid") == 0)
		guest->gid = (gid_t) number;
	else if (strcmp(key, "tasks") == 0)
		guest->tasks = number;
	else if (strcmp(key, "descriptors") == 0)
		guest->descriptors = number;
	else if (strcmp(key, "tmp") == 0)
		guest->tmp_bytes = number;
	else if (strcmp(key, "boot") == 0)
		guest->is_booted = number != 0;
	else if (strcmp(key, "idle") == 0)
		guest->is_idle = number != 0;
	else if (strcmp(key, "channel") == 0)
		guest->has_channel = number != 0;
	else if (strcmp(key, "capability") == 0 && number < 64)
		guest->capabilities |= UINT64_C(1) << number;
	else
		return false;
	return true;
}

static bool take(AshGuest *guest, const char *key, char *value)
{
	bool is_list;

	if (!take_repeated(guest, key, value, &is_list))
		return false;
	if (is_list || take_text(guest, key, value))
		return true;
	if (strcmp(key, "volume") == 0)
		return take_volume(guest, value);
	if (strcmp(key, "file") == 0)
		return take_file(guest, value);
	return take_value(guest, key, value);
}

bool ash_guest_parse(char *text, size_t size, AshGuest *guest, const char **out_wrong)
{
	memset(guest, 0, sizeof *guest);
	guest->directory = "/";
	guest->hostname = "guest";
	for (size_t at = 0; at < size;) {
		char *record = text + at;
		size_t length = strnlen(record, size - at);
		if (length == size - at) {
			*out_wrong = "the last record has no end";
			return false;
		}
		at += length + 1;
		char *value = strchr(record, '=');
		*out_wrong = record;
		if (!value)
			return false;
		*value = '\0';
		if (!take(guest, record, value + 1))
			return false;
	}
	*out_wrong = "command";
	return guest->n_command > 0 || guest->is_booted || guest->is_idle;
}
