/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <string.h>

#include "lib/workload-report.h"

/* What changes between two reports, and whether it is more. */

static const AshGrant *find(const AshWorkloadReport *report, AshGrantKind kind, const char *name)
{
	for (guint i = 0; i < report->grants->len; i++) {
		const AshGrant *grant = report->grants->pdata[i];
		if (grant->kind == kind && strcmp(grant->name, name) == 0)
			return grant;
	}
	return NULL;
}

/* ---- targets in one another ---------------------------------------------------------------------- */

typedef struct {
	char *target; /* "*", a name, a network */
	const char *port;
	char *text;
} Egress;

/* "[2001:db8::/32]:443/udp": its target, and what follows (":443/udp", "" for every port). */
static void split(const char *name, Egress *out)
{
	out->text = g_strdup(name);
	char *colon = *name == '[' ? strchr(strchr(out->text, ']'), ':') : strchr(out->text, ':');
	out->port = colon != NULL ? colon : out->text + strlen(out->text);
	g_autofree char *target = g_strndup(out->text, (size_t) (out->port - out->text));
	out->target = *target == '[' ? g_strndup(target + 1, strlen(target) - 2)
				     : g_steal_pointer(&target);
}

static void egress_clear(Egress *egress)
{
	g_free(egress->target);
	g_free(egress->text);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Egress, egress_clear)

/* Of a network; false for names. */
static bool parse_network(
		const char *text, uint8_t out_bytes[16], int *out_family, unsigned *out_bits)
{
	g_auto(GStrv) parts = g_strsplit(text, "/", 2);
	unsigned all;

	if (inet_pton(AF_INET, parts[0], out_bytes) == 1)
		*out_family = AF_INET;
	else if (inet_pton(AF_INET6, parts[0], out_bytes) == 1)
		*out_family = AF_INET6;
	else
		return false;
	all = *out_family == AF_INET ? 32 : 128;
	*out_bits = parts[1] != NULL ? (unsigned) g_ascii_strtoull(parts[1], NULL, 10) : all;
	return true;
}

static bool has_target(const char *outer, const char *inner)
{
	uint8_t outer_bytes[16];
	uint8_t inner_bytes[16];
	int outer_family;
	int inner_family;
	unsigned outer_bits;
	unsigned inner_bits;

	if (strcmp(outer, "*") == 0 || strcmp(outer, inner) == 0)
		return true;
	if (!parse_network(outer, outer_bytes, &outer_family, &outer_bits) ||
			!parse_network(inner, inner_bytes, &inner_family, &inner_bits) ||
			outer_family != inner_family || outer_bits > inner_bits)
		return false;
	for (unsigned bit = 0; bit < outer_bits; bit++)
		if ((outer_bytes[bit / 8] ^ inner_bytes[bit / 8]) & (0x80 >> bit % 8))
			return false;
	return true;
}

static bool is_in_egress(const AshWorkloadReport *from, const char *name)
{
	g_auto(Egress) inner = {0};

	split(name, &inner);
	for (guint i = 0; i < from->grants->len; i++) {
		const AshGrant *grant = from->grants->pdata[i];
		g_auto(Egress) outer = {0};
		if (grant->kind != ASH_GRANT_EGRESS)
			continue;
		split(grant->name, &outer);
		if (has_target(outer.target, inner.target) &&
				(*outer.port == '\0' || strcmp(outer.port, inner.port) == 0))
			return true;
	}
	return false;
}

/* ---- more or not --------------------------------------------------------------------------------- */

/* Is @grant, which @from does not have, in something that it has? */
static bool is_covered(const AshWorkloadReport *from, const AshGrant *grant)
{
	bool has_host = find(from, ASH_GRANT_NETWORK, "host") != NULL;

	switch (grant->kind) {
	case ASH_GRANT_NETWORK:
		return has_host &&
		       (strcmp(grant->name, "out") == 0 ||
				       strcmp(grant->name, "services of the host") == 0);
	case ASH_GRANT_PUBLISH:
		return has_host;
	case ASH_GRANT_EGRESS:
		return has_host || is_in_egress(from, grant->name);
	case ASH_GRANT_VOLUME: {
		/* The same volume, which can only be read now. */
		const char *suffix = strstr(grant->name, " (read only)");
		g_autofree char *name = g_strndup(
				grant->name, suffix != NULL ? (size_t) (suffix - grant->name) : 0);
		const AshGrant *old = find(from, ASH_GRANT_VOLUME, name);
		return old != NULL && old->amount >= grant->amount;
	}
	case ASH_GRANT_RESOURCE:
		/* Limits of a link, where there was the host's without any. */
		return has_host;
	case ASH_GRANT_ISOLATION:
	case ASH_GRANT_REQUIRES:
	case ASH_GRANT_PROVIDES:
	case ASH_GRANT_SECRET:
	case ASH_GRANT_DEVICE:
	case ASH_GRANT_CAPABILITY:
	case ASH_GRANT_SYSTEM_CALL:
	case ASH_GRANT_USER:
	case ASH_GRANT_SCOPE:
		return false;
	}
	g_assert_not_reached();
}

static bool is_removed(const AshWorkloadReport *report, const char *call)
{
	return g_strv_contains((const char *const *) report->calls_removed, call);
}

static bool is_call_wider(const AshWorkloadReport *from, const AshGrant *to)
{
	bool had_default = find(from, ASH_GRANT_SYSTEM_CALL, "(default)") != NULL;

	/* Added beside a default, or taken from it into a list of its own. */
	if (strcmp(to->name, "(default)") == 0)
		return true;
	return !had_default || ash_workload_report_is_beyond(to->name) ||
	       is_removed(from, to->name);
}

/* Both have the default profile: is a call back that was removed? */
static bool is_default_wider(const AshWorkloadReport *from, const AshWorkloadReport *to)
{
	for (char **call = from->calls_removed; *call != NULL; call++)
		if (!is_removed(to, *call))
			return true;
	return false;
}

static bool is_wider(const AshWorkloadReport *from_report, const AshWorkloadReport *to_report,
		const AshGrant *from, const AshGrant *to)
{
	bool to_default = find(to_report, ASH_GRANT_SYSTEM_CALL, "(default)") != NULL;

	if (to == NULL)
		return false;
	if (from != NULL)
		return to->amount > from->amount ||
		       (to->kind == ASH_GRANT_SYSTEM_CALL && strcmp(to->name, "(default)") == 0 &&
				       is_default_wider(from_report, to_report));
	if (to->kind == ASH_GRANT_SYSTEM_CALL && !to_default)
		return is_call_wider(from_report, to);
	return !is_covered(from_report, to);
}

static bool is_same(const AshGrant *from, const AshGrant *to)
{
	return from != NULL && to != NULL && from->amount == to->amount &&
	       strcmp(from->text, to->text) == 0;
}

static void add_change(GPtrArray *changes, const AshWorkloadReport *from_report,
		const AshWorkloadReport *to_report, AshGrant *from, AshGrant *to)
{
	if (is_same(from, to))
		return;
	AshGrantChange *change = g_new0(AshGrantChange, 1);
	change->from = from;
	change->to = to;
	change->is_wider = is_wider(from_report, to_report, from, to);
	g_ptr_array_add(changes, change);
}

static int compare(const AshGrant *a, const AshGrant *b)
{
	return a->kind != b->kind ? (int) a->kind - (int) b->kind : strcmp(a->name, b->name);
}

GPtrArray *ash_workload_report_diff(
		const AshWorkloadReport *from, const AshWorkloadReport *to, bool *out_is_wider)
{
	GPtrArray *changes = g_ptr_array_new_with_free_func(g_free);
	guint i = 0;
	guint j = 0;

	/* Both are in one order. */
	while (i < from->grants->len || j < to->grants->len) {
		AshGrant *a = i < from->grants->len ? from->grants->pdata[i] : NULL;
		AshGrant *b = j < to->grants->len ? to->grants->pdata[j] : NULL;
		int order = a == NULL ? 1 : b == NULL ? -1 : compare(a, b);
		add_change(changes, from, to, order <= 0 ? a : NULL, order >= 0 ? b : NULL);
		i += order <= 0;
		j += order >= 0;
	}
	*out_is_wider = false;
	for (guint k = 0; k < changes->len; k++)
		if (((const AshGrantChange *) changes->pdata[k])->is_wider)
			*out_is_wider = true;
	return changes;
}
