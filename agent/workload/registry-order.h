/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/workload.h"

/* What `ashlar-fetch image` is asked, and where the answer to "which registry, by whose name" stands. PURE, but for
 * ash_registries_load.
 *
 * /etc/ashlar/registries.yaml, of root and for root alone when it holds a password:
 *
 *	proxy: http://PROXY:3128
 *	registries:
 *	  - host: registry.example.org:5000     as images name it
 *	    username: host
 *	    password: "…"                       or password-file: /etc/ashlar/secrets/registry
 *	    token-hosts: [auth.example.org]     others that may see the password: the token servers
 *	    ca: /etc/ashlar/registry.pem        believed in place of the system's
 *	    plain-http: true                    loopback alone
 *	    mirrors: ["https://mirror.example.org/prefix"]     asked before it, in this order. Their passwords are
 *	                                        those of the entry with their host
 *
 * The order, a JSON object on stdin. It holds passwords: it goes through a pipe, never into an argument, a file that
 * others read, or a unit's properties.
 *
 *	{"location":"HOST[:PORT]/NAME","tag":T,"digest":"sha256:…"|"","proxy":U,
 *	 "endpoints":[{"url":U,"username":U,"password":P,"token_hosts":[H…],"ca":PEM}]}
 *
 * On stdout come agent/order.h's lines: {"progress":{"done":N,"total":N}}, and last {"result":{"ok":true,"bytes":N,
 * "seconds":N,"digest":"sha256:…"}} or a failure with one of its words, or
 *
 *	denied     the registry does not give it to us; retry false
 *	image      it is not an image for this host
 */

#define ASH_REGISTRY_ERROR (ash_registry_error_quark())
GQuark ash_registry_error_quark(void);

typedef enum {
	ASH_REGISTRY_ERROR_ORDER,  /* not one; not a name of an image */
	ASH_REGISTRY_ERROR_FILE,   /* registries.yaml: FILE:LINE:COLUMN: … */
	ASH_REGISTRY_ERROR_ANSWER, /* the registry's is none */
} AshRegistryError;

enum {
	ASH_REGISTRY_MAX_ORDER_BYTES = 1 << 20,
	ASH_REGISTRY_MAX_FILE_BYTES = 256 << 10,
	ASH_REGISTRY_MAX_ENTRIES = 256,
	ASH_REGISTRY_MAX_MIRRORS = 8,
	ASH_REGISTRY_MAX_SECRET_BYTES = 4096,
	ASH_REGISTRY_MAX_CA_BYTES = 256 << 10,
};

typedef struct {
	char *host;                    /* "HOST[:PORT]", as images name it */
	char *username, *password;     /* "" */
	char *password_file, *ca_file; /* "" */
	char *ca;                      /* PEM; "" */
	char **token_hosts, **mirrors; /* never NULL */
	bool is_plain;
} AshRegistry;

typedef struct {
	char *proxy;        /* "" */
	GPtrArray *entries; /* AshRegistry */
} AshRegistries;

gboolean ash_registries_parse(const char *file, GBytes *text, AshRegistries **out_registries,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A missing file is an empty one. One with a password that others may read is refused. Brings in what other files
 * hold. @path: with a test's root before it.
 */
gboolean ash_registries_load(const char *path, AshRegistries **out_registries, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_registries_free(AshRegistries *registries);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshRegistries, ash_registries_free)

typedef struct {
	char *url; /* without a slash at its end */
	char *username, *password, *ca;
	char **token_hosts;
} AshRegistryEndpoint;

typedef struct {
	char *location, *tag, *digest, *proxy;
	char *name;           /* of location, behind the host */
	GPtrArray *endpoints; /* AshRegistryEndpoint, at least one */
} AshRegistryOrder;

/* Newly allocated; holds passwords. @image: of kind OCI. */
char *ash_registry_order(const AshWorkloadImage *image, const AshRegistries *registries);
gboolean ash_registry_order_parse(GBytes *text, AshRegistryOrder **out_order, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_registry_order_free(AshRegistryOrder *order);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshRegistryOrder, ash_registry_order_free)

/* Questions. */
bool ash_registry_is_loopback(const char *host); /* "127.0.0.1:5000", "localhost", "[::1]:5000" */
/* Of a URL: "HOST[:PORT]", newly allocated; NULL when it is none. */
char *ash_registry_url_host(const char *url);
