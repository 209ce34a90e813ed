/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/workload-key.h"

/* Values that are more than one thing in one text: images, ports, targets. Their form has been checked. */

/* ---- images -------------------------------------------------------------------------------------- */

static const struct {
	const char *prefix;
	AshWorkloadImageKind kind;
} image_kinds[] = {
		{"oci:", ASH_WORKLOAD_IMAGE_OCI},
		{"oci-dir:", ASH_WORKLOAD_IMAGE_OCI_DIR},
		{"docker-archive:", ASH_WORKLOAD_IMAGE_DOCKER_ARCHIVE},
		{"ostree:", ASH_WORKLOAD_IMAGE_OSTREE},
};

/* Cuts "@DIGEST" off @rest; "" when there is none. */
static char *cut_digest(char *rest)
{
	char *at = strrchr(rest, '@');

	if (at == NULL)
		return g_strdup("");
	*at = '\0';
	return g_strdup(at + 1);
}

/* Cuts ":TAG" off @rest, which is behind the last '/' (a ':' before that is a port's). */
static char *cut_tag(char *rest)
{
	char *slash = strrchr(rest, '/');
	char *colon = slash != NULL ? strchr(slash, ':') : NULL;

	if (colon == NULL)
		return g_strdup("");
	*colon = '\0';
	return g_strdup(colon + 1);
}

static gboolean judge_registry(
		const AshYamlNode *node, const AshWorkloadImage *image, GError **error)
{
	g_autofree char *host = g_strndup(image->location, strcspn(image->location, "/"));

	/* What is not written is not guessed: no registry and no tag is the default one. */
	if (strpbrk(host, ".:") == NULL && strcmp(host, "localhost") != 0)
		return ash_workload_throw(node, error,
				"'image': '%s' is not the name of a registry; expected "
				"oci:HOST/NAME, with the whole name of the host",
				host);
	const char *port = strrchr(host, ':');
	if (port != NULL && host[strlen(host) - 1] != ']' &&
			!g_ascii_string_to_unsigned(port + 1, 10, 1, 65535, NULL, NULL))
		return ash_workload_throw(node, error, "'image': a port is 1 to 65535");
	if (strlen(image->location) > 255)
		return ash_workload_throw(
				node, error, "'image': the name is longer than 255 bytes");
	if (*image->tag == '\0' && *image->digest == '\0')
		return ash_workload_throw(node, error,
				"'image': which version is not said; expected :TAG or @sha256:HEX "
				"behind the name");
	return TRUE;
}

gboolean ash_workload_parse_image(
		const AshYamlNode *node, AshWorkloadImage *out_image, GError **error)
{
	AshWorkloadImage image = {0};
	size_t i = 0;

	while (!g_str_has_prefix(node->scalar, image_kinds[i].prefix))
		i++;
	g_autofree char *rest = g_strdup(node->scalar + strlen(image_kinds[i].prefix));
	image.kind = image_kinds[i].kind;
	g_autofree char *digest =
			image.kind == ASH_WORKLOAD_IMAGE_OCI ||
							image.kind == ASH_WORKLOAD_IMAGE_OSTREE
					? cut_digest(rest)
					: g_strdup("");
	g_autofree char *tag =
			image.kind == ASH_WORKLOAD_IMAGE_OSTREE ? g_strdup("") : cut_tag(rest);
	image.location = rest;
	image.digest = digest;
	image.tag = tag;
	if (image.kind == ASH_WORKLOAD_IMAGE_OCI && !judge_registry(node, &image, error))
		return FALSE;
	image.text = g_strdup(node->scalar);
	image.location = g_steal_pointer(&rest);
	image.digest = g_steal_pointer(&digest);
	image.tag = g_steal_pointer(&tag);
	*out_image = image;
	return TRUE;
}

/* ---- ports --------------------------------------------------------------------------------------- */

static bool cut_suffix(char *text, const char *suffix)
{
	if (!g_str_has_suffix(text, suffix))
		return false;
	text[strlen(text) - strlen(suffix)] = '\0';
	return true;
}

/* Cuts ":PORT" off @text. */
static gboolean cut_port(const AshYamlNode *node, const char *key, char *text, uint16_t *out_port,
		GError **error)
{
	char *colon = strrchr(text, ':');
	guint64 port;

	if (!g_ascii_string_to_unsigned(
			    colon != NULL ? colon + 1 : text, 10, 1, 65535, &port, NULL))
		return ash_workload_throw(node, error, "'%s' has '%s': a port is 1 to 65535", key,
				node->scalar);
	*out_port = (uint16_t) port;
	*(colon != NULL ? colon : text) = '\0';
	return TRUE;
}

/* "[::1]" without its brackets. */
static char *unbracket(const char *text)
{
	return *text == '[' ? g_strndup(text + 1, strlen(text) - 2) : g_strdup(text);
}

gpointer ash_workload_make_port(const AshYamlNode *node, GError **error)
{
	g_autofree char *rest = g_strdup(node->scalar);
	AshWorkloadPort port = {.is_udp = cut_suffix(rest, "/udp")};

	cut_suffix(rest, "/tcp");
	if (!cut_port(node, "publish", rest, &port.port, error) ||
			!cut_port(node, "publish", rest, &port.host_port, error))
		return NULL;
	/* Every address of the host, as without one. */
	bool is_everywhere = *rest == '\0' || strcmp(rest, "0.0.0.0") == 0;
	port.address = is_everywhere ? g_strdup("") : ash_workload_normal_address(rest);
	if (port.address == NULL) {
		ash_workload_throw(node, error, "'publish': '%s' is not an address", rest);
		return NULL;
	}
	return g_memdup2(&port, sizeof(port));
}

static bool is_host_name(const char *text)
{
	const char *dot = strrchr(text, '.');
	const char *last = dot != NULL ? dot + 1 : text;

	/* Else "192.0.2.300" would be a name. */
	return strlen(text) <= 253 && strspn(last, "0123456789") != strlen(last);
}

gpointer ash_workload_make_egress(const AshYamlNode *node, GError **error)
{
	g_autofree char *rest = g_strdup(node->scalar);
	AshWorkloadEgress egress = {.is_udp = cut_suffix(rest, "/udp")};
	const char *bracket = strrchr(rest, ']');

	cut_suffix(rest, "/tcp");
	if (strchr(bracket != NULL ? bracket : rest, ':') != NULL &&
			!cut_port(node, "egress", rest, &egress.port, error))
		return NULL;
	g_autofree char *target = unbracket(rest);
	bool is_number = *rest == '[' || strspn(target, "0123456789./") == strlen(target);
	egress.is_name = !is_number && strcmp(target, "*") != 0;
	if (is_number && !ash_workload_is_network(target)) {
		ash_workload_throw(node, error,
				"'egress': '%s' is not a network; expected an address, or one with "
				"/LENGTH of which all bits behind that are zero",
				target);
		return NULL;
	}
	if (egress.is_name && !is_host_name(target)) {
		ash_workload_throw(node, error, "'egress': '%s' is not a name", target);
		return NULL;
	}
	egress.target = g_steal_pointer(&target);
	return g_memdup2(&egress, sizeof(egress));
}
