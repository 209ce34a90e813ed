/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/health-spec.h"

/* The manifest: what goes into an OS tree or a workload image, as a person writes it (YAML).
 * manifest(5) and the JSON Schema are generated from the same table that parsing uses.
 *
 * Loading resolves `include`, `variables`, `architectures` and the chosen `variant`, so that what
 * comes out is flat: lists are concatenated in the order base, includes in order, own, architecture,
 * variant; single values are replaced by the later one. Every item remembers where it was written.
 */

#define ASH_MANIFEST_ERROR (ash_manifest_error_quark())
GQuark ash_manifest_error_quark(void);

/* Every message begins with FILE:LINE:COLUMN. */
typedef enum {
	ASH_MANIFEST_ERROR_SYNTAX,
	ASH_MANIFEST_ERROR_UNKNOWN_KEY, /* with the nearest key */
	ASH_MANIFEST_ERROR_TYPE,
	ASH_MANIFEST_ERROR_VALUE, /* right type, impossible value */
	ASH_MANIFEST_ERROR_DUPLICATE,
	ASH_MANIFEST_ERROR_MISSING,  /* a required key */
	ASH_MANIFEST_ERROR_INCLUDE,  /* file not found, cycle, too deep */
	ASH_MANIFEST_ERROR_VARIABLE, /* ${x} unknown, or recursive */
	ASH_MANIFEST_ERROR_VARIANT,  /* no such variant, with the names there are */
	ASH_MANIFEST_ERROR_ARCH,     /* this architecture is not among `architectures` */
} AshManifestError;

enum {
	ASH_MANIFEST_MAX_BYTES = 4 << 20, /* each file */
	ASH_MANIFEST_MAX_INCLUDES = 64,
	ASH_MANIFEST_MAX_FILE_BYTES = 256 << 20, /* of a `source:` file */
};

typedef enum {
	ASH_MANIFEST_HOST,
	ASH_MANIFEST_WORKLOAD,
} AshManifestKind;

/* Where an item was written, "host.yaml:12:5"; interned, never freed. */
typedef const char *AshMark;

typedef struct {
	AshMark mark;
	char *id;      /* `name:`, or derived: "repo1" */
	char *uri;     /* http:, https:, file:; NULL for a directory of .debs */
	char *path;    /* directory of .debs without an index, absolute; else NULL */
	char **suites; /* empty and flat for `suites: ["./"]` */
	char **components;
	char *keyring;     /* absolute path; NULL: Debian's own */
	bool is_flat;      /* suite ends in '/': a flat repository with a Packages file */
	bool is_trusted;   /* `trusted: true`: no signature is asked for */
	uint32_t priority; /* larger wins whatever the version; default 500 */
} AshManifestRepository;

typedef struct {
	AshMark mark;
	char *name;     /* package or virtual package */
	char *relation; /* NULL, or one of "=", ">=", ">>", "<=", "<<" */
	char *version;  /* with relation */
} AshManifestPackage;

typedef struct {
	AshMark mark;
	char *package; /* name or glob */
	char *version; /* exact or glob, or NULL */
	char *suite;   /* only from this suite or repository id, or NULL */
} AshManifestPin;

typedef enum {
	ASH_MANIFEST_FILE_REGULAR,
	ASH_MANIFEST_FILE_LINK,
	ASH_MANIFEST_FILE_DIRECTORY,
	ASH_MANIFEST_FILE_MODE, /* what a package brings gets another mode, its owner stays */
} AshManifestFileKind;

typedef struct {
	AshMark mark;
	char *path; /* absolute, normalised, no ".." */
	AshManifestFileKind kind;
	GBytes *content; /* regular: from `content:` or read from `source:` */
	char *target;    /* link */
	uint32_t mode; /* default 0644, directories 0755; from `source:` 0755 if that is executable */
	char *user;    /* name or number; "root" by default */
	char *group;
} AshManifestFile;

typedef struct {
	AshMark mark;
	char *name;
	int64_t id;    /* uid, or gid for a group; -1: chosen by sysusers */
	char *gecos;   /* users */
	char *home;    /* users; NULL: "/" */
	char *shell;   /* users; NULL: nologin */
	char **groups; /* users: supplementary groups */
} AshManifestUser;

typedef struct {
	AshMark mark;
	char *name; /* "20-limits.conf" */
	GBytes *content;
} AshManifestDropin;

typedef struct {
	AshMark mark;
	char *name;                 /* "web.service" */
	GBytes *content;            /* NULL: the unit comes from a package */
	GPtrArray *dropins;         /* AshManifestDropin */
	bool enable, disable, mask; /* at most one is true */
} AshManifestUnit;

typedef struct {
	AshMark mark;
	char *name;      /* for messages: `name:` or "postprocess 1" */
	GBytes *content; /* run by its #! line, or /bin/sh */
} AshManifestScript;

/* Which generator makes the initramfs. */
typedef enum {
	ASH_MANIFEST_INITRAMFS_NATIVE, /* builder/initramfs.c; small, seconds faster */
	ASH_MANIFEST_INITRAMFS_DRACUT, /* dracut of the image's own packages */
	ASH_MANIFEST_INITRAMFS_NONE,
} AshManifestInitramfs;

typedef struct {
	char *path; /* of the top file, as given */
	char *dir;  /* absolute directory of it */
	AshManifestKind kind;
	char *name;    /* `name:`; default: the file's name without .yaml */
	char *version; /* `version:`; default "0" */
	char *summary; /* may be NULL */
	char *arch;    /* Debian's name */
	char *variant; /* or NULL */
	char *suite;   /* default "trixie" */
	bool recommends;
	GPtrArray *repositories; /* AshManifestRepository; empty: inherited from the build machine */
	GPtrArray *packages;     /* AshManifestPackage */
	GPtrArray *exclude;      /* AshManifestPackage (names only) */
	GPtrArray *pins;         /* AshManifestPin */
	GPtrArray *debs;         /* AshManifestFile-like: char * absolute paths of local .debs */
	GPtrArray *files;        /* AshManifestFile */
	GPtrArray *users;        /* AshManifestUser */
	GPtrArray *groups;       /* AshManifestUser */
	GPtrArray *units;        /* AshManifestUnit */
	GPtrArray *presets;      /* char *: lines of a systemd.preset file */
	GPtrArray *kernel_arguments; /* char * */
	GPtrArray *remove_packages; /* char *: files of these packages go after configuring; globs */
	GPtrArray *remove_paths;    /* char *: absolute globs; '**' crosses '/' */
	GPtrArray *keep_paths;      /* char *: globs that win over remove_* */
	GPtrArray *postprocess;     /* AshManifestScript */
	AshManifestInitramfs initramfs;
	GPtrArray *initramfs_modules; /* char *: kernel modules, beside the default list */
	GPtrArray *kernel_modules; /* char *: globs of module directories or names to keep; empty: all */
	char *hostname;            /* NULL: none is set */
	char *default_target;      /* systemd target; NULL: multi-user.target */
	AshHealthSpec *health; /* NULL: there is no `health:` */
	GPtrArray *inputs; /* char *: every file that was read, absolute, for "what would change" */
} AshManifest;

/* ash_manifest_load:
 * @arch: Debian's name; NULL: the build machine's
 * @variant: NULL for none
 * @set: NAME=VALUE pairs that override `variables`, or NULL
 */
gboolean ash_manifest_load(const char *path, const char *arch, const char *variant,
		const char *const *set, AshManifest **out_manifest, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_manifest_free(AshManifest *manifest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshManifest, ash_manifest_free)

/* SHA-256 of what solving depends on (suite, arch, repositories, packages, exclude, pins, debs'
 * content, recommends). Two manifests with the same digest have the same lock.
 */
gboolean ash_manifest_solve_digest(const AshManifest *manifest, char **out_digest, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* SHA-256 of everything in the flat manifest, file contents included, positions not. */
char *ash_manifest_digest(const AshManifest *manifest);

/* The variants that the file defines, sorted; for completion and messages. */
gboolean ash_manifest_list_variants(const char *path, char ***out_variants, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* "amd64" for the machine this runs on. */
const char *ash_manifest_native_arch(void);

/* The JSON Schema (draft 2020-12), and the key reference of manifest(5) as scdoc text. */
char *ash_manifest_schema_json(void);
char *ash_manifest_schema_scdoc(void);
